"""A page's session: what it may write, how it is kept fresh by many tabs at once, and how it ends."""

from __future__ import annotations

import asyncio
import shutil
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

from tests.api.browser import Browser
from tests.api.world import Api, Contract, People, code_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack import Stack

NAMES = ("verso-access", "verso-refresh", "verso-csrf")


@pytest.fixture
def browser(api: Api, contract: Contract) -> Iterator[Browser]:
    """Somebody who is signed in."""
    with Browser(api, contract) as opened:
        opened.sign_in(f"tab-{uuid.uuid4().hex[:8]}")
        yield opened


def make(browser: Browser, headers: dict[str, str]) -> httpx.Response:
    return browser.post("/v1/projects", json={"slug": f"c-{uuid.uuid4().hex[:10]}"}, headers=headers)


def expire(browser: Browser, stack: Stack, *, seconds: int = -60) -> None:
    """Put an access token into the browser that ended, as time would."""
    claims = jwt.decode(browser.cookies["verso-access"], options={"verify_signature": False})
    now = int(time.time())
    token = stack.sign(**claims | {"exp": now + seconds, "iat": now - 3600 + seconds})
    browser.cookies.delete("verso-access")
    browser.cookies.set("verso-access", token, domain="127.0.0.1", path="/")


def cookie_header(browser: Browser) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={browser.cookies[name]}" for name in NAMES)}


def read_access(browser: Browser) -> str:
    names = sorted(name for name in browser.cookies if name.startswith("verso-access"))
    return "".join(browser.cookies[name] for name in names)


def test_a_page_of_this_site_writes_with_its_token(browser: Browser) -> None:
    assert make(browser, browser.page_fields()).status_code == 201
    token = browser.cookies["verso-csrf"]
    by_origin = {"Origin": browser.site, "X-CSRF-Token": token}  # browsers without Sec-Fetch-Site
    assert make(browser, by_origin).status_code == 201


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Referer": "http://127.0.0.1/"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "own"},
    ],
    ids=str,
)
def test_what_another_site_sends_is_refused_even_with_the_token(
    browser: Browser, fields: dict[str, str]
) -> None:
    sent = {name: browser.site if value == "own" else value for name, value in fields.items()}
    answer = make(browser, {**sent, "X-CSRF-Token": browser.cookies["verso-csrf"]})
    assert answer.status_code == 403
    assert code_of(answer) == "cross_site"


def test_without_the_token_of_this_very_session_nothing_is_written(browser: Browser, api: Api) -> None:
    with Browser(api) as other:
        other.sign_in(f"tab-{uuid.uuid4().hex[:8]}")
        others = other.cookies["verso-csrf"]
    for token in (None, "", "x", others):
        fields = {"Sec-Fetch-Site": "same-origin", **({} if token is None else {"X-CSRF-Token": token})}
        answer = make(browser, fields)
        assert code_of(answer) == "csrf_token_needed"
    # A planted cookie is no help: the token is compared with the session, not with the cookie.
    browser.cookies.delete("verso-csrf")
    browser.cookies.set("verso-csrf", others, domain="127.0.0.1", path="/")
    assert code_of(make(browser, browser.page_fields())) == "csrf_token_needed"


def test_every_way_to_write_is_guarded(browser: Browser, contract: Contract) -> None:
    written = 0
    for path, item in contract.document["paths"].items():
        for method, operation in item.items():
            if method in {"get", "head"} or operation.get("security") == [] or "/git/" in path:
                continue
            address = path.replace("{person}", str(uuid.uuid4())).replace("{", "").replace("}", "")
            answer = browser.request(method, address, headers={"X-CSRF-Token": browser.cookies["verso-csrf"]})
            assert code_of(answer) in {"cross_site", "bad_request", "bad_media_type", "not_found"}, (
                path,
                answer.text,
            )
            written += code_of(answer) == "cross_site"
    assert written > 15


def test_a_bearer_needs_no_page_and_outweighs_the_cookies(browser: Browser, people: People) -> None:
    fields = {"Authorization": f"Bearer {people.owner.token}"}
    assert browser.get("/v1/me", headers=fields).json()["id"] == people.owner.id
    assert make(browser, {**fields, "Sec-Fetch-Site": "cross-site"}).status_code == 201
    refused = browser.get("/v1/me", headers={"Authorization": "Bearer x"})
    assert code_of(refused) == "unauthenticated"


def test_a_token_that_ended_is_renewed_on_the_way_and_the_page_notices_nothing(
    browser: Browser, stack: Stack
) -> None:
    before = {name: browser.cookies[name] for name in NAMES}
    for seconds in (-60, 15):  # also one that would end while the request is on its way
        expire(browser, stack, seconds=seconds)
        assert browser.get("/v1/me").status_code == 200
        assert browser.cookies["verso-refresh"] != before["verso-refresh"]
        assert browser.cookies["verso-csrf"] == before["verso-csrf"]
    expire(browser, stack)
    assert make(browser, browser.page_fields()).status_code == 201
    # Who isn't allowed to write doesn't get it renewed either.
    expire(browser, stack)
    held = browser.cookies["verso-refresh"]
    assert code_of(make(browser, {"Sec-Fetch-Site": "cross-site"})) == "cross_site"
    assert browser.cookies["verso-refresh"] == held


def test_a_refused_answer_brings_the_new_cookies_too(browser: Browser, stack: Stack) -> None:
    expire(browser, stack)
    held = browser.cookies["verso-refresh"]
    assert browser.get(f"/v1/projects/{uuid.uuid4()}").status_code == 404
    assert browser.cookies["verso-refresh"] != held
    assert browser.get("/v1/me").status_code == 200


def at_once(urls: list[str], fields: dict[str, str]) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(trust_env=False, timeout=60, headers=fields) as client:
            return await asyncio.gather(*(client.get(f"{url}/v1/me") for url in urls))

    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(asyncio.run, ask()).result()


def renewed(answers: list[httpx.Response]) -> set[str]:
    return {
        each.partition("=")[2].partition(";")[0]
        for answer in answers
        for each in answer.headers.get_list("set-cookie")
        if each.startswith("verso-refresh=")
    }


def test_tabs_that_meet_the_end_at_once_share_one_refresh(browser: Browser, api: Api, stack: Stack) -> None:
    expire(browser, stack)
    fields = cookie_header(browser)
    before = api.metric(r'verso_supabase_requests_total\{service="auth"\}')
    answers = at_once([api.url] * 20, fields)
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(renewed(answers)) == 1
    # A tab that slept through it and comes a little later gets the same.
    assert renewed(at_once([api.url], fields)) == renewed(answers)
    assert api.metric(r'verso_supabase_requests_total\{service="auth"\}') == before + 1


def test_tabs_at_two_processes_do_not_end_the_session(browser: Browser, api: Api, stack: Stack) -> None:
    with Api(stack) as second:
        for _ in range(3):
            expire(browser, stack)
            answers = at_once([api.url, second.url] * 10, cookie_header(browser))
            assert [answer.status_code for answer in answers] == [200] * 20
            for token in renewed(answers):
                browser.cookies.delete("verso-refresh")
                browser.cookies.set("verso-refresh", token, domain="127.0.0.1", path="/")
        assert browser.get("/v1/me").status_code == 200
    shutil.rmtree(second.directory)


async def test_a_stolen_old_refresh_token_ends_the_session_and_the_cookies_go(
    browser: Browser, api: Api, stack: Stack
) -> None:
    old = browser.cookies["verso-refresh"]
    for _ in range(2):
        expire(browser, stack)
        assert browser.get("/v1/me").status_code == 200
    await stack.psql(
        "update auth.refresh_tokens set updated_at = now() - interval '1 minute'", role="supabase_auth_admin"
    )
    with Browser(api) as thief, Api(stack) as second:  # a process that has not seen the token
        claims = {"verso-access": browser.cookies["verso-access"], "verso-refresh": old}
        thief.base_url = second.url
        for name, value in claims.items():
            thief.cookies.set(name, value, domain="127.0.0.1", path="/")
        expire(thief, stack)
        answer = thief.get("/v1/me")
        assert code_of(answer) == "session_ended"
        assert not set(NAMES) & set(thief.cookies)
    shutil.rmtree(second.directory)
    expire(browser, stack)
    assert code_of(browser.get("/v1/me")) == "session_ended"
    assert not set(NAMES) & set(browser.cookies)
    assert browser.get("/auth/session").json() == {"signed_in": False, "csrf_token": None}


def test_a_long_token_comes_in_parts_and_its_parts_go_with_it(browser: Browser, stack: Stack) -> None:
    def say(words: str) -> None:
        fields = {"apikey": stack.publishable_key}
        fields["Authorization"] = f"Bearer {read_access(browser)}"
        url = f"{stack.supabase_url}/auth/v1/user"
        httpx.put(url, headers=fields, json={"data": {"x": words}}, trust_env=False).raise_for_status()
        browser.post("/auth/refresh", headers=browser.page_fields()).raise_for_status()

    def parts() -> list[str]:
        return sorted(name for name in browser.cookies if name.startswith("verso-access"))

    say("x" * 6000)
    assert parts() == ["verso-access", "verso-access.1", "verso-access.2"]
    assert all(len(value) < 4000 for value in browser.cookies.values())
    assert browser.get("/v1/me").status_code == 200
    assert make(browser, browser.page_fields()).status_code == 201
    say("")
    assert parts() == ["verso-access"]
    assert browser.get("/v1/me").status_code == 200


def test_a_page_can_ask_for_the_next_token_itself(browser: Browser) -> None:
    held = browser.cookies["verso-refresh"]
    assert code_of(browser.post("/auth/refresh")) == "cross_site"
    assert code_of(browser.post("/auth/refresh", headers={"Sec-Fetch-Site": "same-origin"})) == (
        "csrf_token_needed"
    )
    answer = browser.post("/auth/refresh", headers=browser.page_fields())
    assert answer.json() == {"signed_in": True, "csrf_token": browser.cookies["verso-csrf"]}
    assert browser.cookies["verso-refresh"] != held
    by_form = browser.post(
        "/auth/refresh",
        data={"csrf_token": browser.cookies["verso-csrf"], "next": "//evil.example"},
        headers={"Accept": "text/html", "Sec-Fetch-Site": "same-origin"},
    )
    assert by_form.status_code == 303
    assert by_form.headers["location"] == "/auth/session"


def sign_out(browser: Browser, **fields: str) -> httpx.Response:
    return browser.post(
        "/auth/logout", data={"csrf_token": browser.cookies["verso-csrf"], **fields},
        headers={"Accept": "text/html", "Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip


def lives(tokens: dict[str, str], api: Api, stack: Stack) -> bool:
    with Browser(api) as copied:
        for name, value in tokens.items():
            copied.cookies.set(name, value, domain="127.0.0.1", path="/")
        expire(copied, stack)
        return copied.get("/v1/me").status_code == 200


def test_signing_out_here_ends_this_session_and_no_other(browser: Browser, api: Api, stack: Stack) -> None:
    with Browser(api) as elsewhere:
        elsewhere.sign_in(browser.get("/v1/me").json()["github_login"])
        held: dict[str, Any] = dict(browser.cookies)
        answer = sign_out(browser)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/auth/session"
        assert answer.headers["clear-site-data"] == '"cache"'
        assert not set(NAMES) & set(browser.cookies)
        assert code_of(browser.get("/v1/me")) == "unauthenticated"
        assert not lives(held, api, stack)
        assert elsewhere.get("/v1/me").status_code == 200
        assert lives(dict(elsewhere.cookies), api, stack)


def test_signing_out_everywhere_ends_all_of_them(browser: Browser, api: Api, stack: Stack) -> None:
    with Browser(api) as elsewhere:
        elsewhere.sign_in(browser.get("/v1/me").json()["github_login"])
        expire(browser, stack)  # also when the token has just ended
        assert sign_out(browser, scope="everywhere").status_code == 303
        assert not set(NAMES) & set(browser.cookies)
        assert not lives(dict(elsewhere.cookies), api, stack)


def test_signing_out_is_not_for_other_sites(browser: Browser) -> None:
    form = {"csrf_token": browser.cookies["verso-csrf"]}
    assert code_of(browser.post("/auth/logout", data=form)) == "cross_site"
    fields = {"Sec-Fetch-Site": "same-origin"}
    assert code_of(browser.post("/auth/logout", headers=fields)) == "csrf_token_needed"
    assert code_of(browser.post("/auth/logout", data={"scope": "all"}, headers=fields)) == "bad_value"
    assert browser.get("/auth/logout").status_code == 405
    assert browser.get("/v1/me").status_code == 200


def test_signing_out_twice_is_fine(browser: Browser) -> None:
    fields = browser.page_fields()
    assert browser.post("/auth/logout", headers=fields).json() == {"signed_in": False, "csrf_token": None}
    assert browser.post("/auth/logout", headers=fields).status_code == 200


def test_a_new_sign_in_ends_the_session_that_the_browser_had(
    browser: Browser, api: Api, stack: Stack
) -> None:
    held: dict[str, Any] = dict(browser.cookies)
    browser.sign_in(f"tab-{uuid.uuid4().hex[:8]}")
    assert not lives(held, api, stack)
    assert lives(dict(browser.cookies), api, stack)
    browser.cookies.delete("verso-access")
    browser.cookies.set("verso-access", "none.of.ours", domain="127.0.0.1", path="/")
    assert browser.sign_in(f"tab-{uuid.uuid4().hex[:8]}").status_code == 200


async def test_an_account_that_was_deleted_gets_at_nothing_and_still_signs_out(
    browser: Browser, stack: Stack
) -> None:
    me = browser.get("/v1/me").json()
    sql = "update auth.users set deleted_at = now() where id = $1::text::uuid"
    await stack.psql(sql, me["id"], role="supabase_auth_admin")
    assert code_of(browser.get("/v1/me")) == "no_profile"
    assert browser.get("/v1/projects").json()["items"] == []
    page = browser.open("/auth/session")
    assert page.status_code == 200
    assert "no profile" in page.text
    assert sign_out(browser).status_code == 303
    assert browser.get("/auth/session").json()["signed_in"] is False
