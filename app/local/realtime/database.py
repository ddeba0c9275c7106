"""Broadcasts from the database: a committed row of realtime.messages is told to the topic's listeners.

A trigger (bootstrap/07_realtime.sql) notifies of the id of each row whose topic is listened to; the rows are
read here, in the order of their commits. What is committed while nobody listens, or while PostgreSQL
restarts, is told to nobody: a broadcast is a hint on hosted projects, too. Rows are kept for three days.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from typing import TYPE_CHECKING

from app.local.pool import UNREACHABLE, DatabaseUnavailable
from app.local.realtime.frames import Broadcast

if TYPE_CHECKING:
    from typing import Any

    import asyncpg

    from app.local.database import Database
    from app.local.realtime.hub import Hub

CHANNEL = "realtime_messages"
AGAIN_SECONDS = 0.2
TIDY_SECONDS = 2.0
PRUNE_SECONDS = 3600.0
MOST_IDS = 1_000

_READ = """
select m.id::text as id, m.topic, m.event, m.private, m.payload, m.binary_payload
from realtime.messages m join unnest($1::uuid[]) with ordinality as told (id, place) on told.id = m.id
order by told.place
"""
_FILL = "insert into _embedded.listened select unnest($1::text[]) on conflict do nothing"
_EMPTY = "delete from _embedded.listened where topic = any ($1)"
_PRUNE = "delete from realtime.messages where inserted_at < now() at time zone 'utc' - interval '3 days'"


_log = logging.getLogger(__name__)


class Told:
    """Listens to one database for as long as `run` runs."""

    def __init__(self, database: Database, hub: Hub, *, payload_limit: int) -> None:
        self._database = database
        self._hub = hub
        self._payload_limit = payload_limit
        self._ids: list[uuid.UUID] = []
        self._woken = asyncio.Event()
        self._listening = asyncio.Event()
        self._noted: set[str] = set()
        self._noting = asyncio.Lock()

    async def note(self, topic: str) -> None:
        """Return when what is committed to a topic of the hub from now on will be heard."""
        await self._listening.wait()
        async with self._noting:
            if topic not in self._noted:
                async with self._database.admin().connection() as conn:
                    await conn.execute(_FILL, [topic])
                self._noted.add(topic)

    async def run(self) -> None:
        """Listen until cancelled, again after every loss of the connection."""
        while True:
            try:
                await self._listen()
            except (*UNREACHABLE, DatabaseUnavailable):
                pass
            except Exception:  # noqa: BLE001 - without this task nobody would hear of the database any more
                _log.exception("Realtime couldn't go on listening to PostgreSQL; it begins again")
            self._listening.clear()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _listen(self) -> None:
        async with self._database.admin().connection() as conn:
            conn.add_termination_listener(self._wake)
            await conn.add_listener(CHANNEL, self._take)
            pruned = tidied = float("-inf")
            try:
                async with self._noting:
                    # Of an earlier run, or lost with a crash: such tables are emptied then.
                    await conn.execute("truncate _embedded.listened")
                    self._noted = self._hub.names()
                    await conn.execute(_FILL, sorted(self._noted))
                self._listening.set()
                while not conn.is_closed():
                    if time.monotonic() - pruned > PRUNE_SECONDS:
                        pruned = time.monotonic()
                        await conn.execute(_PRUNE)
                    if time.monotonic() - tidied > TIDY_SECONDS:
                        tidied = time.monotonic()
                        await self._tidy(conn)
                    await self._tell(conn)
                    # Not wait_for: Python 3.11's loses a cancellation that comes together with the result.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(TIDY_SECONDS):
                            await self._woken.wait()
                    self._woken.clear()
            finally:
                # Never back to the pool: it listens.
                conn.terminate()

    async def _tidy(self, conn: asyncpg.Connection) -> None:
        """Forget topics that nobody listens to any more."""
        async with self._noting:
            if gone := self._noted - self._hub.names():
                await conn.execute(_EMPTY, sorted(gone))
                self._noted -= gone

    def _take(self, _conn: Any, _pid: int, _channel: str, payload: object) -> None:
        with contextlib.suppress(ValueError):
            self._ids.append(uuid.UUID(str(payload)))
            self._woken.set()

    def _wake(self, _conn: Any) -> None:
        self._woken.set()

    async def _tell(self, conn: asyncpg.Connection) -> None:
        while self._ids:
            ids, self._ids = self._ids[:MOST_IDS], self._ids[MOST_IDS:]
            for row in await conn.fetch(_READ, ids):
                topic = self._hub.find(row["topic"], private=bool(row["private"]))
                binary = row["binary_payload"]
                body = binary if binary is not None else (row["payload"] or "null").encode()
                if topic is not None and len(body) <= self._payload_limit:
                    topic.broadcast(Broadcast(row["event"], body, binary is None, {"id": row["id"]}))
