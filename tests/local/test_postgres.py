"""The launcher: what starts, what ends with it, and who may own a data directory."""

# ruff: noqa: ASYNC220, ASYNC221, ASYNC240, PT012 - nothing else runs on this loop; servers die within a block

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psutil
import pytest

from app.local.binaries import PostgresMissing, find_binaries
from app.local.cluster import create_cluster
from app.local.database import UNREACHABLE
from app.local.ownership import DataDirectoryInUse
from app.local.postgres import Postgres, PostgresError
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEM_BINARIES = Path("/usr/lib/postgresql/15/bin")
INSTALLATIONS = [
    pytest.param(None, id="wheel"),
    pytest.param(
        SYSTEM_BINARIES,
        id="system-15",
        marks=pytest.mark.skipif(not SYSTEM_BINARIES.exists(), reason="there's no system PostgreSQL 15 here"),
    ),
]


def servers_on(data: Path) -> list[psutil.Process]:
    """Every process whose command line or open socket names this directory's cluster."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(data / "pg") in " ".join(process.cmdline()):
                found.append(process)
    return found


def until(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it didn't come true in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster that no server has run on: to copy it takes a tenth of what making one takes."""
    directory = tmp_path_factory.mktemp("made")
    create_cluster(find_binaries(), directory)
    return directory / "pg"


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """A data directory with a cluster in it, for a server that needn't make one."""
    shutil.copytree(made, tmp_path / "data" / "pg")
    return tmp_path / "data"


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A server that makes its cluster, unless the test has `data`."""
    server = Postgres(tmp_path / "data")
    yield server
    server.stop()
    until(lambda: servers_on(tmp_path / "data") == [])  # the watchdog ends a moment later


async def value(server: Postgres, sql: str, user: str = "supabase_admin"):
    conn = await asyncpg.connect(server.dsn(user))
    try:
        return await conn.fetchval(sql)
    finally:
        await conn.close()


@pytest.mark.parametrize("bin_dir", INSTALLATIONS)
async def test_a_cluster_is_made_once_and_keeps_its_data(tmp_path: Path, bin_dir: Path | None):
    server = Postgres(tmp_path, bin_dir=bin_dir)
    server.start()
    try:
        assert await value(server, "show data_checksums") == "on"
        assert await value(server, "show fsync") == "on"
        assert await value(server, "show synchronous_commit") == "on"
        assert await value(server, "show server_encoding") == "UTF8"
        assert await value(server, "select lower('ÄÖÜ') || ' ' || ('a' < 'B')") == "äöü false"
        assert await value(server, "create table kept (n int)") is None
        assert await value(server, "insert into kept values (7) returning n") == 7
        server.stop()
        server.start()
        assert await value(server, "select n from kept") == 7
    finally:
        server.stop()


async def test_nothing_listens_on_tcp_without_a_port(data: Path, postgres: Postgres):
    postgres.start()
    assert await value(postgres, "show listen_addresses") == ""
    connections = psutil.Process(postgres.pid).net_connections("inet")
    assert connections == []


async def test_with_a_port_loopback_takes_the_password_and_nothing_else(data: Path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Postgres(data, port=port)
    server.start()
    try:
        statement = f"create role postgres login password '{server.password}'"
        await value(server, statement)
        conn = await asyncpg.connect(server.url())
        assert await conn.fetchval("select current_user") == "postgres"
        await conn.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url().replace(server.password, "wrong"))
        addresses = {connection.laddr.ip for connection in psutil.Process(server.pid).net_connections("inet")}
        assert addresses == {"127.0.0.1"}
        assert (data / "postgres.password").stat().st_mode & 0o777 == 0o600
    finally:
        server.stop()


def test_only_its_owner_can_reach_the_socket_and_the_data(postgres: Postgres):
    postgres.start()
    assert postgres.socket_dir.stat().st_mode & 0o777 == 0o700
    assert postgres.data_dir.stat().st_mode & 0o777 == 0o700


async def test_a_deep_data_directory_gets_a_short_socket_path(tmp_path: Path):
    server = Postgres(tmp_path / ("d" * 60) / ("e" * 60))
    server.start()
    try:
        assert len(str(server.socket_dir)) < 60
        assert await value(server, "select 1") == 1
    finally:
        server.stop()
        server.socket_dir.rmdir()


@pytest.mark.parametrize("name", ["with blanks", "a, b", 'it\'s "quoted"', "ümlaut %20 #?&"])
async def test_a_data_directory_may_have_any_name(tmp_path: Path, name: str):
    server = Postgres(tmp_path / name)
    server.start()
    try:
        assert await value(server, "select 1") == 1
        with pytest.raises(DataDirectoryInUse):
            Postgres(tmp_path / name).start()
    finally:
        server.stop()


async def test_the_users_own_environment_does_not_reach_the_server(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PGDATA", "/nonexistent")
    monkeypatch.setenv("PGOPTIONS", "-c fsync=off")
    monkeypatch.setenv("PGPORT", "1")
    postgres.start()
    assert await value(postgres, "show fsync") == "on"


def test_a_second_owner_is_refused_in_words(data: Path, postgres: Postgres):
    postgres.start()
    script = (
        "import sys; from pathlib import Path; from app.local.postgres import Postgres\n"
        "try: Postgres(Path(sys.argv[1])).start()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    command = [sys.executable, "-c", script, str(postgres.data_dir)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.startswith("DataDirectoryInUse")
    assert f"in use by process {os.getpid()}" in shown
    with pytest.raises(DataDirectoryInUse, match="already runs"):
        postgres.start()
    assert psutil.pid_exists(postgres.pid)


async def test_kill_9_of_the_owner_takes_the_server_along_and_loses_nothing(data: Path):
    script = (
        "import sys, time; from pathlib import Path; from app.local.postgres import Postgres\n"
        "server = Postgres(Path(sys.argv[1])); server.start(); print(server.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", script, str(data)], stdout=subprocess.PIPE, text=True)
    assert int(owner.stdout.readline())
    server = Postgres(data)
    await value(server, "create table kept (n int)")
    await value(server, "insert into kept values (1)")
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: servers_on(data) == [])
    server.start()
    try:
        assert await value(server, "select count(*) from kept") == 1
    finally:
        server.stop()


async def test_a_new_owner_may_start_the_moment_the_old_one_was_killed(data: Path):
    script = (
        "import sys, time; from pathlib import Path; from app.local.postgres import Postgres\n"
        "server = Postgres(Path(sys.argv[1])); server.start(); print(server.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", script, str(data)], stdout=subprocess.PIPE, text=True)
    owner.stdout.readline()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    server = Postgres(data)
    server.start()
    try:
        assert await value(server, "select 1") == 1
    finally:
        server.stop()


async def test_after_kill_9_under_load_every_acknowledged_row_is_there(data: Path, postgres: Postgres):
    postgres.start()
    await value(postgres, "create table kept (n int primary key)")
    conn = await asyncpg.connect(postgres.dsn("supabase_admin"))
    acknowledged = 0
    with pytest.raises(UNREACHABLE):
        for number in range(100_000):
            await conn.execute("insert into kept values ($1)", number)
            acknowledged = number + 1
            if number == 500:
                os.kill(postgres.pid, signal.SIGKILL)
    postgres.wait()
    postgres.restart()
    assert await value(postgres, "select count(*) from kept") in {acknowledged, acknowledged + 1}
    assert acknowledged > 500


def test_the_pid_of_an_unrelated_process_in_a_stale_file_does_not_matter(data: Path, postgres: Postgres):
    postgres.start()
    pid_file = postgres.data_dir / "pg" / "postmaster.pid"
    stale = pid_file.read_text().splitlines()
    postgres.kill()
    # As after a restart of the machine: the file is there, and its number belongs to somebody else (init).
    pid_file.write_text("\n".join(["1", *stale[1:]]) + "\n")
    postgres.start()
    assert postgres.pid != 1


def test_initdb_that_was_interrupted_leaves_nothing_that_counts(postgres: Postgres):
    half = postgres.data_dir / "pg.deadbeef"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    postgres.start()
    assert (postgres.data_dir / "pg" / "PG_VERSION").exists()
    assert not half.exists()


def test_a_server_that_cannot_start_tells_its_log(tmp_path: Path):
    server = Postgres(tmp_path, options={"shared_buffers": "nonsense"})
    with pytest.raises(PostgresError, match="shared_buffers"):
        server.start()
    # The failed start gave the directory up.
    working = Postgres(tmp_path)
    working.start()
    working.stop()


def test_programs_of_another_major_version_are_refused_in_words(data: Path):
    server = Postgres(data)
    server.start()
    server.stop()
    version = data / "pg" / "PG_VERSION"
    version.write_text("14\n")
    with pytest.raises(PostgresMissing, match="was made by PostgreSQL 14"):
        server.start()


def test_without_the_wheel_the_systems_postgresql_is_taken(monkeypatch: pytest.MonkeyPatch):
    if not SYSTEM_BINARIES.exists():
        pytest.skip("there's no system PostgreSQL 15 here")
    assert find_binaries().major >= 18
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert find_binaries().bin_dir == SYSTEM_BINARIES


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs to become somebody else")
async def test_where_namespaces_are_switched_off_nobody_runs_it(monkeypatch: pytest.MonkeyPatch):
    """As in most containers. The directory is one that nobody may reach, unlike pytest's own."""
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "unshare" else which(name))
    data = Path(tempfile.mkdtemp(prefix="verso-nobody-"))
    data.chmod(0o755)
    server = Postgres(data / "data", bin_dir=SYSTEM_BINARIES if SYSTEM_BINARIES.exists() else None)
    try:
        for _ in range(2):
            server.start()
            assert psutil.Process(server.pid).uids().real == 65534
            assert await value(server, "select 1") == 1
            server.stop()
    finally:
        server.stop()
        shutil.rmtree(data)


def test_a_directory_without_programs_is_refused_in_words(tmp_path: Path):
    with pytest.raises(PostgresMissing, match="holds no PostgreSQL 15 or newer"):
        find_binaries(tmp_path)


# --- the whole process -----------------------------------------------------------------------------------------


async def test_kill_9_of_the_gateway_leaves_no_process(tmp_path: Path):
    stack = Stack(tmp_path / "data", migrations=None).start()
    assert servers_on(stack.data)
    stack.process.kill()
    stack.process.wait()
    until(lambda: servers_on(tmp_path / "data") == [])
    stack.kill()


async def test_the_end_of_the_lifeline_ends_everything(tmp_path: Path):
    stack = Stack(tmp_path / "data", migrations=None).start()
    os.close(stack._lifeline)
    stack._lifeline = None
    assert stack.process.wait(60) == 0
    until(lambda: servers_on(stack.data) == [])
    stack.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_everything_in_order(tmp_path: Path, number: signal.Signals):
    stack = Stack(tmp_path / "data", migrations=None).start()
    stack.process.send_signal(number)
    assert stack.process.wait(60) == 0
    until(lambda: servers_on(stack.data) == [])
    assert "database system is shut down" in (stack.data / "postgres.log").read_text()
    stack.stop()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("delay", [0.3, 0.7, 1.2])
async def test_an_end_at_any_moment_of_the_first_start_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, delay: float
):
    data = tmp_path / "data"
    command = [sys.executable, "-m", "app.local", "--data", str(data), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(delay)  # noqa: ASYNC251
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    until(lambda: servers_on(data) == [])
    assert "Traceback" not in stderr
    with Stack(data, migrations=None) as stack:
        assert await stack.psql("select count(*) from auth.users") == [(0,)]


async def test_a_killed_postgresql_is_back_at_once(tmp_path: Path):
    with Stack(tmp_path / "data", migrations=None) as stack:
        session = await stack.user()
        for _ in range(3):
            stack.kill_postgres()
            # The next request waits for the server and succeeds; nobody has to try again.
            again = await stack.until(stack.user)
            assert again["user"]["id"] != session["user"]["id"]
        rows = await stack.psql("select count(*) from auth.users")
        assert rows[0][0] >= 4


@pytest.mark.slow
async def test_a_second_start_costs_little_more_than_its_imports(tmp_path: Path):
    """Some 0.7 s on an idle machine. Compared with the libraries' imports, because machines and loads differ."""
    stack = Stack(tmp_path / "data")
    stack.start()
    stack.stop()
    libraries = "import asyncpg, bcrypt, jwt, starlette.applications, starlette.formparsers, uvicorn, uvloop"
    starts, imports = [], []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", libraries], check=True)
        imports.append(time.monotonic() - started)
        started = time.monotonic()
        stack.start()
        starts.append(time.monotonic() - started)
        stack.stop()
    assert min(starts) < 2.5 * min(imports), (starts, imports)


async def test_a_taken_port_is_refused_in_words(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "app.local", "--data", str(tmp_path / "data"), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"Port {port} can't be used" in done.stderr
    assert "Traceback" not in done.stderr
    until(lambda: servers_on(tmp_path / "data") == [])


async def test_a_port_that_is_taken_while_postgresql_starts_is_refused_in_words(tmp_path: Path):
    data = tmp_path / "data"
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))  # two may be bound, as long as neither listens
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "app.local", "--data", str(data), "--port", str(port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
            until((data / "owner.lock").exists)
            taken.listen()
            _, said = started.communicate()
    assert started.returncode == 1
    assert f"Port {port} can't be used" in said
    assert "Traceback" not in said
    until(lambda: servers_on(data) == [])


@pytest.mark.parametrize("option", [["--port", "99999"], ["--port", "0", "--data", "/dev/null"]])
async def test_what_cannot_be_begun_is_refused_in_words(tmp_path: Path, option: list[str]):
    command = [sys.executable, "-m", "app.local", "--data", str(tmp_path / "data"), *option]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "can't be used" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_second_gateway_on_the_data_is_refused_in_words(tmp_path: Path):
    with Stack(tmp_path / "data", migrations=None) as stack:
        command = [sys.executable, "-m", "app.local", "--data", str(stack.data), "--port", "0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"in use by process {stack.pid}" in done.stderr
        assert "Traceback" not in done.stderr
        assert await stack.psql("select 1") == [(1,)]


@pytest.mark.skipif(not SYSTEM_BINARIES.exists(), reason="there's no system PostgreSQL 15 here")
async def test_the_projects_migrations_run_on_postgresql_15(tmp_path: Path):
    with Stack(tmp_path / "data", bin_dir=SYSTEM_BINARIES) as stack:
        [row] = await stack.psql(
            "select current_setting('server_version_num')::int / 10000, count(*) "
            "from supabase_migrations.schema_migrations"
        )
        assert row[0] == 15
        assert row[1] == len(list(stack.migrations.glob("*.sql")))
        assert (await stack.user())["user"]["role"] == "authenticated"
