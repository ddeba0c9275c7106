"""What a data directory has before the first migration, against what a hosted project has (wire facts)."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from app.local.bootstrap import bootstrap
from app.local.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SYSTEM_BINARIES = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(None, id="wheel"),
        pytest.param(
            SYSTEM_BINARIES,
            id="system-15",
            marks=pytest.mark.skipif(
                not SYSTEM_BINARIES.exists(), reason="there's no system PostgreSQL 15 here"
            ),
        ),
    ],
)
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Postgres]:
    running = Postgres(tmp_path_factory.mktemp("bootstrap"), bin_dir=request.param)
    running.start()
    admin = await asyncpg.connect(running.dsn("supabase_admin"))
    first = await bootstrap(admin, password="unused")
    assert len(first) > 3
    assert await bootstrap(admin, password="unused") == []
    await admin.close()
    yield running
    running.stop()


@pytest.fixture
async def postgres(server: Postgres) -> AsyncIterator[asyncpg.Connection]:
    """Role postgres, in a transaction that is rolled back."""
    conn = await asyncpg.connect(server.dsn("postgres"))
    transaction = conn.transaction()
    await transaction.start()
    yield conn
    await transaction.rollback()
    await conn.close()


@pytest.fixture
async def storage(server: Postgres) -> AsyncIterator[asyncpg.Connection]:
    """The Storage server's own role with a bucket, in a transaction that is rolled back."""
    conn = await asyncpg.connect(server.dsn("supabase_storage_admin"))
    transaction = conn.transaction()
    await transaction.start()
    await conn.execute("insert into storage.buckets (id, name) values ('docs', 'docs')")
    yield conn
    await transaction.rollback()
    await conn.close()


async def become(conn: asyncpg.Connection, role: str, **claims: str) -> None:
    await conn.execute(f"set local role {role}")
    await conn.execute(
        "select set_config('request.jwt.claims', $1, true)", json.dumps({"role": role, **claims})
    )


# --- roles -----------------------------------------------------------------------------------------------------


async def test_postgres_is_no_superuser_and_sees_past_row_level_security(postgres: asyncpg.Connection):
    row = await postgres.fetchrow(
        "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles where rolname = current_user"
    )
    assert tuple(row) == (False, True, True, True)


@pytest.mark.parametrize(
    "sql",
    [
        "create table auth.mine ()",
        "create function auth.mine() returns int language sql as 'select 1'",
        "create index on auth.users (created_at)",
        "create table storage.mine ()",
        "create index on storage.objects (version)",
        "alter table storage.objects disable row level security",
        "alter table storage.objects add column mine int",
        "drop table storage.objects cascade",
        "create table realtime.mine ()",
        "alter function auth.uid() owner to postgres",
        "alter role postgres superuser",
        "set role supabase_admin",
        "delete from storage.objects",
        "delete from storage.buckets",
        "comment on table auth.users is 'mine'",
    ],
)
async def test_what_postgres_may_not_do(postgres: asyncpg.Connection, sql: str):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await postgres.execute(sql)


async def test_postgres_cannot_make_itself_a_member_of_the_owners(postgres: asyncpg.Connection):
    if postgres.get_server_version().major < 16:
        # Until PostgreSQL 15 CREATEROLE may grant any role but a superuser, on hosted projects as well.
        await postgres.execute("grant supabase_storage_admin to postgres")
        await postgres.execute("revoke supabase_storage_admin from postgres")
        return
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await postgres.execute("grant supabase_storage_admin to postgres")


@pytest.mark.parametrize(
    "sql",
    [
        "create table public.mine (id uuid references auth.users, object uuid references storage.objects)",
        "create trigger mine after insert on auth.users for each row execute function pg_temp.noted()",
        "create trigger mine before update on storage.objects for each row execute function pg_temp.noted()",
        "create policy mine on storage.objects for select to authenticated using (true)",
        "create policy mine on storage.buckets for select to authenticated using (true)",
        "create policy mine on realtime.messages for select to authenticated using (extension = 'broadcast')",
        "select set_config('storage.allow_delete_query', 'true', true); delete from storage.objects",
        "create schema private; create role mine; drop role mine",
        "select * from auth.users, auth.identities, auth.sessions, auth.refresh_tokens",
    ],
)
async def test_what_postgres_may_do(postgres: asyncpg.Connection, sql: str):
    await postgres.execute(
        "create function pg_temp.noted() returns trigger language plpgsql as $$ begin return new; end $$"
    )
    await postgres.execute(sql)


async def test_ownership_is_lent_for_one_statement_only(server: Postgres, postgres: asyncpg.Connection):
    await postgres.execute("create policy mine on storage.objects for select using (true)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with postgres.transaction():
            await postgres.execute("alter table storage.objects disable row level security")
    with pytest.raises(asyncpg.DuplicateObjectError):
        async with postgres.transaction():
            await postgres.execute("create policy mine on storage.objects for select using (true)")
    membership = "select pg_has_role('postgres', 'supabase_storage_admin', 'member')"
    assert await postgres.fetchval(membership) is False
    await become(postgres, "authenticated")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with postgres.transaction():
            await postgres.execute("create policy theirs on storage.objects for select using (true)")


async def test_the_apis_privileges_in_storage_cannot_be_revoked(postgres: asyncpg.Connection):
    await postgres.execute("revoke all on storage.objects from anon, authenticated")
    assert await postgres.fetchval("select has_table_privilege('anon', 'storage.objects', 'insert')")


async def test_new_tables_in_public_are_open_to_the_api_unless_revoked(postgres: asyncpg.Connection):
    """The older default of hosted projects: a migration has to revoke, and is caught here if it doesn't."""
    await postgres.execute("create table public.mine (id int)")
    await postgres.execute("create function public.mine() returns int language sql as 'select 1'")
    for role in ("anon", "authenticated", "service_role"):
        assert await postgres.fetchval(
            "select has_table_privilege($1, 'public.mine', 'insert') and has_function_privilege($1, 'public.mine()', 'execute')",
            role,
        )
    await become(postgres, "authenticated")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await postgres.execute("create table public.theirs ()")


# --- auth ------------------------------------------------------------------------------------------------------


async def test_claims_are_read_from_the_request(postgres: asyncpg.Connection):
    user_id = str(uuid.uuid4())
    await become(postgres, "authenticated", sub=user_id, email="a@example.com")
    row = await postgres.fetchrow("select auth.uid()::text, auth.role(), auth.email(), auth.jwt() ->> 'sub'")
    assert tuple(row) == (user_id, "authenticated", "a@example.com", user_id)
    await postgres.execute("select set_config('request.jwt.claims', '', true)")
    assert tuple(await postgres.fetchrow("select auth.uid(), auth.role(), auth.jwt()")) == (None, None, None)


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_the_api_cannot_read_accounts(postgres: asyncpg.Connection, role: str):
    await become(postgres, role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await postgres.execute("select * from auth.users")


# --- storage ---------------------------------------------------------------------------------------------------


async def test_storages_tables_have_the_columns_of_the_real_ones(postgres: asyncpg.Connection):
    columns = {}
    for row in await postgres.fetch(
        "select table_name, column_name, data_type from information_schema.columns where table_schema = 'storage'"
    ):
        columns.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"]
    stamp = "timestamp with time zone"
    assert columns["objects"] == {
        "id": "uuid", "bucket_id": "text", "name": "text", "owner": "uuid", "owner_id": "text", "created_at": stamp,
        "updated_at": stamp, "last_accessed_at": stamp, "metadata": "jsonb", "path_tokens": "ARRAY", "version": "text",
        "user_metadata": "jsonb", "archived_at": stamp, "is_delete_marker": "boolean", "is_versioned": "boolean",
    }  # fmt: skip
    assert columns["buckets"] == {
        "id": "text", "name": "text", "owner": "uuid", "owner_id": "text", "public": "boolean",
        "avif_autodetection": "boolean", "file_size_limit": "bigint", "allowed_mime_types": "ARRAY",
        "type": "USER-DEFINED", "versioning_status": "text", "created_at": stamp, "updated_at": stamp,
    }  # fmt: skip


async def test_every_table_of_storage_has_row_level_security_that_binds_all_but_its_owner(
    postgres: asyncpg.Connection,
):
    tables = await postgres.fetch(
        "select relname, relrowsecurity, relforcerowsecurity from pg_class "
        "where relnamespace = 'storage'::regnamespace and relkind = 'r'"
    )
    assert len(tables) >= 5
    assert {(row["relrowsecurity"], row["relforcerowsecurity"]) for row in tables} == {(True, False)}
    owners = await postgres.fetch("select distinct tableowner from pg_tables where schemaname = 'storage'")
    assert [row[0] for row in owners] == ["supabase_storage_admin"]


@pytest.mark.parametrize(
    ("key", "folders", "file", "extension"),
    [
        ("a/b/c.tar.gz", ["a", "b"], "c.tar.gz", "gz"),
        ("x", [], "x", "x"),
        ("a//b", ["a", ""], "b", "b"),
        ("a/", ["a"], "", ""),
    ],
)
async def test_keys_come_apart(
    postgres: asyncpg.Connection, key: str, folders: list[str], file: str, extension: str
):
    row = await postgres.fetchrow(
        "select storage.foldername($1), storage.filename($1), storage.extension($1), (storage.foldername($1))[1]",
        key,
    )
    assert tuple(row) == (folders, file, extension, folders[0] if folders else None)
    volatility = await postgres.fetchval(
        "select provolatile::text from pg_proc where oid = 'storage.foldername'::regproc"
    )
    assert volatility == "i"


async def test_one_key_is_one_object(storage: asyncpg.Connection):
    insert = "insert into storage.objects (bucket_id, name) values ('docs', 'a/b.md') returning path_tokens"
    assert await storage.fetchval(insert) == ["a", "b.md"]
    with pytest.raises(asyncpg.UniqueViolationError):
        await storage.execute(insert)


async def test_an_update_notes_its_time(storage: asyncpg.Connection):
    await storage.execute(
        "insert into storage.objects (bucket_id, name, updated_at) values ('docs', 'a', '2001-01-01')"
    )
    await storage.execute("update storage.objects set version = 'x'")
    assert await storage.fetchval("select updated_at = now() from storage.objects")


async def test_plain_deletes_are_refused_in_words_even_for_no_rows(storage: asyncpg.Connection):
    for table in ("objects", "buckets"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="Use the Storage API instead"):
            async with storage.transaction():
                await storage.execute(f"delete from storage.{table} where false")


async def test_policies_can_ask_for_the_operation(storage: asyncpg.Connection):
    ask = "select storage.operation(), storage.allow_only_operation($1), storage.allow_any_operation($2)"
    assert tuple(await storage.fetchrow(ask, "object.upload", ["object.upload"]))[1:] == (False, False)
    await storage.execute("set local storage.operation = 'storage.object.upload'")
    answer = await storage.fetchrow(ask, "object.upload", ["object.list", "storage.object.upload"])
    assert tuple(answer) == ("storage.object.upload", True, True)
    assert tuple(await storage.fetchrow(ask, "object.list", ["object.list"]))[1:] == (False, False)


async def test_listing_shows_one_level_folders_first(storage: asyncpg.Connection):
    names = ["b.md", "a.md", "z/1", "z/2", "m/x/y", "a.md2/q"]
    await storage.executemany(
        "insert into storage.objects (bucket_id, name, metadata) values ('docs', $1, '{\"size\": 3}')",
        [(n,) for n in names],
    )
    listed = await storage.fetch("select name, id is null as folder from storage.search('', 'docs')")
    assert [tuple(row) for row in listed] == [
        ("a.md2", True), ("m", True), ("z", True), ("a.md", False), ("b.md", False)
    ]  # fmt: skip
    below = await storage.fetch("select name from storage.search('z/', 'docs', 10, 2, 1)")
    assert [row["name"] for row in below] == ["2"]
    paged, after = [], ""
    while page := await storage.fetch("select key, name from storage.search_v2('', 'docs', 2, 1, $1)", after):
        paged += [row["name"] for row in page]
        after = page[-1]["name"]
    assert paged == ["a.md", "a.md2/", "b.md", "m/", "z/"]
    keys = await storage.fetch("select name from storage.list_objects_with_delimiter('docs', '', '/', 100)")
    assert [row["name"] for row in keys] == ["a.md", "a.md2/", "b.md", "m/", "z/"]
    assert tuple(await storage.fetchrow("select * from storage.get_size_by_bucket()")) == (18, "docs")


async def test_asking_whether_an_object_may_be_inserted_inserts_none(storage: asyncpg.Connection):
    ask = "select storage.can_insert_object('docs', 'a', null, '{}')"
    with pytest.raises(asyncpg.PostgresError) as told:
        async with storage.transaction():
            await storage.execute(ask)
    assert told.value.sqlstate == "PT200"
    assert await storage.fetchval("select count(*) from storage.objects") == 0


async def test_without_a_policy_the_api_sees_and_writes_nothing(storage: asyncpg.Connection):
    await storage.execute("insert into storage.objects (bucket_id, name) values ('docs', 'a')")
    for role in ("anon", "authenticated"):
        await become(storage, role)
        assert await storage.fetchval("select count(*) from storage.objects") == 0
        assert await storage.fetchval("select count(*) from storage.buckets") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with storage.transaction():
                await storage.execute("insert into storage.objects (bucket_id, name) values ('docs', 'b')")
    await become(storage, "service_role")
    assert await storage.fetchval("select count(*) from storage.objects") == 1


# --- realtime --------------------------------------------------------------------------------------------------


async def test_a_broadcast_is_stored_and_its_failure_is_only_a_warning(postgres: asyncpg.Connection):
    await postgres.execute("select realtime.send('{\"a\": 1}', 'changed', 'room', true)")
    row = await postgres.fetchrow(
        "select topic, event, private, extension, payload, id::text from realtime.messages"
    )
    assert tuple(row)[:4] == ("room", "changed", True, "broadcast")
    assert json.loads(row["payload"]) == {"a": 1, "id": row["id"]}
    warnings: list[str] = []
    postgres.add_log_listener(lambda _, message: warnings.append(str(message)))
    await become(postgres, "authenticated")  # without an INSERT policy
    await postgres.execute("select realtime.send('{}', 'changed', 'room', true)")
    assert any("WarnSendingBroadcastMessage" in warning for warning in warnings)


async def test_a_policy_can_ask_which_channel_is_joined(postgres: asyncpg.Connection):
    assert await postgres.fetchval("select realtime.topic()") is None
    await postgres.execute("select set_config('realtime.topic', 'project:1', true)")
    assert await postgres.fetchval("select realtime.topic()") == "project:1"
