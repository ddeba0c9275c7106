"""Apply a directory of migrations, and record them exactly as the Supabase CLI does.

A migration is a file `<version>_<name>.sql`. It runs as role postgres in one transaction together with its
row in `supabase_migrations.schema_migrations`, so `supabase migration list` sees what was applied here and
this sees what `supabase db push` applied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from app.local.statements import split_statements

if TYPE_CHECKING:
    from pathlib import Path

_FILE = re.compile(r"(\d+)_(.*)\.sql")
# Two starts at once take turns; the number is arbitrary and only has to be the same in both.
_LOCK = "select pg_advisory_lock(7283544)"
_RECORD = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
"""


class MigrationError(Exception):
    """The migrations can't be applied; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its version and name, and its statements in order."""

    version: str
    name: str
    file_name: str
    statements: list[str]


def read_migrations(directory: Path) -> list[Migration]:
    """Read the migrations of a directory in order. Raises MigrationError when two share a version."""
    found: dict[str, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        if (match := _FILE.fullmatch(path.name)) is None:
            continue
        version, name = match.groups()
        if version in found:
            raise MigrationError(
                f"{path.name} and {found[version].file_name} have the same version; renumber one."
            )
        found[version] = Migration(
            version, name, path.name, split_statements(path.read_text(encoding="utf-8"))
        )
    return list(found.values())


async def migrate(dsn: str, directory: Path) -> list[str]:
    """Apply what the database doesn't have yet, and return the applied file names.

    `dsn` signs in as postgres. Raises MigrationError when a statement fails (its file stays wholly unapplied,
    the ones before it stay applied), when an applied file was changed since, or when the database has a
    migration that the directory doesn't.
    """
    migrations = read_migrations(directory)
    conn = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        await conn.execute(_LOCK)
        applied = await _applied(conn)
        _check_history(migrations, applied)
        fresh = [migration for migration in migrations if migration.version not in applied]
        for migration in fresh:
            await _apply(conn, migration)
        return [migration.file_name for migration in fresh]
    finally:
        await conn.close()


async def _applied(conn: asyncpg.Connection) -> dict[str, list[str] | None]:
    if await conn.fetchval("select to_regclass('supabase_migrations.schema_migrations')") is None:
        await conn.execute(_RECORD)
        return {}
    rows = await conn.fetch("select version, statements from supabase_migrations.schema_migrations")
    return {row["version"]: row["statements"] for row in rows}


def _check_history(migrations: list[Migration], applied: dict[str, list[str] | None]) -> None:
    for migration in migrations:
        recorded = applied.get(migration.version)
        if recorded is not None and _gist(recorded) != _gist(migration.statements):
            raise MigrationError(
                f"{migration.file_name} was changed after it had been applied to this database. "
                "Put the change into a new migration, or start with a new data directory."
            )
    if missing := sorted(applied.keys() - {migration.version for migration in migrations}):
        raise MigrationError(
            f"This database has migration {missing[0]}, which isn't among these files. "
            "Use the version of the software that made it, or start with a new data directory."
        )


def _gist(statements: list[str]) -> list[str]:
    """The statements without what recorders differ in: blanks and final semicolons."""
    return [" ".join(statement.split()).rstrip("; ") for statement in statements]


async def _apply(conn: asyncpg.Connection, migration: Migration) -> None:
    number = 0
    try:
        async with conn.transaction():
            for number, statement in enumerate(migration.statements, 1):  # noqa: B007 - it's told on failure
                await conn.execute(statement)
            number = 0
            await conn.execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements) "
                "values ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.statements,
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(_explain(migration, number, error)) from error
    finally:
        # What a file set for its session must not reach the next one.
        if not conn.is_closed():
            await conn.execute("reset all")


def _explain(migration: Migration, number: int, error: asyncpg.PostgresError) -> str:
    parts = [f"{migration.file_name} failed and was not applied: {error}"]
    if number:
        statement = migration.statements[number - 1]
        position = error.as_dict().get("position")
        line = statement[: int(position) - 1].count("\n") + 1 if position else 1
        shown = "\n".join(statement.splitlines()[max(0, line - 3) : line + 2])
        parts.append(f"In statement {number}, near its line {line}:\n{shown}")
    if where := error.as_dict().get("context"):
        parts.append(f"Context: {where}")
    return "\n".join(parts)
