"""Migrations: applied once, in order, wholly or not at all, and recorded as the Supabase CLI records them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import asyncpg
import pytest

from app.local.bootstrap import bootstrap
from app.local.migrate import MigrationError, migrate, read_migrations
from app.local.postgres import Postgres
from app.local.statements import split_statements
from tests.stack import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

# The CLI is a script for node, which the wheel puts beside Python.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    running = Postgres(tmp_path_factory.mktemp("migrate"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def dsn(server: Postgres, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A database of its own that looks like a new hosted project's."""
    name = re.sub(r"\W", "_", request.node.name)[:60].lower()
    admin = await asyncpg.connect(server.dsn("supabase_admin"))
    if not await admin.fetchval("select true from pg_roles where rolname = 'postgres'"):
        await bootstrap(admin, password="unused")
    await admin.execute(f'create database "{name}" template postgres owner postgres')
    yield server.dsn(database=name)
    await admin.execute(f'drop database "{name}" with (force)')
    await admin.close()


async def rows(dsn: str, sql: str) -> list[tuple]:
    conn = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await conn.fetch(sql)]
    finally:
        await conn.close()


def write(directory: Path, **files: str) -> Path:
    directory.mkdir(exist_ok=True)
    for name, sql in files.items():
        (directory / f"{name.lstrip('_')}.sql").write_text(sql)
    return directory


async def test_files_are_applied_in_order_and_once(dsn: str, tmp_path: Path):
    directory = write(
        tmp_path, _0002_second="insert into t values (2);", _0001_first="create table t (n int);"
    )
    assert await migrate(dsn, directory) == ["0001_first.sql", "0002_second.sql"]
    assert await migrate(dsn, directory) == []
    write(tmp_path, _0003_third="insert into t values (3)")
    assert await migrate(dsn, directory) == ["0003_third.sql"]
    assert await rows(dsn, "select n from t order by n") == [(2,), (3,)]


async def test_they_run_as_postgres_who_is_no_superuser(dsn: str, tmp_path: Path):
    directory = write(
        tmp_path,
        _1_who="create table who as select current_user::text as name, "
        "(select rolsuper from pg_roles where rolname = current_user) as super",
    )
    await migrate(dsn, directory)
    assert await rows(dsn, "select name, super from who") == [("postgres", False)]


async def test_the_record_is_the_supabase_clis(dsn: str, tmp_path: Path):
    directory = write(
        tmp_path, _20260101000000_two_things="-- why\ncreate table a ();\n\ncreate table b ();\n"
    )
    await migrate(dsn, directory)
    assert await rows(dsn, "select version, name, statements from supabase_migrations.schema_migrations") == [
        ("20260101000000", "two_things", ["-- why\ncreate table a ()", "create table b ()"])
    ]
    columns = await rows(
        dsn,
        "select column_name, data_type, is_nullable from information_schema.columns "
        "where table_schema = 'supabase_migrations' order by ordinal_position",
    )
    assert columns == [("version", "text", "NO"), ("statements", "ARRAY", "YES"), ("name", "text", "YES")]


async def test_what_the_cli_applied_is_not_applied_again(dsn: str, tmp_path: Path):
    conn = await asyncpg.connect(dsn)
    # As `supabase db push` leaves it.
    await conn.execute(
        """
        create schema supabase_migrations;
        create table supabase_migrations.schema_migrations (version text not null primary key, statements text[], name text);
        create table a ();
        insert into supabase_migrations.schema_migrations values ('0001', '{create table a ()}', 'a');
        """
    )
    await conn.close()
    assert await migrate(
        dsn, write(tmp_path, _0001_a="create table a ();\n", _0002_b="create table b ()")
    ) == ["0002_b.sql"]


async def test_a_failing_file_is_wholly_unapplied_and_says_where(dsn: str, tmp_path: Path):
    directory = write(
        tmp_path,
        _1_good="create table good ()",
        _2_bad="create table half ();\nselect 1;\nselect\n  1,\n  nonsense\nfrom half;",
        _3_never="create table never ()",
    )
    with pytest.raises(MigrationError) as failed:
        await migrate(dsn, directory)
    message = str(failed.value)
    assert message.startswith("2_bad.sql failed and was not applied")
    assert "statement 3, near its line 3" in message
    assert "nonsense" in message
    tables = await rows(dsn, "select tablename from pg_tables where schemaname = 'public'")
    assert tables == [("good",)]
    write(tmp_path, _2_bad="select 1")
    assert await migrate(dsn, directory) == ["2_bad.sql", "3_never.sql"]


async def test_settings_of_one_file_do_not_reach_the_next(dsn: str, tmp_path: Path):
    directory = write(
        tmp_path,
        _1_a="set search_path = pg_catalog; set check_function_bodies = off",
        _2_b="create table here ()",
    )
    await migrate(dsn, directory)
    assert await rows(dsn, "select schemaname from pg_tables where tablename = 'here'") == [("public",)]


async def test_a_file_that_was_changed_after_it_was_applied_is_refused(dsn: str, tmp_path: Path):
    directory = write(tmp_path, _1_a="create table a ();")
    await migrate(dsn, directory)
    write(tmp_path, _1_a="create  table a ()\n;\n")
    assert await migrate(dsn, directory) == []
    write(tmp_path, _1_a="create table a (n int);")
    with pytest.raises(MigrationError, match=r"1_a\.sql was changed after"):
        await migrate(dsn, directory)


async def test_a_database_from_the_future_is_refused(dsn: str, tmp_path: Path):
    directory = write(tmp_path, _1_a="create table a ()", _2_b="create table b ()")
    await migrate(dsn, directory)
    (directory / "2_b.sql").unlink()
    with pytest.raises(MigrationError, match="has migration 2"):
        await migrate(dsn, directory)


def test_two_files_of_one_version_are_refused(tmp_path: Path):
    with pytest.raises(MigrationError, match="same version"):
        read_migrations(write(tmp_path, _1_a="", _1_b=""))


async def test_two_starts_at_once_apply_once(dsn: str, tmp_path: Path):
    directory = write(tmp_path, _1_a="create table a (); select pg_sleep(0.2)")
    applied = await asyncio.gather(migrate(dsn, directory), migrate(dsn, directory))
    assert sorted(applied) == [[], ["1_a.sql"]]


async def test_the_projects_own_migrations_apply(dsn: str):
    applied = await migrate(dsn, MIGRATIONS)
    assert applied == sorted(path.name for path in MIGRATIONS.glob("*.sql"))


# --- splitting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("", []),
        (" ;; \n ; ", []),
        ("-- only a comment", []),
        ("select 1", ["select 1"]),
        ("select 1; -- after\nselect 2;", ["select 1", "-- after\nselect 2"]),
        ("select ';'; select 2", ["select ';'", "select 2"]),
        ("select 'it''s;'; select 2", ["select 'it''s;'", "select 2"]),
        (r"select 'c:\'; select 2", [r"select 'c:\'", "select 2"]),
        (r"select E'\';'; select 2", [r"select E'\';'", "select 2"]),
        ('select 1 as "a;b"; select 2', ['select 1 as "a;b"', "select 2"]),
        ("/* ; /* ; */ ; */ select 1; select 2", ["/* ; /* ; */ ; */ select 1", "select 2"]),
        ("do $$ begin; end $$; select 2", ["do $$ begin; end $$", "select 2"]),
        ("do $a$ $b$ ; $$ ; $a$; select 2", ["do $a$ $b$ ; $$ ; $a$", "select 2"]),
        ("select $1; select a$b$c; select 2", ["select $1", "select a$b$c", "select 2"]),
        (
            "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3",
            ["create function f() returns int begin atomic select case when true then 1 end; select 2; end", "select 3"],
        ),
        ("begin; select 1; end; select 2", ["begin", "select 1", "end", "select 2"]),
        ("select 'never closed; select 2", ["select 'never closed; select 2"]),
    ],
)  # fmt: skip
def test_statements_end_where_postgresql_ends_them(sql: str, statements: list[str]):
    assert split_statements(sql) == statements


async def test_every_statement_of_the_migrations_parses_alone(dsn: str):
    conn = await asyncpg.connect(dsn)
    try:
        for path in sorted(MIGRATIONS.glob("*.sql")):
            for statement in split_statements(path.read_text()):
                # PostgreSQL is the judge. It parses the whole message first, and runs no more of it than the block.
                with pytest.raises(asyncpg.PostgresError) as stopped:
                    await conn.execute(f"do $outer_$ begin raise sqlstate 'ZZ999'; end $outer_$; {statement}")
                assert stopped.value.sqlstate == "ZZ999", statement
    finally:
        await conn.close()
