"""What a call costs: pages of the database that it touches, and tables that it reads from end to end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.schema.world import World

LARGE = ("versions", "changes", "tree_entries", "documents", "blobs", "events")
"""The tables that tests of long histories fill; one of a few rows is rightly read from end to end."""


def scans_of(tables: Sequence[str]) -> str:
    """SQL for how often each table was read from end to end, in this transaction."""
    return f"""
        select jsonb_object_agg(relname, pg_stat_get_xact_numscans(oid))::text from pg_class
        where relnamespace = 'public'::regnamespace and relname in ({", ".join(f"'{table}'" for table in tables)})
    """


async def pages(world: World, person: Any, call: str, *, tables: Sequence[str] = LARGE) -> int:
    """How many pages a read touches, once the session knows the tables and has settled on its plans."""
    async with world.as_person(person) as conn:
        for _ in range(8):  # past the five custom plans, after which PostgreSQL may take a generic one
            explained = await conn.fetchval(
                f"explain (analyze, buffers, timing off, format json) select public.{call}"
            )
        before = await conn.fetchval(scans_of(tables))
        await conn.fetchval(f"select public.{call}")
        after = await conn.fetchval(scans_of(tables))
    _nothing_was_scanned(before, after, call)
    return _touched(explained)


async def pages_of_write(world: World, person: Any, call: str, *, tables: Sequence[str] = LARGE) -> int:
    """As `pages`, of a write."""
    touched, before, after = await attempted(world, person, call, tables=tables)
    _nothing_was_scanned(before, after, call)
    return touched


async def attempted(
    world: World, person: Any, call: str, *, tables: Sequence[str] = LARGE
) -> tuple[int, str, str]:
    """A write's pages, and what was read from end to end before it and after: each try finds what the first found."""
    async with world.as_person(person) as conn:
        for _ in range(7):
            attempt = conn.transaction()
            await attempt.start()
            before = await conn.fetchval(scans_of(tables))
            explained = await conn.fetchval(
                f"explain (analyze, buffers, timing off, format json) select public.{call}"
            )
            after = await conn.fetchval(scans_of(tables))
            await attempt.rollback()
    return _touched(explained), before, after


def _nothing_was_scanned(before: str, after: str, call: str) -> None:
    counts = json.loads(before)
    scanned = {table: n - counts[table] for table, n in json.loads(after).items() if n > counts[table]}
    assert not scanned, f"{call} read from end to end: {scanned}"


def _touched(explained: str) -> int:
    plan = json.loads(explained)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
