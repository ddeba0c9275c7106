"""Stored logins: fresh when they are asked for, whole whatever happens, and one session for many processes."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from app.client.api import Api
from app.client.auth import Auth, Session, Where
from app.client.credentials import Login, Logins
from app.client.vault import Vault
from app.errors import VersoError
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack import Stack

SERVER = "https://verso.example.com"


class Ring:
    """A keyring in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    return logins_in(tmp_path)


def logins_in(directory: Path, **options: Any) -> Logins:
    return Logins(Vault(directory / "logins", find_ring=lambda: None), **options)


async def stored(logins: Logins, stack: Stack, *, life: float, where: Where | None = None) -> Login:
    """A login whose access token has so many seconds of life, as far as this machine knows."""
    session = await stack.user()
    login = Login(
        server=SERVER,
        where=where or Where(supabase_url=stack.supabase_url, publishable_key=stack.publishable_key),
        session=Session(
            access_token=session["access_token"],
            refresh_token=session["refresh_token"],
            expires_at=time.time() + life,
        ),
        account=session["user"]["id"],
        name="ada",
    )
    logins.store(login)
    return login


async def tokens_of(stack: Stack, login: Login) -> int:
    """How many refresh tokens the account's sessions ever had."""
    rows = await stack.psql("select 1 from auth.refresh_tokens where user_id = $1", login.account)
    return len(rows)


# --- fresh -----------------------------------------------------------------------------------------------------


async def test_a_token_with_life_left_is_used_as_it_is(logins: Logins, stack: Stack) -> None:
    login = await stored(logins, stack, life=61)
    assert logins.source(SERVER).token() == login.session.access_token
    assert await tokens_of(stack, login) == 1


async def test_a_token_about_to_end_is_made_fresh_and_stored(logins: Logins, stack: Stack) -> None:
    login = await stored(logins, stack, life=59)
    fresh = logins.source(SERVER).token()
    assert fresh != login.session.access_token
    kept = logins.find(SERVER)
    assert kept is not None
    assert kept.session.access_token == fresh
    assert kept.session.refresh_token != login.session.refresh_token
    assert kept.session.expires_at == pytest.approx(time.time() + 3600, abs=60)


async def test_twenty_threads_refresh_once(logins: Logins, stack: Stack) -> None:
    login = await stored(logins, stack, life=0)
    with ThreadPoolExecutor(20) as threads:
        tokens = set(threads.map(lambda _: logins.source(SERVER).token(), range(20)))
    assert len(tokens) == 1
    assert await tokens_of(stack, login) == 2


@pytest.mark.slow
async def test_many_processes_refresh_once_and_the_session_lives_on(tmp_path: Path, stack: Stack) -> None:
    logins = logins_in(tmp_path)
    login = await stored(logins, stack, life=0)
    script = (
        "import sys; from pathlib import Path; from tests.client.test_credentials import logins_in, SERVER\n"
        "print(logins_in(Path(sys.argv[1])).source(SERVER).token())"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, str(tmp_path), cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(5)
    ]
    tokens = {(await process.communicate())[0] for process in processes}
    assert len(tokens) == 1
    assert await tokens_of(stack, login) == 2


async def test_a_process_killed_between_the_refresh_and_the_file_loses_nothing(
    logins: Logins, stack: Stack
) -> None:
    login = await stored(logins, stack, life=0)
    logins.source(SERVER).token()
    logins.store(login)  # as if the answer had never been written down
    await stack.psql(
        "update auth.refresh_tokens set updated_at = now() - interval '1 hour' where user_id = $1",
        login.account,
    )
    token = logins.source(SERVER).token()
    assert token is not None
    assert await tokens_of(stack, login) == 2
    logins.store(msgspec.structs.replace(login, session=kept_of(logins, expires_at=0.0)))
    assert logins.source(SERVER).token() not in {None, token}


async def test_a_session_that_is_over_is_told_with_what_to_do(logins: Logins, stack: Stack) -> None:
    login = await stored(logins, stack, life=0)
    await stack.psql("delete from auth.sessions where user_id = $1::uuid", login.account)
    with pytest.raises(VersoError) as over:
        logins.source(SERVER).token()
    assert over.value.code == "not_signed_in"
    assert f"verso login --api {SERVER}" in over.value.sentence


async def test_while_auth_is_silent_the_rest_of_a_tokens_life_is_used(logins: Logins, stack: Stack) -> None:
    nowhere = Where(supabase_url="http://127.0.0.1:9", publishable_key="k")
    login = await stored(logins, stack, life=30, where=nowhere)
    assert logins.source(SERVER).token() == login.session.access_token
    logins.store(
        msgspec.structs.replace(login, session=msgspec.structs.replace(login.session, expires_at=0.0))
    )
    with pytest.raises(VersoError) as silent:
        logins.source(SERVER).token()
    assert silent.value.code == "unreachable"
    assert logins.find(SERVER) is not None


def test_an_access_token_that_was_brought_along_ends_when_it_ends(logins: Logins) -> None:
    session = Session(access_token="a.b.c", refresh_token=None, expires_at=time.time() + 30)
    login = Login(
        server=SERVER, where=Where("http://127.0.0.1:9", "k"), session=session, account="x", name="x"
    )
    logins.store(login)
    assert logins.source(SERVER).token() == "a.b.c"
    logins.store(msgspec.structs.replace(login, session=msgspec.structs.replace(session, expires_at=0.0)))
    with pytest.raises(VersoError, match="nothing can make it fresh"):
        logins.source(SERVER).token()


async def test_expiry_is_by_this_machines_clock_however_wrong_it_is(tmp_path: Path, stack: Stack) -> None:
    def years_ago() -> float:
        return 1_000_000_000.0

    logins = logins_in(tmp_path, clock=years_ago, auth=lambda where: Auth(where, clock=years_ago))
    login = await stored(logins, stack, life=0)
    logins.store(
        msgspec.structs.replace(
            login, session=msgspec.structs.replace(login.session, expires_at=years_ago() + 5)
        )
    )
    logins.source(SERVER).token()
    kept = logins.find(SERVER)
    assert kept is not None
    assert kept.session.expires_at == years_ago() + 3600


# --- refused ---------------------------------------------------------------------------------------------------


async def test_a_refused_token_is_replaced_once(logins: Logins, stack: Stack) -> None:
    login = await stored(logins, stack, life=3000)
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["authorization"])
        return httpx.Response(401, json={}, headers={"content-type": "application/problem+json"})

    with (
        Api(SERVER, logins.source(SERVER), transport=httpx.MockTransport(refuse)) as api,
        pytest.raises(VersoError),
    ):
        api.get("/v1/me")
    assert len(set(asked)) == len(asked) == 2
    assert await tokens_of(stack, login) == 2


async def test_a_refused_token_whose_session_is_over_has_no_replacement(logins: Logins, stack: Stack) -> None:
    login = await stored(logins, stack, life=3000)
    await stack.psql("delete from auth.sessions where user_id = $1::uuid", login.account)
    assert logins.source(SERVER).refused(login.session.access_token) is None


def test_without_a_login_there_is_no_token(logins: Logins) -> None:
    source = logins.source(SERVER)
    assert source.token() is None
    assert source.refused("x") is None
    assert logins.servers() == []
    assert logins.default() is None


# --- stored ----------------------------------------------------------------------------------------------------


def kept_of(logins: Logins, **changed: Any) -> Session:
    found = logins.find(SERVER)
    assert found is not None
    return msgspec.structs.replace(found.session, **changed)


def a_login(server: str = SERVER, token: str = "secret-token") -> Login:
    session = Session(access_token=token, refresh_token="secret-refresh", expires_at=time.time() + 3000)
    return Login(
        server=server, where=Where("http://127.0.0.1:9", "k"), session=session, account="x", name="x"
    )


def test_servers_keep_their_addresses_and_one_is_the_default(logins: Logins) -> None:
    other = "http://localhost:8000/under/a/path"
    for server in (SERVER, other):
        logins.store(a_login(server))
    assert set(logins.servers()) == {SERVER, other}
    assert logins.default() is None
    logins.set_default(other)
    assert logins.default() == other
    logins.forget(other)
    assert logins.default() == SERVER
    assert logins.find(other) is None


def nothing_but(ring: Ring | None) -> Ring | None:
    return ring


def test_with_a_keyring_the_files_hold_nothing_readable(tmp_path: Path) -> None:
    ring = Ring()
    sealed = Logins(Vault(tmp_path, find_ring=lambda: ring))
    sealed.store(a_login())
    assert sealed.is_sealed
    written = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"secret" not in written
    assert sealed.source(SERVER).token() == "secret-token"

    for without in (Ring(), None):
        with pytest.raises(VersoError) as closed:
            Logins(Vault(tmp_path, find_ring=partial(nothing_but, without))).find(SERVER)
        assert closed.value.code == "not_signed_in"
    # Signing in again is what the sentence says, and it works.
    anew = Logins(Vault(tmp_path, find_ring=lambda: None))
    anew.store(a_login(token="new"))
    assert anew.source(SERVER).token() == "new"


def test_two_first_sign_ins_at_once_share_one_key(tmp_path: Path) -> None:
    class Slow(Ring):
        def get_password(self, service: str, username: str) -> str | None:
            found = super().get_password(service, username)
            time.sleep(0.05)
            return found

    ring = Slow()
    servers = [f"https://s{number}.example.com" for number in range(4)]

    def sign_in(server: str) -> None:
        Logins(Vault(tmp_path, find_ring=lambda: ring)).store(a_login(server))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(sign_in, servers))
    read = Logins(Vault(tmp_path, find_ring=lambda: ring))
    assert [read.source(server).token() for server in servers] == ["secret-token"] * 4


def test_a_reader_sees_the_old_login_or_the_new_one(logins: Logins) -> None:
    logins.store(a_login(token="0"))
    done = threading.Event()
    seen: set[str] = set()

    def read() -> None:
        while not done.is_set():
            found = logins.find(SERVER)
            assert found is not None
            seen.add(found.session.access_token)

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read)
        for number in range(100):
            logins.store(a_login(token=str(number)))
        done.set()
        reading.result(30)
    assert "99" in seen | {logins.find(SERVER).session.access_token}  # type: ignore[union-attr]


def test_where_nothing_can_be_written_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "logins").write_text("a file where the folder should be")
    with pytest.raises(VersoError) as told:
        logins_in(tmp_path).store(a_login())
    assert told.value.code == "login_not_stored"
    assert "VERSO_CONFIG_DIR" in told.value.sentence


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"verso-sealed-1\nnonsense", b"\xff\xfe"])
def test_a_damaged_login_is_told_with_what_to_do(tmp_path: Path, damage: bytes) -> None:
    logins = logins_in(tmp_path)
    logins.store(a_login())
    (file,) = (tmp_path / "logins").glob("*.login")
    file.write_bytes(damage)
    with pytest.raises(VersoError) as told:
        logins.find(SERVER)
    assert told.value.code == "not_signed_in"
    assert "verso login" in told.value.sentence
    logins.forget(SERVER)
    assert logins.servers() == []
