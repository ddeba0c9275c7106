"""Signing in through the GitHub stand-in, as the official clients and a browser see it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
import secrets
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from supabase import AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthApiError

from app.local.auth.redirects import Redirects
from tests.local.rest_cases.harness import BIN, JS, UnavailableError, modules
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

APP = "http://127.0.0.1:8000/auth/callback"


@pytest.fixture
async def browser(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """What a browser sends: no key, no token; redirects are looked at."""
    async with httpx.AsyncClient(base_url=stack.supabase_url, timeout=20) as client:
        yield client


def verifier_and_challenge() -> tuple[str, str]:
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def new_login() -> str:
    return f"u{uuid.uuid4().hex[:10]}"


async def leave(browser: httpx.AsyncClient, **params: str) -> httpx.Response:
    return await browser.get("/auth/v1/authorize", params={"provider": "github", **params})


async def choose(browser: httpx.AsyncClient, page_url: str, **fields: str) -> str:
    """Fill in the form of the page; return the address at which the browser would then be at the app."""
    page = await browser.get(page_url)
    assert page.status_code == 200, page.text
    state = re.search(r'name="state" value="([^"]+)"', page.text)
    assert state is not None
    answer = await browser.post(page_url, data={"state": html.unescape(state[1]), **fields})
    assert answer.status_code == 302, answer.text
    return str((await browser.get(answer.headers["location"])).headers["location"])


def query(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


async def code_for(browser: httpx.AsyncClient, challenge: str, *, login: str, method: str = "s256") -> str:
    left = await leave(browser, redirect_to=APP, code_challenge=challenge, code_challenge_method=method)
    back = await choose(browser, left.headers["location"], login=login)
    return query(back)["code"]


async def exchange(stack: Stack, browser: httpx.AsyncClient, code: str, verifier: str) -> httpx.Response:
    return await browser.post(
        "/auth/v1/token?grant_type=pkce",
        headers={"apikey": stack.publishable_key},
        json={"auth_code": code, "code_verifier": verifier},
    )


async def sign_in(stack: Stack, browser: httpx.AsyncClient, login: str) -> dict[str, Any]:
    verifier, challenge = verifier_and_challenge()
    code = await code_for(browser, challenge, login=login)
    answer = await exchange(stack, browser, code, verifier)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def told(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error_code"]


# --- the official clients --------------------------------------------------------------------------------------


async def test_the_official_client_signs_in_with_github(stack: Stack, browser: httpx.AsyncClient):
    client = await acreate_client(
        stack.supabase_url,
        stack.publishable_key,
        AsyncClientOptions(auto_refresh_token=False, flow_type="pkce"),
    )
    login = new_login()
    asked = await client.auth.sign_in_with_oauth(
        {"provider": "github", "options": {"redirect_to": f"{APP}?next=%2Fp", "scopes": "read:user"}}
    )
    left = await browser.get(asked.url)
    assert "scope=user%3Aemail+read%3Auser" in left.headers["location"]
    back = await choose(browser, left.headers["location"], login=login)
    assert back.startswith(f"{APP}?next=%2Fp&code=")
    answered = await client.auth.exchange_code_for_session({"auth_code": query(back)["code"]})
    assert answered.session.provider_token
    assert answered.user.app_metadata == {"provider": "github", "providers": ["github"]}
    assert answered.user.user_metadata["user_name"] == login
    assert answered.user.user_metadata["avatar_url"].startswith("https://avatars.githubusercontent.com/u/")
    (identity,) = answered.user.identities
    assert (identity.provider, identity.identity_data["user_name"]) == ("github", login)
    assert identity.id == identity.identity_data["sub"]
    (profile,) = await stack.psql(
        "select handle, github_login from public.profiles where id = $1::uuid", answered.user.id
    )
    assert tuple(profile) == (login, login)

    refreshed = await client.auth.refresh_session()
    assert refreshed.session.refresh_token != answered.session.refresh_token
    await client.auth.sign_out({"scope": "global"})
    with pytest.raises(AuthApiError) as gone:
        await client.auth.refresh_session(refreshed.session.refresh_token)
    assert gone.value.code == "refresh_token_not_found"


async def test_the_official_javascript_client_signs_in_with_github(stack: Stack):
    try:
        await asyncio.to_thread(modules)
    except UnavailableError as error:
        pytest.skip(str(error))
    process = await asyncio.create_subprocess_exec(
        *(BIN / "node", JS / "test_auth.mjs", stack.supabase_url, stack.publishable_key),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()


async def test_settings_say_that_github_is_there(stack: Stack, browser: httpx.AsyncClient):
    answer = await browser.get("/auth/v1/settings", headers={"apikey": stack.publishable_key})
    assert answer.json()["external"]["github"] is True


# --- the page --------------------------------------------------------------------------------------------------


async def test_the_page_offers_the_demo_people_says_what_it_is_and_runs_nothing(browser: httpx.AsyncClient):
    page = await browser.get((await leave(browser, redirect_to=APP)).headers["location"])
    assert "This is not GitHub" in page.text
    assert "Mara Lindqvist (mara)" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_page_shows_nothing_that_a_link_brought_along_as_markup(
    stack: Stack, browser: httpx.AsyncClient
):
    page = await browser.get(
        "/github/login/oauth/authorize",
        params={"state": '"><script>x', "redirect_uri": f"{stack.supabase_url}/auth/v1/callback"},
    )
    assert "<script" not in page.text
    foreign = await browser.get(
        "/github/login/oauth/authorize", params={"state": "s", "redirect_uri": "https://evil.example"}
    )
    assert foreign.status_code == 400


async def test_a_login_that_github_could_not_have_is_asked_for_again(browser: httpx.AsyncClient):
    page_url = (await leave(browser, redirect_to=APP)).headers["location"]
    state = query(page_url)["state"]
    for login in ("", "-a", "a--b", "a" * 40, "a b", "<b>"):
        answer = await browser.post(page_url, data={"state": state, "login": login})
        assert answer.status_code == 422, login


async def test_cancelling_tells_the_app_so(browser: httpx.AsyncClient):
    left = await leave(browser, redirect_to=f"{APP}?next=x")
    back = await choose(browser, left.headers["location"], cancel="1")
    assert back.startswith(APP)
    assert query(back)["next"] == "x"
    assert query(back)["error"] == "access_denied"
    assert "denied" in query(back)["error_description"]


# --- who it is -------------------------------------------------------------------------------------------------


async def test_the_same_login_is_the_same_account_and_its_metadata_is_kept_current(
    stack: Stack, browser: httpx.AsyncClient
):
    login = new_login()
    first = await sign_in(stack, browser, login)
    await stack.psql(
        """update auth.users set raw_user_meta_data = '{"avatar_url":"https://old.example/","mine":1}'
           where id = $1::uuid""",
        first["user"]["id"],
    )
    second = await sign_in(stack, browser, login.upper())
    assert second["user"]["id"] == first["user"]["id"]
    assert second["user"]["user_metadata"]["mine"] == 1
    assert "githubusercontent" in second["user"]["user_metadata"]["avatar_url"]
    assert len(second["user"]["identities"]) == 1


async def test_an_account_with_the_same_confirmed_address_is_linked_and_keeps_its_password(
    stack: Stack, browser: httpx.AsyncClient
):
    login = new_login()
    email = f"{login}@users.noreply.github.com"
    before = await stack.user(email)
    after = await sign_in(stack, browser, login)
    assert after["user"]["id"] == before["user"]["id"]
    assert after["user"]["app_metadata"] == {"provider": "email", "providers": ["email", "github"]}
    again = await browser.post(
        "/auth/v1/token?grant_type=password",
        headers={"apikey": stack.publishable_key},
        json={"email": email, "password": "correct-horse"},
    )
    assert again.status_code == 200


async def test_whoever_took_somebody_elses_address_unconfirmed_gets_no_way_into_their_account(
    stack: Stack, browser: httpx.AsyncClient
):
    login = new_login()
    email = f"{login}@users.noreply.github.com"
    key = {"apikey": stack.secret_key}
    planted = {"email": email, "password": "attackers-own", "user_metadata": {"full_name": "Not me"}}
    made = (await browser.post("/auth/v1/admin/users", headers=key, json=planted)).json()
    session = await sign_in(stack, browser, login)
    assert session["user"]["id"] == made["id"]
    assert session["user"]["app_metadata"]["providers"] == ["github"]
    assert session["user"]["user_metadata"]["full_name"] == login
    refused = await browser.post(
        "/auth/v1/token?grant_type=password",
        headers={"apikey": stack.publishable_key},
        json={"email": email, "password": "attackers-own"},
    )
    assert told(refused) == (400, "invalid_credentials")


async def test_a_banned_account_is_told_so_at_the_app(stack: Stack, browser: httpx.AsyncClient):
    login = new_login()
    session = await sign_in(stack, browser, login)
    await stack.psql(
        "update auth.users set banned_until = now() + interval '1 day' where id = $1::uuid",
        session["user"]["id"],
    )
    _, challenge = verifier_and_challenge()
    left = await leave(browser, redirect_to=APP, code_challenge=challenge, code_challenge_method="s256")
    back = query(await choose(browser, left.headers["location"], login=login))
    assert (back["error"], back["error_code"]) == ("access_denied", "user_banned")


async def test_five_first_sign_ins_of_one_person_at_once_make_one_account(
    stack: Stack, browser: httpx.AsyncClient
):
    login = new_login()
    sessions = await asyncio.gather(*(sign_in(stack, browser, login) for _ in range(5)))
    assert len({session["user"]["id"] for session in sessions}) == 1


# --- codes and states ------------------------------------------------------------------------------------------


async def test_a_code_works_once_however_many_ask_at_once(stack: Stack, browser: httpx.AsyncClient):
    verifier, challenge = verifier_and_challenge()
    code = await code_for(browser, challenge, login=new_login())
    answers = await asyncio.gather(*(exchange(stack, browser, code, verifier) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 7
    assert told(await exchange(stack, browser, code, verifier)) == (404, "flow_state_not_found")


async def test_a_code_without_its_verifier_is_worth_nothing(stack: Stack, browser: httpx.AsyncClient):
    verifier, challenge = verifier_and_challenge()
    code = await code_for(browser, challenge, login=new_login())
    # The challenge travelled in the open: it must not do for the verifier.
    for wrong in (verifier_and_challenge()[0], challenge):
        assert told(await exchange(stack, browser, code, wrong)) == (400, "bad_code_verifier")
    assert told(await exchange(stack, browser, code, "")) == (400, "validation_failed")
    assert (await exchange(stack, browser, code, verifier)).status_code == 200


async def test_the_plain_method_compares_the_verifier_itself(stack: Stack, browser: httpx.AsyncClient):
    verifier, _ = verifier_and_challenge()
    code = await code_for(browser, verifier, login=new_login(), method="plain")
    assert (await exchange(stack, browser, code, verifier)).status_code == 200


async def test_after_five_minutes_code_and_state_are_worth_nothing(stack: Stack, browser: httpx.AsyncClient):
    age = "update auth.flow_state set created_at = now() - interval '301 seconds' where "
    verifier, challenge = verifier_and_challenge()
    code = await code_for(browser, challenge, login=new_login())
    await stack.psql(f"{age} auth_code = $1", code)
    assert told(await exchange(stack, browser, code, verifier)) == (422, "flow_state_expired")

    left = await leave(browser, redirect_to=APP, code_challenge=challenge, code_challenge_method="s256")
    await stack.psql(f"{age} id = $1::uuid", query(left.headers["location"])["state"])
    back = await choose(browser, left.headers["location"], login=new_login())
    assert query(back)["error_code"] == "bad_oauth_state"


async def test_a_state_comes_back_once_and_only_from_here(stack: Stack, browser: httpx.AsyncClient):
    _, challenge = verifier_and_challenge()
    left = await leave(browser, redirect_to=APP, code_challenge=challenge, code_challenge_method="s256")
    page_url = left.headers["location"]
    await choose(browser, page_url, login=new_login())
    replayed = await choose(browser, page_url, login=new_login())
    assert query(replayed)["error_code"] == "flow_state_already_used"
    for state in ("", "nonsense", str(uuid.uuid4())):
        back = await browser.get("/auth/v1/callback", params={"state": state, "code": "x"})
        assert back.status_code == 303
        # Nobody knows where this one wanted to go: the site is told, and not an address in the request.
        assert back.headers["location"].startswith("http://127.0.0.1:8000?error=invalid_request")


async def test_a_code_that_the_stand_in_never_gave_signs_nobody_in(browser: httpx.AsyncClient):
    left = await leave(browser, redirect_to=APP)
    state = query(left.headers["location"])["state"]
    back = await browser.get("/auth/v1/callback", params={"state": state, "code": "guessed"})
    assert query(back.headers["location"])["error"] == "server_error"


async def test_a_client_cannot_set_the_parameters_that_auth_sets(browser: httpx.AsyncClient):
    left = await leave(
        browser,
        redirect_to=APP,
        state="mine",
        redirect_uri="https://evil.example",
        client_id="x",
        login="mara",
    )
    sent = query(left.headers["location"])
    assert sent["state"] != "mine"
    assert sent["redirect_uri"].endswith("/auth/v1/callback")
    assert (sent["client_id"], sent["login"]) == ("embedded", "mara")


@pytest.mark.parametrize(
    "params",
    [
        {"provider": "gitlab"},
        {"provider": ""},
        {"code_challenge": "a" * 43},
        {"code_challenge_method": "s256"},
        {"code_challenge": "short", "code_challenge_method": "s256"},
        {"code_challenge": "a" * 42 + "!", "code_challenge_method": "s256"},
        {"code_challenge": "a" * 43, "code_challenge_method": "md5"},
    ],
)
async def test_a_way_out_that_is_not_well_formed_is_refused_here(
    browser: httpx.AsyncClient, params: dict[str, str]
):
    assert told(await leave(browser, **params)) == (400, "validation_failed")


async def test_without_a_challenge_the_tokens_come_in_the_fragment(stack: Stack, browser: httpx.AsyncClient):
    login = new_login()
    left = await leave(browser, redirect_to=APP)
    back = urlsplit(await choose(browser, left.headers["location"], login=login))
    assert back.query == ""
    tokens = parse_qs(back.fragment)
    user = await browser.get(
        "/auth/v1/user",
        headers={"apikey": stack.publishable_key, "authorization": f"Bearer {tokens['access_token'][0]}"},
    )
    assert user.json()["user_metadata"]["user_name"] == login


# --- where it may end ------------------------------------------------------------------------------------------

PROJECT = Redirects(
    "https://docs.example.com",
    ("https://*.example.org/cb", "https://app.example.net/**", "myapp://done", "http://localhost:*/**"),
)


@pytest.mark.parametrize(
    "address",
    [
        "https://docs.example.com/anything?a=b#c",
        "http://127.0.0.1:54999/callback",
        "http://127.0.0.1:1/",
        "http://[::1]:5000/x",
        "https://one.example.org/cb",
        "https://app.example.net/a/b/c?d=e",
        "myapp://done",
        "http://localhost:3000/a",
    ],
)
def test_a_sign_in_may_end_at(address: str):
    assert PROJECT.allows(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://evil.example/",
        "https://docs.example.com.evil.example/",
        "https://docs.example.com@evil.example/",
        "https://docs.example.com:8443/",
        "http://docs.example.com/",
        "//docs.example.com/",
        "/relative",
        "http://2130706433/",
        "http://192.168.0.1/",
        "http://0x7f000001/",
        "https:\\\\evil.example/",
        "https:/\\evil.example/",
        "https:evil.example",
        "https://one.two.example.org/cb",
        "https://one.example.org/cb/more",
        "https://evil.example/https://app.example.net/",
        "\thttps://docs.example.com/",
        "https://docs.example.com/ x",
        "https://docs.example.com:port/",
        "myapp://done/elsewhere",
        "javascript:alert(1)",
        "data:text/html,x",
    ],
)
def test_a_sign_in_may_not_end_at(address: str):
    assert not PROJECT.allows(address)


def test_globs_are_supabases():
    def allows(pattern: str, address: str) -> bool:
        return Redirects("https://site.example", (pattern,)).allows(address)

    assert allows("https://a.example/?", "https://a.example/x")
    assert not allows("https://a.example/?", "https://a.example/xy")
    assert allows("https://a.example/[a-c]1", "https://a.example/b1")
    assert not allows("https://a.example/[!a-c]1", "https://a.example/b1")
    assert allows("https://a.example/{in,out}", "https://a.example/out")
    assert not allows("https://a.example/{in,out}", "https://a.example/about")
    assert not allows("https://a.example", "https://a-example")


async def test_the_site_may_be_told_when_it_starts(tmp_path: Path):
    with Stack(
        tmp_path / "stack", migrations=None, arguments=("--site-url", "https://docs.example.com")
    ) as own:
        async with httpx.AsyncClient(base_url=own.supabase_url, timeout=20) as browser:
            left = await leave(browser)
            back = await choose(browser, left.headers["location"], login=new_login())
    assert back.startswith("https://docs.example.com#access_token=")


async def test_an_address_that_is_not_allowed_ends_at_the_site(browser: httpx.AsyncClient):
    left = await leave(browser, redirect_to="https://evil.example/")
    back = await choose(browser, left.headers["location"], login=new_login())
    assert back.startswith("http://127.0.0.1:8000#access_token=")
