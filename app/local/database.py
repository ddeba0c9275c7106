"""The way into PostgreSQL: a pool of connections for each role, and a transaction that carries a caller's claims.

A connection signs in once, becomes its role and keeps it, so that a request costs no round trip for SET ROLE
and none for a reset: what a request sets is local to its transaction. After PostgreSQL was killed and
restarted, dead connections are dropped and new ones made; a request that comes meanwhile waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from app.local.caller import Caller

RECONNECT_SECONDS = 10.0
CANCEL_SECONDS = 5.0

# How many connections each kind may hold; together they stay below max_connections (100).
SIZES = {"anon": 10, "authenticated": 24, "service_role": 12, "supabase_admin": 8}
ADMIN_ROLES = ("supabase_auth_admin", "supabase_storage_admin")
ADMIN_SIZE = 12

# PostgreSQL is starting, stopping or gone: the socket refuses, isn't there, or the server says so. InternalClientError is
# what asyncpg raises on a connection that was told of the shutdown and not closed yet.
UNREACHABLE = (
    OSError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InterfaceError,
)


class DatabaseUnavailable(Exception):
    """PostgreSQL didn't answer within RECONNECT_SECONDS. Safe to try again: nothing was begun."""


class UnknownRole(Exception):
    """The token names a role that the API doesn't serve."""


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
                if self._role != self._sign_in:
                    # Signing in applies a role's own settings (statement_timeout), becoming it doesn't.
                    await conn.execute(
                        "select set_config(split_part(s, '=', 1), substr(s, strpos(s, '=') + 1), false) "
                        f"from pg_catalog.pg_roles, unnest(rolconfig) s where rolname = '{self._role}'; "
                        f"set role {self._role}"
                    )
            except UNREACHABLE as error:
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable("PostgreSQL isn't answering; try again in a moment.") from error
                await asyncio.sleep(0.02)
            else:
                return conn

    async def close(self) -> None:
        """Close what is idle; connections that are lent out close when they come back."""
        self._closed = True
        while self._idle:
            with contextlib.suppress(*UNREACHABLE, asyncio.TimeoutError):
                await self._idle.pop().close(timeout=1)


class Database:
    """The pools of one PostgreSQL. `await Database.connect(dsn)` proves that it answers."""

    def __init__(self, dsn: str) -> None:
        self._pools = {
            role: Pool(
                dsn,
                role=role,
                size=size,
                sign_in="supabase_admin" if role == "supabase_admin" else "authenticator",
            )
            for role, size in SIZES.items()
        }
        self._admins = {role: Pool(dsn, role=role, size=ADMIN_SIZE, sign_in=role) for role in ADMIN_ROLES}

    @classmethod
    async def connect(cls, dsn: str) -> Database:
        """Open the pools. `dsn` names the server; users are chosen here."""
        database = cls(dsn)
        async with database.admin().connection():
            return database

    def pool(self, role: str) -> Pool:
        """The pool whose connections are `role` (anon, authenticated, service_role). Raises UnknownRole."""
        try:
            return self._pools[role]
        except KeyError:
            raise UnknownRole(f'role "{role}" does not exist') from None

    def admin(self, role: str = "supabase_admin") -> Pool:
        """The pool for a server's own bookkeeping: supabase_admin, supabase_auth_admin, supabase_storage_admin."""
        return self._admins.get(role) or self._pools[role]

    @contextlib.asynccontextmanager
    async def transaction(
        self,
        caller: Caller,
        *,
        read_only: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> AsyncIterator[asyncpg.Connection]:
        """Run a transaction as the caller: three round trips and the statements in between.

        `settings` are further settings local to the transaction (request.method, storage.operation, …).
        Committed when the block ends, rolled back when it raises; a block that swallows a database error can't
        commit and raises asyncpg.InFailedSQLTransactionError. Raises UnknownRole, DatabaseUnavailable.
        """
        pool = self.pool(caller.role)
        begin = _begin(caller, read_only=read_only, settings=settings)
        conn = await _begun(pool, begin)
        try:
            try:
                yield conn
            except BaseException:
                await _roll_back(conn)
                raise
            if await conn.execute("COMMIT") == "ROLLBACK":
                raise asyncpg.InFailedSQLTransactionError("The transaction had failed and was rolled back.")
        finally:
            pool.give_back(conn)

    async def call(self, caller: Caller, sql: str, *args: Any) -> Any:
        """Evaluate one expression as the caller in one round trip: `call(c, "public.f($2)::text", "x")`.

        Arguments begin at $2; $1 carries the claims. The statement is its own transaction. Use it for a call
        of one function; in a plain table read nothing orders the claims before the policy's check.
        """
        statement = (
            "with c as materialized (select pg_catalog.set_config('request.jwt.claims', $1, true)) "
            f"select {sql} from c"
        )
        async with self.pool(caller.role).connection() as conn:
            return await conn.fetchval(statement, caller.claims_json, *args)

    async def close(self) -> None:
        """Close all connections."""
        for pool in (*self._pools.values(), *self._admins.values()):
            await pool.close()


def quote_literal(text: str) -> str:
    """Quote a text for SQL, as libpq's PQescapeLiteral does: right whatever standard_conforming_strings says.

    Raises ValueError for a NUL, which PostgreSQL has no text for.
    """
    if "\0" in text:
        raise ValueError("PostgreSQL's texts can't hold a NUL character.")
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in quoted else f"'{quoted}'"


def _begin(caller: Caller, *, read_only: bool, settings: Mapping[str, str] | None) -> str:
    """BEGIN and all settings as one message, which saves a round trip each."""
    local = {"request.jwt.claims": caller.claims_json, **(settings or {})}
    assigned = ", ".join(
        f"pg_catalog.set_config({quote_literal(name)}, {quote_literal(value)}, true)"
        for name, value in local.items()
    )
    return f"BEGIN{' READ ONLY' if read_only else ''}; SELECT {assigned}"


async def _begun(pool: Pool, begin: str) -> asyncpg.Connection:
    """Take a connection and begin on it; a connection that turns out dead is replaced, as nothing has happened yet."""
    while True:
        conn = await pool.take()
        try:
            await conn.execute(begin)
        except UNREACHABLE:
            conn.terminate()
            pool.give_back(conn)
        except BaseException:
            conn.terminate()
            pool.give_back(conn)
            raise
        else:
            return conn


async def _roll_back(conn: asyncpg.Connection) -> None:
    """Roll back even while being cancelled; a connection that can't is closed, which rolls back as well."""
    try:
        await asyncio.wait_for(conn.execute("ROLLBACK"), CANCEL_SECONDS)
    except (*UNREACHABLE, TimeoutError, asyncio.CancelledError, asyncpg.PostgresError):
        conn.terminate()
