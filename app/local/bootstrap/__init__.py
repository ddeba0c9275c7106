"""What a hosted project has before its first migration, as SQL files that are applied in order.

Roles, the schemas auth, storage and realtime, and the privileges: as wide and as narrow as on a hosted
project, so that a migration which passes here passes there. The files run once per data directory, in one
transaction, as the superuser `supabase_admin`. A file that was released isn't edited; a new one is added.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

_RECORD = """
create schema if not exists _embedded;
create table if not exists _embedded.bootstrap (
    name text primary key, applied_at timestamptz not null default now()
);
comment on table _embedded.bootstrap is 'Which files of app/local/bootstrap this data directory has.';
"""
_ALTER_ROLE = "select format('alter role postgres password %L', $1::text)"


async def bootstrap(admin: asyncpg.Connection, *, password: str) -> list[str]:
    """Apply the files that this database doesn't have, and return their names.

    `admin` is a connection as supabase_admin; `password` is what role postgres gets for TCP connections.
    """
    applied: set[str] = set()
    if await admin.fetchval("select to_regclass('_embedded.bootstrap')") is not None:
        applied = {row["name"] for row in await admin.fetch("select name from _embedded.bootstrap")}
    fresh = [path for path in sorted(Path(__file__).parent.glob("*.sql")) if path.name not in applied]
    async with admin.transaction():
        for path in fresh:
            await admin.execute(_RECORD)
            await admin.execute(path.read_text())
            await admin.execute("insert into _embedded.bootstrap (name) values ($1)", path.name)
        if not applied:
            # A password can't be a parameter of ALTER ROLE; format() quotes it.
            await admin.execute(await admin.fetchval(_ALTER_ROLE, password))
    return [path.name for path in fresh]
