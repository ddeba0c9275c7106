"""Signing in by e-mail: with a password, and with a link, where the Supabase project allows them."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.api.browser import Browser
from tests.api.test_page_sign_in import said
from tests.api.world import PASSWORD, Api, Contract, code_of, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack import Stack

SAME = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


class Mailing:
    """An Auth as it is configured elsewhere, before the embedded one, which sends no mail.

    It answers /settings and /otp itself, as a GoTrue with these settings does, and hands on all else.
    """

    def __init__(self, stack: Stack, *, external: dict[str, bool], autoconfirm: bool = False) -> None:
        self.settings = {"external": external, "mailer_autoconfirm": autoconfirm}
        self.sent: list[dict[str, Any]] = []
        self.refusal: tuple[int, str] | None = None
        mailing = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                if self.path == "/auth/v1/settings":
                    self.tell(200, mailing.settings)
                else:
                    self.hand_on()

            def do_POST(self) -> None:
                if self.path.startswith("/auth/v1/otp"):
                    self.otp()
                else:
                    self.hand_on()

            def body(self) -> bytes:
                return self.rfile.read(int(self.headers.get("content-length", 0)))

            def otp(self) -> None:
                letter = json.loads(self.body()) | {
                    name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()
                }
                if mailing.refusal is not None:
                    status, code = mailing.refusal
                    self.tell(status, {"code": code, "message": "no"})
                    return
                mailing.sent.append(letter)
                self.tell(200, {})

            def hand_on(self) -> None:
                fields = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in {"host", "content-length", "connection", "accept-encoding"}
                }
                answer = httpx.request(
                    self.command, stack.supabase_url + self.path, headers=fields, content=self.body(),
                    trust_env=False,
                )  # fmt: skip
                self.tell(answer.status_code, answer.content, answer.headers["content-type"])

            def tell(self, status: int, value: Any, kind: str = "application/json") -> None:
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def service(stack: Stack, mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """A browser at a service on that Auth."""
    monkeypatch.setattr(type(stack), "env", {**stack.env, "SUPABASE_URL": mailing.url})
    given = Api(stack, jwt_issuer=f"{stack.supabase_url}/auth/v1")
    try:
        with given as api, Browser(api) as browser:
            yield browser
    finally:
        mailing.close()
        shutil.rmtree(given.directory)


@pytest.fixture
def browser(api: Api, contract: Contract) -> Iterator[Browser]:
    with Browser(api, contract) as opened:
        yield opened


def state_on(page: httpx.Response) -> str:
    found = re.search(r'name="state" value="([^"]+)"', said(page))
    assert found is not None, page.text
    return html.unescape(found[1])


def in_another_browser(address: str) -> httpx.Response:
    return httpx.get(address, trust_env=False)


def test_a_password_signs_in_where_the_project_allows_it(browser: Browser, stack: Stack) -> None:
    email = sign_in(stack, "word")["user"]["email"]
    page = browser.open("/auth/login?next=/v1/me")
    assert "Sign in with GitHub" in page.text
    assert 'action="/auth/link"' not in page.text  # the embedded Auth sends no mail
    form = {"state": state_on(page), "email": f" {email} ", "password": PASSWORD}
    answer = browser.post("/auth/password", data=form, headers=SAME)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/v1/me"
    assert browser.get("/v1/me").status_code == 200
    # The form is good for one sign-in.
    again = browser.post("/auth/password", data=form, headers=SAME)
    assert "Start it again" in said(again)


def test_a_wrong_password_and_an_unknown_address_are_told_alike(browser: Browser, stack: Stack) -> None:
    email = sign_in(stack, "word")["user"]["email"]
    told = set()
    for address, password in ((email, "wrong"), ("nobody@example.com", PASSWORD)):
        form = {"state": state_on(browser.open("/auth/login")), "email": address, "password": password}
        answer = browser.post("/auth/password", data=form, headers=SAME)
        assert answer.status_code == 403
        assert password not in answer.text
        told.add(re.sub(r"[0-9a-f]{16}", "", said(answer)))
    assert len(told) == 1
    assert "do not belong together" in told.pop()


def test_no_other_site_signs_anybody_in(browser: Browser, api: Api, stack: Stack) -> None:
    email = sign_in(stack, "word")["user"]["email"]
    with Browser(api) as attacker:
        others = state_on(attacker.open("/auth/login"))
    form = {"state": state_on(browser.open("/auth/login")), "email": email, "password": PASSWORD}
    assert code_of(browser.post("/auth/password", data=form)) == "cross_site"
    assert code_of(browser.post("/auth/password", data=form, headers={"Sec-Fetch-Site": "same-site"})) == (
        "cross_site"
    )
    fields = {"Sec-Fetch-Site": "same-origin"}
    for state in (others, "", "x"):
        stale = browser.post("/auth/password", data=form | {"state": state}, headers=fields)
        assert code_of(stale) == "sign_in_stale"
    assert "verso-access" not in browser.cookies


def test_a_form_that_is_none_is_refused(browser: Browser) -> None:
    fields = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
    for content in (b"", b"\xff\xfe", b"&".join(b"a=%d" % each for each in range(50)), b"state=%ff"):
        answer = browser.post("/auth/password", content=content, headers=fields)
        assert code_of(answer) in {"sign_in_stale", "bad_request"}
    answer = browser.post("/auth/password", json={"state": "x"}, headers={"Sec-Fetch-Site": "same-origin"})
    assert code_of(answer) == "sign_in_stale"


def test_only_github_means_straight_to_github(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    mailing = Mailing(stack, external={"github": True, "email": False})
    with service(stack, mailing, monkeypatch) as browser:
        answer = browser.open("/auth/login")
        assert answer.status_code == 303
        assert "/auth/v1/authorize?provider=github" in answer.headers["location"]
        state = parse_qs(urlsplit(answer.headers["location"]).query)["redirect_to"][0].partition("state=")[2]
        form = {"state": state, "email": "a@example.com", "password": PASSWORD}
        for path in ("/auth/password", "/auth/link"):
            refused = browser.post(path, data=form, headers=SAME)
            assert "switched off" in said(refused)
        assert mailing.sent == []


def test_without_github_nobody_is_sent_there(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    mailing = Mailing(stack, external={"github": False, "email": True})
    with service(stack, mailing, monkeypatch) as browser:
        assert "GitHub" not in said(browser.open("/auth/login"))
        assert "switched off" in said(browser.open("/auth/login?provider=github"))
        assert "switched off" in said(browser.open("/auth/login?provider=gitlab"))


async def test_a_link_signs_in_the_browser_that_asked_for_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = sign_in(stack, "mail")["user"]
    mailing = Mailing(stack, external={"github": True, "email": True})
    with service(stack, mailing, monkeypatch) as browser:
        form = {"state": state_on(browser.open("/auth/login?next=/v1/me")), "email": account["email"]}
        answer = browser.post("/auth/link", data=form, headers=SAME)
        assert "a link is on its way" in said(answer)
        letter = mailing.sent.pop()
        assert letter["email"] == account["email"]
        # What GoTrue's /verify does when the link is opened: the account is proven, a code goes back.
        code = str(uuid.uuid4())
        await stack.psql(
            "insert into auth.flow_state (id, user_id, auth_code, code_challenge_method, code_challenge, "
            "provider_type, authentication_method, created_at, updated_at, auth_code_issued_at) "
            "values (gen_random_uuid(), $1::text::uuid, $2, 's256', $3, 'magiclink', 'magiclink', "
            "now(), now(), now())",
            account["id"], code, letter["code_challenge"], role="supabase_auth_admin",
        )  # fmt: skip
        opened = f"{letter['redirect_to']}&code={code}"
        assert code_of(in_another_browser(opened)) == "sign_in_stale"
        answer = browser.open(opened)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/v1/me"
        assert browser.get("/v1/me").json()["id"] == account["id"]


def test_nobody_is_told_whether_a_link_was_sent(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    mailing = Mailing(stack, external={"github": True, "email": True})
    with service(stack, mailing, monkeypatch) as browser:
        told = set()
        for refusal in (None, (422, "signup_disabled"), (429, "over_email_send_rate_limit")):
            mailing.refusal = refusal
            form = {"state": state_on(browser.open("/auth/login")), "email": "a@example.com"}
            answer = browser.post("/auth/link", data=form, headers=SAME)
            assert answer.status_code == 200
            told.add(answer.text)
        assert len(told) == 1
        mailing.refusal = (429, "over_request_rate_limit")
        form = {"state": state_on(browser.open("/auth/login")), "email": "a@example.com"}
        assert browser.post("/auth/link", data=form, headers=SAME).status_code == 429
        assert browser.post("/auth/link", data=form | {"email": "a"}, headers=SAME).status_code == 422


def test_an_auth_that_is_down_is_said_plainly(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    mailing = Mailing(stack, external={"github": True, "email": True})
    mailing.settings = []  # type: ignore[assignment]
    with service(stack, mailing, monkeypatch) as browser:
        answer = browser.open("/auth/login")
        assert answer.status_code == 503
        assert "cannot be reached" in said(answer)
