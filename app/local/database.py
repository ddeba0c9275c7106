"""The way into PostgreSQL: a pool for each role, and a transaction that carries a caller's claims."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import asyncpg

from app.local.pool import UNREACHABLE, DatabaseUnavailable, Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from app.local.caller import Caller

__all__ = ["UNREACHABLE", "Database", "DatabaseUnavailable", "Pool", "UnknownRole", "quote_literal"]

CANCEL_SECONDS = 5.0

# How many connections each kind may hold; together they stay below max_connections (100).
SIZES = {"anon": 10, "authenticated": 24, "service_role": 12}
ADMIN_SIZES = {"supabase_admin": 8, "supabase_auth_admin": 12, "supabase_storage_admin": 12}


class UnknownRole(Exception):  # noqa: N818 - it says what is the matter
    """The token names a role that the API doesn't serve."""


class Database:
    """The pools of one PostgreSQL. `await Database.connect(dsn)` proves that it answers."""

    def __init__(self, dsn: str) -> None:
        # Apart, because the role of a request comes from its token: none may ever name an administrator's.
        self._pools = {
            role: Pool(dsn, role=role, size=size, sign_in="authenticator") for role, size in SIZES.items()
        }
        self._admins = {
            role: Pool(dsn, role=role, size=size, sign_in=role) for role, size in ADMIN_SIZES.items()
        }

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
        """The pool for a server's own bookkeeping, as supabase_{auth_,storage_,}admin."""
        return self._admins[role]

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
        Committed when the block ends, rolled back when it raises; a block that swallows a database error
        can't commit and raises asyncpg.InFailedSQLTransactionError. Raises UnknownRole, DatabaseUnavailable.
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
    # The connection is the role already, unless a function that it ran before has made it another.
    local = {"role": caller.role, "request.jwt.claims": caller.claims_json, **(settings or {})}
    assigned = ", ".join(
        f"pg_catalog.set_config({quote_literal(name)}, {quote_literal(value)}, true)"
        for name, value in local.items()
    )
    return f"BEGIN{' READ ONLY' if read_only else ''}; SELECT {assigned}"


async def _begun(pool: Pool, begin: str) -> asyncpg.Connection:
    """Take a connection and begin on it. A dead one is replaced: nothing has happened yet."""
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
