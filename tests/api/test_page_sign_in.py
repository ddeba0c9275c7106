"""Pages sign in: to GitHub and back, into cookies; what the cookies open, and what they do not."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app.api import cookies
from app.api.same_site import safe_next
from tests.api.browser import Browser
from tests.api.world import Api, Contract, code_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack import Stack


@pytest.fixture
def browser(api: Api, contract: Contract) -> Iterator[Browser]:
    with Browser(api, contract) as opened:
        yield opened


def somebody() -> str:
    return f"Zoe-{uuid.uuid4().hex[:8]}"


def said(answer: httpx.Response) -> str:
    """The words of a page, which has no script, no foreign address and a policy that allows neither."""
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert "<script" not in answer.text
    assert "http" not in answer.text
    return answer.text


def fields_of(answer: httpx.Response) -> dict[str, str]:
    """The Set-Cookie fields of an answer by name."""
    return {each.partition("=")[0]: each for each in answer.headers.get_list("set-cookie")}


def test_a_person_signs_in_with_github_and_the_cookie_says_who_it_is(browser: Browser) -> None:
    login = somebody()
    end = browser.sign_in(login)
    assert end.url.path == "/"
    assert login.lower() in end.text
    me = browser.get("/v1/me")
    assert me.status_code == 200, me.text
    assert me.json()["handle"] == login.lower()
    assert browser.get("/auth/session").json() == {
        "signed_in": True,
        "csrf_token": browser.cookies["verso-csrf"],
    }


def test_tokens_are_kept_from_scripts_and_from_other_sites(browser: Browser) -> None:
    answer = browser.open(browser.at_github(browser.begin(), somebody()))
    set_cookies = fields_of(answer)
    for name in ("verso-access", "verso-refresh"):
        assert "HttpOnly" in set_cookies[name]
    for name in ("verso-access", "verso-refresh", "verso-csrf"):
        assert "SameSite=lax" in set_cookies[name]
        assert "Path=/" in set_cookies[name]
        assert "Domain" not in set_cookies[name]
    assert answer.headers["cache-control"] == "no-store"
    assert browser.cookies["verso-access"] not in answer.text + answer.headers["location"]


def test_over_https_cookies_belong_to_this_host_alone(stack: Stack) -> None:
    with Api(stack, public_url="https://verso.example.com") as api, Browser(api) as browser:
        location = browser.begin()
        redirect_to = parse_qs(urlsplit(location).query)["redirect_to"][0]
        assert redirect_to.startswith("https://verso.example.com/auth/callback?state=")
        field = browser.open("/auth/login?provider=github").headers["set-cookie"]
        assert field.startswith("__Host-verso-flows=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(field.split("; "))
        # What a neighbour planted under the plain name is not looked at.
        browser.cookies.clear()
        browser.cookies.set("verso-access", "planted")
        assert browser.get("/auth/session").json()["signed_in"] is False
    shutil.rmtree(api.directory)


def test_a_service_that_does_not_know_its_address_signs_nobody_in_by_the_host_field(api: Api) -> None:
    address = f"{api.url}/auth/login?provider=github"
    answer = httpx.get(address, headers={"Host": "evil.example"}, trust_env=False)
    assert answer.status_code == 503
    assert code_of(answer) == "no_public_url"


SAFE = ["/", "/v1/me", "/auth/session", "/schema?x=1#read_me", "/v1/projects/idse/files/a%2Fb", "/a//b"]
UNSAFE = [
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    " /v1/me",
    "javascript:alert(1)",
    "evil.example",
    "///evil.example",
    "/a\\b",
    "/\u2025/evil",
    "/a\r\nSet-Cookie: x=y",
    "/auth/login",
    "/auth/callback?code=x&state=y",
    "",
    "/" + "x" * 1000,
]


@pytest.mark.parametrize("wanted", SAFE)
def test_a_path_of_this_site_is_gone_on_to(wanted: str) -> None:
    assert safe_next(wanted) == wanted


@pytest.mark.parametrize("wanted", UNSAFE, ids=ascii)
def test_nothing_else_is(wanted: str) -> None:
    assert safe_next(wanted) == "/auth/session"


def test_one_ends_where_one_wanted_to_go_and_nowhere_else(browser: Browser) -> None:
    assert browser.sign_in(somebody(), "/v1/me").url.path == "/v1/me"
    for wanted in UNSAFE[:6]:
        assert browser.sign_in(somebody(), wanted).url == f"{browser.site}/auth/session"


def test_who_says_no_at_github_is_told_so(browser: Browser) -> None:
    answer = browser.open(browser.at_github(browser.begin(), cancel=True))
    assert answer.status_code == 403
    assert "You said no at GitHub" in said(answer)
    assert "verso-access" not in browser.cookies


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        ("error=access_denied&error_code=signup_disabled", "sign_in_refused", "New accounts are not taken"),
        ("error=access_denied&error_code=user_banned", "sign_in_refused", "locked"),
        (
            "error=access_denied&error_code=provider_email_needs_verification",
            "sign_in_refused",
            "not confirmed",
        ),
        ("error=invalid_request&error_code=bad_oauth_state", "sign_in_stale", "Start it again"),
        ("error=access_denied&error_code=otp_expired", "sign_in_stale", "Start it again"),
        ("error=server_error&error_code=unexpected_failure", "sign_in_refused", "Try again"),
        ("error=server_error", "sign_in_refused", "Try again"),
        ("error_code=over_request_rate_limit", "too_many_requests", "Wait a minute"),
        ("", "sign_in_stale", "Start it again"),
    ],
)
def test_what_goes_wrong_is_said_in_plain_words(browser: Browser, told: str, code: str, words: str) -> None:
    address = f"/auth/callback?{told}&error_description=<script>alert(1)</script>call+%2B1+555"
    answer = browser.open(address)
    assert words in said(answer)
    assert code in answer.text
    assert "+1 555" not in answer.text
    assert code_of(browser.get(address)) == code


def test_a_code_works_once_also_with_the_cookie_of_before(browser: Browser, api: Api) -> None:
    callback = browser.at_github(browser.begin(), somebody())
    flows = browser.cookies["verso-flows"]
    assert browser.open(callback).status_code == 303
    assert code_of(browser.get(callback)) == "sign_in_stale"
    with Browser(api) as thief:
        thief.cookies.set("verso-flows", flows)
        answer = thief.get(callback)
        assert code_of(answer) == "sign_in_stale"
        assert "verso-access" not in thief.cookies


def test_only_the_browser_that_began_a_sign_in_ends_it(browser: Browser, api: Api) -> None:
    # Who sends somebody the address with a code of their own can't sign them in as themselves.
    attackers = browser.at_github(browser.begin(), somebody())
    with Browser(api) as victim:
        victim.begin()
        assert code_of(victim.get(attackers)) == "sign_in_stale"
        state = parse_qs(urlsplit(victim.begin()).query)["redirect_to"][0].partition("state=")[2]
        code = parse_qs(urlsplit(attackers).query)["code"][0]
        mixed = victim.get("/auth/callback", params={"state": state, "code": code})
        assert code_of(mixed) == "sign_in_stale"  # the verifier is another's
        assert "verso-access" not in victim.cookies
    # The code is not lost by that: its own browser still ends it.
    assert browser.open(attackers).status_code == 303


def test_a_session_that_was_planted_before_is_not_the_one_after(browser: Browser, api: Api) -> None:
    with Browser(api) as attacker:
        attacker.sign_in(somebody())
        planted = dict(attacker.cookies)
        for name, value in planted.items():
            browser.cookies.set(name, value, domain="127.0.0.1", path="/")
        login = somebody()
        browser.sign_in(login)
        assert browser.get("/v1/me").json()["handle"] == login.lower()
        for name in ("verso-access", "verso-refresh", "verso-csrf"):
            assert browser.cookies[name] != planted[name]


def test_two_sign_ins_at_once_in_one_browser_both_end(browser: Browser) -> None:
    first, second = browser.begin("/v1/me"), browser.begin("/v1/projects")
    for started, path in ((first, "/v1/me"), (second, "/v1/projects")):
        answer = browser.open(browser.at_github(started, somebody()))
        assert answer.headers["location"] == path


def test_many_begun_sign_ins_do_not_fill_the_browser(browser: Browser) -> None:
    for _ in range(10):
        browser.begin("/" + "x" * 900)
    assert len(browser.cookies["verso-flows"]) < 4096 - 20
    assert browser.sign_in(somebody()).status_code == 200


def test_a_session_that_auth_never_made_is_not_asked_for(api: Api, contract: Contract) -> None:
    """Auth lets a server refresh so often: with made-up cookies a stranger would use that up for everybody."""
    before = api.metric(r'verso_supabase_requests_total\{service="auth"\}')
    for number in range(10):
        fields = {"Cookie": f"verso-access=a.b.{number}; verso-refresh=r{number}", "Accept": "text/html"}
        page = httpx.get(f"{api.url}/", headers=fields, trust_env=False)
        assert page.status_code in {200, 303}
        asked = httpx.get(f"{api.url}/v1/me", headers={"Cookie": fields["Cookie"]}, trust_env=False)
        assert code_of(asked) == "unauthenticated"
        contract.check(asked)
        csrf = cookies.csrf_token(f"a.b.{number}")
        own = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": csrf, "Cookie": fields["Cookie"]}
        again = httpx.post(f"{api.url}/auth/refresh", headers=own, trust_env=False)
        assert code_of(again) == "unauthenticated"
    assert api.metric(r'verso_supabase_requests_total\{service="auth"\}') == before


@pytest.mark.parametrize("value", ["", "x", "e30=", "W1siYSJdXQ==", "%00", "é".encode("latin-1"), "[" * 3000])
def test_cookies_that_are_none_of_ours_are_nobody(api: Api, value: str | bytes) -> None:
    text = value if isinstance(value, bytes) else value.encode()
    for name in (b"verso-flows", b"verso-access"):
        fields = {"Cookie": name + b"=" + text}
        assert httpx.get(f"{api.url}/auth/session", headers=fields, trust_env=False).status_code == 200
        stale = httpx.get(f"{api.url}/auth/callback?state=a&code=b", headers=fields, trust_env=False)
        assert code_of(stale) == "sign_in_stale"
        assert httpx.get(f"{api.url}/v1/me", headers=fields, trust_env=False).status_code == 401
