"""Signing in from the command line, against the real servers, with a browser that is an HTTP client."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.client.auth import Auth, Where
from app.client.login import receiving, through_browser
from app.errors import VersoError
from tests.client.browser import visit
from tests.client.inside import run_inside
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack


class Terminal:
    """A person's terminal, with a configuration of its own."""

    def __init__(self, config: Path) -> None:
        self.config = config
        kept = {name: text for name, text in os.environ.items() if not name.startswith("VERSO_")}
        self.environment = {
            **kept,
            "VERSO_CONFIG_DIR": str(config),
            "BROWSER": f"{sys.executable} -m tests.client.browser %s",
            "NO_COLOR": "1",
        }

    def start(self, *arguments: str, login: str = "", **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments],
            env=self.environment | {"VERSO_TEST_LOGIN": login} | variables,
            cwd=REPOSITORY, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(
        self, *arguments: str, login: str = "", typed: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        if arguments[0] != "login":
            ran = run_inside(arguments, self.environment | variables, REPOSITORY, typed)
            return subprocess.CompletedProcess(arguments, ran.exit_code, ran.stdout, ran.stderr)
        process = self.start(*arguments, login=login, **variables)
        out, err = process.communicate(typed, timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def files(self) -> list[Path]:
        return [each for each in (self.config / "logins").iterdir() if each.is_file()]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "config")


@pytest.fixture
def where(stack: Stack) -> Where:
    return Where(supabase_url=stack.supabase_url, publishable_key=stack.publishable_key)


def new_login() -> str:
    return f"u{uuid.uuid4().hex[:10]}"


# --- the commands ----------------------------------------------------------------------------------------------


def test_one_signs_in_in_the_browser_and_out_again(terminal: Terminal, server: Server) -> None:
    login = new_login()
    signed_in = terminal.run("login", server.url, login=login)
    assert signed_in.returncode == 0, signed_in.stderr
    assert signed_in.stdout == f"Signed in to {server.url} as {login}.\n"

    # The server needn't be named any more.
    me = json.loads(terminal.run("whoami", "--json").stdout)
    assert (me["handle"], me["server"]) == (login, server.url)
    token = terminal.run("token").stdout.strip()
    bearer = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{server.url}/v1/me", headers=bearer).json()["handle"] == login

    assert terminal.run("logout").stdout == f"Signed out of {server.url}.\n"
    gone = terminal.run("token", "--api", server.url)
    assert gone.returncode == 4
    assert "verso login" in gone.stderr
    where = httpx.get(f"{server.url}/v1/sign-in").json()
    user = httpx.get(
        f"{where['supabase_url']}/auth/v1/user", headers={**bearer, "apikey": where["publishable_key"]}
    )
    assert user.json()["error_code"] == "session_not_found"


@pytest.mark.parametrize("what", ["address", "code"])
def test_without_a_browser_here_one_pastes_what_it_ended_at(
    terminal: Terminal, server: Server, what: str
) -> None:
    login = new_login()
    process = terminal.start("login", "--api", server.url, "--no-browser")
    assert process.stderr is not None
    line = ""
    while "/auth/v1/authorize" not in line:
        line = process.stderr.readline()
        assert line, "it ended"
    end = visit(line.strip(), login=login, arrive=False)
    assert end.startswith("http://127.0.0.1:")
    pasted = end if what == "address" else end.rpartition("code=")[2]
    out, err = process.communicate(pasted + "\n", timeout=30)
    assert process.returncode == 0, err
    assert f"as {login}." in out


def test_cancelling_in_the_browser_is_told_and_stores_nothing(terminal: Terminal, server: Server) -> None:
    cancelled = terminal.run("login", server.url, login="-")
    assert cancelled.returncode == 1
    assert "denied" in cancelled.stderr
    assert json.loads(terminal.run("whoami", "--json", "--api", server.url).stdout)["error"]["code"] == (
        "not_signed_in"
    )


async def test_agents_bring_their_credential_along(terminal: Terminal, server: Server, stack: Stack) -> None:
    session = await stack.user()
    email = session["user"]["email"]
    credentials = [
        json.dumps({"email": email, "password": "correct-horse"}),
        json.dumps({"refresh_token": session["refresh_token"]}),
        session["access_token"] + "\n",
    ]
    for given in credentials:
        signed_in = terminal.run("login", server.url, "--with-token", "--json", typed=given)
        assert signed_in.returncode == 0, signed_in.stderr + signed_in.stdout
        assert json.loads(signed_in.stdout)["account"] == session["user"]["id"]
        assert "correct-horse" not in "".join(each.read_text("latin-1") for each in terminal.files())


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ('{"email": "nobody@example.com", "password": "wrong-one"}', 1),
        ('{"email": "nobody@example.com"}', 2),
        ("{", 2),
        ("a.b.c", 2),
        ("not-a-refresh-token", 1),
        ("", 2),
    ],
)
def test_a_credential_that_does_not_hold_is_told_in_a_sentence(
    terminal: Terminal, server: Server, given: str, code: int
) -> None:
    refused = terminal.run("login", server.url, "--with-token", typed=given)
    assert refused.returncode == code, refused.stderr
    assert refused.stderr.startswith("verso: ")
    assert "Traceback" not in refused.stderr


def test_a_token_of_the_environment_wins_and_is_not_stored(
    terminal: Terminal, server: Server, stack: Stack
) -> None:
    token = stack.sign(sub=str(uuid.uuid4()))
    assert terminal.run("token", "--api", server.url, VERSO_TOKEN=token).stdout.strip() == token
    assert not terminal.config.exists()


def test_one_of_several_servers_is_the_default(terminal: Terminal, server: Server, stack: Stack) -> None:
    other = server.url.replace("127.0.0.1", "localhost")
    assert terminal.run("login", server.url, login=new_login()).returncode == 0
    assert terminal.run("login", other, login=new_login()).returncode == 0
    assert json.loads(terminal.run("whoami", "--json").stdout)["server"] == server.url
    assert terminal.run("login", other, "--default", login=new_login()).returncode == 0
    assert json.loads(terminal.run("whoami", "--json").stdout)["server"] == other
    terminal.run("logout")
    assert json.loads(terminal.run("whoami", "--json").stdout)["server"] == server.url


def test_an_address_where_no_verso_is_is_told(terminal: Terminal, stack: Stack) -> None:
    wrong = terminal.run("login", stack.supabase_url)
    assert wrong.returncode == 5
    assert "not as a Verso server" in wrong.stderr
    assert terminal.run("whoami", "--api", "example.com").returncode == 2


def test_what_is_stored_only_its_owner_may_read(terminal: Terminal, server: Server) -> None:
    terminal.run("login", server.url, login=new_login())
    (stored,) = [each for each in terminal.files() if each.suffix == ".login"]
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert stat.S_IMODE(stored.parent.stat().st_mode) == 0o700


def test_signing_out_everywhere_ends_the_other_machines_session(
    terminal: Terminal, server: Server, tmp_path: Path
) -> None:
    login, elsewhere = new_login(), Terminal(tmp_path / "other")
    for each in (terminal, elsewhere):
        assert each.run("login", server.url, login=login).returncode == 0
    assert json.loads(terminal.run("logout", "--everywhere", "--json").stdout)["ended"] is True
    assert elsewhere.run("logout").returncode == 0


# --- the way back ----------------------------------------------------------------------------------------------


def test_only_the_request_that_was_waited_for_ends_the_wait(where: Where) -> None:
    seen: list[int] = []

    def browse(address: str) -> None:
        redirect = httpx.URL(address).params["redirect_to"]
        base = redirect.partition("?")[0]
        with httpx.Client(trust_env=False) as client:
            wrong = [
                f"{base}?code=planted",
                f"{base}?state=guessed&code=planted",
                f"{base}?error=access_denied",
                base.replace("/callback", "/favicon.ico"),
            ]
            seen.extend(client.get(each).status_code for each in wrong)
            seen.append(client.get(f"{redirect}&code=planted", headers={"host": "evil.example"}).status_code)
        visit(address, login="lena")

    session = through_browser(
        where, show=lambda address: threading.Thread(target=browse, args=(address,)).start(), seconds=30
    )
    assert seen == [400, 400, 400, 404, 404]
    with Auth(where) as auth:
        assert auth.by_refresh(session.refresh_token or "").access_token


def test_the_page_at_the_end_says_so_and_keeps_nothing() -> None:
    with receiving() as receiver:
        answer = httpx.get(f"{receiver.redirect_to}&code=c", trust_env=False)
        assert "You may close this page" in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert receiver.wait(1) == "c"
    with pytest.raises(httpx.ConnectError):
        httpx.get(receiver.redirect_to, trust_env=False)


def test_a_connection_on_which_nothing_comes_holds_nobody_up() -> None:
    with receiving() as receiver:
        url = httpx.URL(receiver.redirect_to)
        with socket.create_connection(("127.0.0.1", url.port or 0)):
            httpx.get(f"{receiver.redirect_to}&code=c", trust_env=False, timeout=5)
        assert receiver.wait(1) == "c"


def test_an_address_of_another_sign_in_is_not_taken() -> None:
    with receiving() as receiver:
        receiver.take("http://127.0.0.1:1/callback?state=other&code=planted")
        with pytest.raises(VersoError, match="not the one"):
            receiver.wait(1)


def test_without_a_terminal_the_loopback_address_is_still_heard(where: Where) -> None:
    def browse(address: str) -> None:
        threading.Thread(target=visit, args=(address,), kwargs={"login": "lena"}).start()

    assert through_browser(where, show=browse, paste=lambda: "", seconds=30).access_token


def test_nobody_comes_back(where: Where) -> None:
    with pytest.raises(VersoError) as late:
        through_browser(where, show=lambda _: None, seconds=0.1)
    assert late.value.code == "sign_in_timed_out"


def test_the_address_for_the_browser_holds_the_challenge_and_never_the_verifier(where: Where) -> None:
    shown: list[Any] = []
    with pytest.raises(VersoError):
        through_browser(where, show=shown.append, seconds=0.05)
    params = httpx.URL(shown[0]).params
    assert params["code_challenge_method"] == "s256"
    assert len(params["code_challenge"]) == 43
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback\?state=[\w-]{32}", params["redirect_to"])
