"""The catalog in memory: read once, read again when the database says that it changed.

PostgreSQL says so on the channel `pgrst`, as on hosted projects: event triggers notify after every change of
the schema, and anybody may `notify pgrst, 'reload schema'`. A request can be quicker than the notice, so one
that finds a name missing has the catalog read again before it is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import asyncpg

from app.local.database import UNREACHABLE, DatabaseUnavailable
from app.local.rest.functions import Functions
from app.local.rest.introspection import read_catalog

if TYPE_CHECKING:
    from app.local.database import Database
    from app.local.rest.catalog import Catalog

# A client that asks for missing names can't make the server read the catalog more often than this.
LEAST_SECONDS = 0.1
RECONNECT_SECONDS = 0.5

# The same names as on a hosted project, so that a migration that replaces them does the same here.
WATCH = """
create or replace function extensions.pgrst_ddl_watch() returns event_trigger
language plpgsql set search_path = '' as $$
begin
    notify pgrst, 'reload schema';
end
$$;
create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_ddl_watch();
create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_ddl_watch();
"""


class Known:
    """One reading of the catalog and what was prepared from it."""

    def __init__(self, catalog: Catalog, *, max_rows: int) -> None:
        self.catalog = catalog
        self.functions = Functions(catalog, max_rows=max_rows)


class SchemaCache:
    """Gives the catalog as it is now. Safe for any number of requests at once: one reads, the others wait."""

    def __init__(self, database: Database, *, max_rows: int) -> None:
        self._database = database
        self._max_rows = max_rows
        self._known: Known | None = None
        self._fresh = False
        self._begun_at = 0.0
        self._reading = asyncio.Lock()
        self._listener: asyncio.Task[None] | None = None

    async def current(self) -> Known:
        """Give the catalog, read again if the database said that it changed.

        Raises DatabaseUnavailable, asyncpg.PostgresError.
        """
        if self._known is not None and self._fresh:
            return self._known
        async with self._reading:
            if self._known is None or not self._fresh:
                await self._read()
            return self._must_know()

    async def newer_than(self, known: Known) -> Known:
        """Read again after a name was missing; gives `known` itself when nothing had changed."""
        missed_at = time.monotonic()
        async with self._reading:
            # What was begun while this one waited serves it as well: who miss together wait together.
            if self._known is known and self._begun_at < missed_at:
                await asyncio.sleep(max(0.0, self._begun_at + LEAST_SECONDS - time.monotonic()))
                await self._read()
            return self._must_know()

    def _must_know(self) -> Known:
        if self._known is None:
            raise DatabaseUnavailable("The schema couldn't be read; try again in a moment.")
        return self._known

    async def _read(self) -> None:
        if self._listener is None or self._listener.done():
            listening = asyncio.Event()
            self._listener = asyncio.create_task(self._listen(listening), name="rest-schema-listener")
            # A change between the reading and the listening would go unnoticed: listen first.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(listening.wait(), timeout=5)
        self._fresh = True
        self._begun_at = time.monotonic()
        try:
            async with self._database.admin().connection() as connection:
                catalog = await read_catalog(connection)
        except BaseException:
            self._fresh = False
            raise
        if self._known is None or self._known.catalog != catalog:
            self._known = Known(catalog, max_rows=self._max_rows)

    async def _listen(self, listening: asyncio.Event) -> None:
        """Keep a connection that hears of changes; while there is none, every request reads the catalog."""
        pool = self._database.admin()
        while True:
            with contextlib.suppress(DatabaseUnavailable, asyncpg.PostgresError, *UNREACHABLE):
                connection = await pool.take()
                try:
                    await self._hear(connection, listening)
                finally:
                    connection.terminate()
                    pool.give_back(connection)
            self._fresh = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _hear(self, connection: asyncpg.Connection[Any], listening: asyncio.Event) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        if not await connection.fetchval("select 1 from pg_event_trigger where evtname = 'pgrst_ddl_watch'"):
            await connection.execute(WATCH)
        await connection.add_listener("pgrst", self._heard)
        self._fresh = False
        listening.set()
        await lost.wait()

    def _heard(self, *_: object) -> None:
        self._fresh = False
