"""The life of the running process: get ready, say so, watch over PostgreSQL, and end when told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import tomllib
from typing import TYPE_CHECKING, Any

import asyncpg
import uvicorn

from app.local.auth.github import read_people
from app.local.auth.hooks import password_hook
from app.local.auth.redirects import Redirects
from app.local.binaries import port_unusable
from app.local.bootstrap import bootstrap
from app.local.database import Database
from app.local.gateway import Options, create_gateway
from app.local.keys import Keys
from app.local.migrate import migrate
from app.local.realtime import Limits, Realtime
from app.settings import data_directory

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from app.local.postgres import Postgres

DRAIN_SECONDS = 3
KEEP_ALIVE_SECONDS = 75
# Where `verso dev` serves; GoTrue has no sign-in without a site.
DEFAULT_SITE_URL = "http://127.0.0.1:8000"


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process before PostgreSQL is stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve_until_told(
    postgres: Postgres,
    *,
    listener: socket.socket,
    migrations: Path | None,
    lifeline: int | None,
    file_size_limit: int,
    site_url: str | None,
) -> None:
    """Serve until SIGINT, SIGTERM or the end of the lifeline.

    Raises MigrationError when migrations can't be applied, PostgresError when PostgreSQL can't be started.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(
            _serve(
                postgres,
                listener=listener,
                migrations=migrations,
                lifeline=lifeline,
                file_size_limit=file_size_limit,
                site_url=site_url,
            )
        )


def _loop_factory() -> Any:
    try:
        import uvloop  # noqa: PLC0415 - not on every system
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(
    postgres: Postgres,
    *,
    listener: socket.socket,
    migrations: Path | None,
    lifeline: int | None,
    file_size_limit: int,
    site_url: str | None,
) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    if lifeline is not None:
        os.set_blocking(lifeline, False)
        loop.add_reader(lifeline, _read_lifeline, lifeline, told)

    keys = Keys.load(postgres.data_dir)
    await asyncio.to_thread(postgres.wait_until_ready)
    await _prepare(postgres, migrations)
    database = await Database.connect(postgres.dsn("supabase_admin"))
    limits = Limits()
    realtime = Realtime(database, keys, limits)
    realtime.start()
    own_url = "http://{}:{}".format(*listener.getsockname())
    auth = _auth_of(migrations)
    gateway = create_gateway(
        keys=keys,
        database=database,
        realtime=realtime,
        data_dir=postgres.data_dir,
        options=Options(
            own_url=own_url,
            file_size_limit=file_size_limit,
            redirects=Redirects(
                site_url or auth.get("site_url", DEFAULT_SITE_URL),
                tuple(auth.get("additional_redirect_urls", ())),
            ),
            password_hook=password_hook(auth),
            people=read_people(data_directory("fixtures") / "demo" / "people.toml"),
        ),
    )
    server = _Server(
        uvicorn.Config(
            gateway,
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=limits.frame,
            # Small frames for one machine: hosted servers don't compress either.
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            # Longer than a client's pool keeps a connection: closing first would race with its next request.
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
    )
    try:
        listener.listen(2048)
    except OSError as error:  # another one was bound to it as well, and listened first
        raise port_unusable(listener.getsockname()[1], error) from error
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    watching = asyncio.create_task(_keep_running(postgres, told))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.001)
    _announce(postgres, keys=keys, own_url=own_url)
    ending = asyncio.create_task(told.wait())
    await asyncio.wait((ending, serving, watching), return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    await realtime.stop()
    await database.close()
    ending.cancel()
    if watching.done():
        watching.result()
    watching.cancel()


async def _prepare(postgres: Postgres, migrations: Path | None) -> None:
    admin = await asyncpg.connect(postgres.dsn("supabase_admin"))
    try:
        await bootstrap(admin, password=postgres.password)
    finally:
        await admin.close()
    if migrations is not None:
        await migrate(postgres.dsn(), migrations)


def _auth_of(migrations: Path | None) -> dict[str, Any]:
    """`[auth]` of the config.toml beside the migrations: where sign-ins may end, and the password hook."""
    config = migrations.parent / "config.toml" if migrations else None
    if config is None or not config.exists():
        return {}
    found: dict[str, Any] = tomllib.loads(config.read_text(encoding="utf-8")).get("auth", {})
    return found


def _announce(postgres: Postgres, *, keys: Keys, own_url: str) -> None:
    ready = {
        "supabase_url": own_url,
        "publishable_key": keys.publishable_key,
        "secret_key": keys.secret_key,
        "anon_key": keys.anon_key,
        "service_role_key": keys.service_role_key,
        "jwks": keys.jwks(),
        "db_url": postgres.url(),
        "postgres_pid": postgres.pid,
    }
    sys.stderr.write(f"Embedded Supabase at {own_url}: for laptops, tests and demos, on this machine only.\n")
    sys.stdout.write(json.dumps(ready, separators=(",", ":")) + "\n")
    sys.stdout.flush()


async def _keep_running(postgres: Postgres, told: asyncio.Event) -> None:
    """Start PostgreSQL again whenever it ends; when that fails, tell the process to end too."""
    while not told.is_set():
        await _end_of(postgres)
        if told.is_set():
            return
        sys.stderr.write("PostgreSQL ended unexpectedly; starting it again.\n")
        await asyncio.to_thread(postgres.restart)


async def _end_of(postgres: Postgres) -> None:
    """Wait for the server's end in a daemon thread: the loop's own threads would keep us from ending."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def wait() -> None:
        postgres.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, name="postgres-wait", daemon=True).start()
    await ended.wait()


def _read_lifeline(descriptor: int, told: asyncio.Event) -> None:
    with contextlib.suppress(BlockingIOError):
        if not os.read(descriptor, 1024):
            asyncio.get_running_loop().remove_reader(descriptor)
            told.set()
