"""A pool of connections that all are one role.

A connection signs in once, becomes its role and keeps it, so that a request costs no round trip for SET ROLE
and none for a reset: what a request sets is local to its transaction. Dead connections are dropped and new
ones made; while PostgreSQL restarts, whoever needs a connection waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RECONNECT_SECONDS = 10.0

# Signing in applies a role's own settings (statement_timeout, say); becoming it doesn't.
_OWN_SETTINGS = """
select set_config(split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1), false)
from pg_catalog.pg_roles, unnest(rolconfig) as setting
where rolname = $1
"""

# PostgreSQL is starting, stopping or gone: the socket refuses, isn't there, or the server says so.
# InternalClientError is what asyncpg raises on a connection that was told of the shutdown and not closed yet.
UNREACHABLE = (
    OSError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InterfaceError,
)


class DatabaseUnavailable(Exception):  # noqa: N818 - it says what is the matter
    """PostgreSQL didn't answer within RECONNECT_SECONDS. Safe to try again: nothing was begun."""


class Pool:
    """Connections of one role, newest first, so that few stay warm instead of all being lukewarm."""

    def __init__(self, dsn: str, *, role: str, size: int, sign_in: str) -> None:
        self._dsn = dsn
        self._role = role
        self._sign_in = sign_in
        self._room = asyncio.Semaphore(size)
        self._idle: deque[asyncpg.Connection] = deque()
        self._closed = False

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection; one that comes back inside a transaction or broken is discarded.

        Raises DatabaseUnavailable when PostgreSQL can't be reached.
        """
        conn = await self.take()
        try:
            yield conn
        finally:
            self.give_back(conn)

    async def take(self) -> asyncpg.Connection:
        """Take a connection out; whoever takes it gives it back."""
        await self._room.acquire()
        try:
            while self._idle:
                conn = self._idle.pop()
                if not conn.is_closed():
                    return conn
            return await self._connect()
        except BaseException:
            self._room.release()
            raise

    def give_back(self, conn: asyncpg.Connection) -> None:
        """Return a connection that `take` lent."""
        self._room.release()
        if conn.is_closed():
            return
        if self._closed or conn.is_in_transaction():
            conn.terminate()
        else:
            self._idle.append(conn)

    async def _connect(self) -> asyncpg.Connection:
        deadline = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                conn = await asyncpg.connect(self._dsn, user=self._sign_in, timeout=RECONNECT_SECONDS)
                try:
                    await self._become(conn)
                except BaseException:
                    conn.terminate()
                    raise
            except UNREACHABLE as error:
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable("PostgreSQL isn't answering; try again in a moment.") from error
                await asyncio.sleep(0.02)
            else:
                return conn

    async def _become(self, conn: asyncpg.Connection) -> None:
        if self._role != self._sign_in:
            await conn.execute(_OWN_SETTINGS, self._role)
            await conn.execute(f"set role {self._role}")

    async def close(self) -> None:
        """Close what is idle; connections that are lent out close when they come back."""
        self._closed = True
        while self._idle:
            with contextlib.suppress(*UNREACHABLE, asyncio.TimeoutError):
                await self._idle.pop().close(timeout=1)
