"""What a token may do on a private topic, as the policies on realtime.messages say; asked as hosted ones are.

Reading: rows of the topic are put in, and what the token's owner sees of them is what he may hear. Writing:
the owner puts such rows in himself. Both in a transaction that is rolled back.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from app.local.pool import UNREACHABLE, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from app.local.caller import Caller
    from app.local.database import Database

ROLES = frozenset({"anon", "authenticated", "service_role"})
NO_DATABASE = (*UNREACHABLE, DatabaseUnavailable)
# Questions at a time. The connections are those of the whole server's bookkeeping: policies that wait for a
# lock must leave some, and give theirs back after the last setting's time.
AT_ONCE = 4
_BECOME = """
select set_config('role', $1, true), set_config('realtime.topic', $2, true),
    set_config('request.jwt.claims', $3, true), set_config('request.jwt.claim.sub', $4, true),
    set_config('request.jwt.claim.role', $1, true), set_config('request.headers', '{}', true),
    set_config('statement_timeout', '30s', true)
"""
_PROBE = "insert into realtime.messages (id, topic, extension) values ($1, $2, $3)"


class Unavailable(Exception):  # noqa: N818 - it says what is the matter
    """PostgreSQL can't be asked at the moment."""


class Policies:
    """Asks the policies of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asking = asyncio.Semaphore(AT_ONCE)

    async def readable(self, caller: Caller, topic: str, extensions: Iterable[str]) -> frozenset[str]:
        """Those extensions (broadcast, presence) that the caller may read on the topic. Raises Unavailable.

        A policy that fails lets nobody in.
        """
        probes = {uuid.uuid4(): extension for extension in extensions}
        try:
            async with self._rolled_back() as conn:
                await conn.executemany(_PROBE, [(probe, topic, what) for probe, what in probes.items()])
                await _become(conn, caller, topic)
                seen = await conn.fetch("select id from realtime.messages where id = any ($1)", list(probes))
        except asyncpg.PostgresError:
            return frozenset()
        return frozenset(probes[row["id"]] for row in seen)

    async def may_write(self, caller: Caller, topic: str, extension: str) -> bool:
        """Whether the caller may send broadcasts, or be present, on the topic. Raises Unavailable."""
        try:
            async with self._rolled_back() as conn:
                await _become(conn, caller, topic)
                await conn.execute(_PROBE, uuid.uuid4(), topic, extension)
        except asyncpg.PostgresError:
            return False
        return True

    @asynccontextmanager
    async def _rolled_back(self) -> AsyncIterator[asyncpg.Connection]:
        try:
            async with self._asking, self._database.admin().connection() as conn:
                transaction = conn.transaction()
                await transaction.start()
                try:
                    yield conn
                finally:
                    await transaction.rollback()
        except NO_DATABASE as error:
            raise Unavailable("Realtime was unable to connect to the project database") from error


async def _become(conn: asyncpg.Connection, caller: Caller, topic: str) -> None:
    # A token's role is never an administrator's, whoever signed it.
    role = caller.role if caller.role in ROLES else "anon"
    await conn.execute(_BECOME, role, topic, caller.claims_json, str(caller.claims.get("sub") or ""))
