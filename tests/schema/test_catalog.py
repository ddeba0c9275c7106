"""What the catalog must say of the schema, for what is there now and for whatever is added later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.supabase.pool import writes
from tests.schema.expected import (
    EXPOSED,
    FOR_OPERATORS,
    GUARDED,
    HISTORY,
    ON_BEHALF,
    ON_OPERATORS_BEHALF,
    TABLES,
    VIEWS,
)

if TYPE_CHECKING:
    from tests.schema.world import World


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


async def names(world: World, sql: str) -> set[str]:
    return {row[0] for row in await world.sql(sql)}


async def test_the_grants_on_tables_and_views_are_these_and_no_others(world):
    rows = await world.sql(
        """select c.relname::text, a.grantee::regrole::text, a.privilege_type
           from pg_class c cross join lateral aclexplode(c.relacl) a
           where c.relnamespace = 'public'::regnamespace and a.grantee <> c.relowner
             -- whatever the owner of the database reads for its own upkeep
             and a.grantee::regrole::text not in ('supabase_read_only_user', 'dashboard_user')"""
    )
    granted = {tuple(row) for row in rows}
    expected = {(table, role, "SELECT") for table in TABLES for role in ("authenticated", "service_role")}
    expected |= {(view, "authenticated", "SELECT") for view in VIEWS}
    assert granted == expected


async def test_what_callers_read_in_the_private_schema_is_guarded(world):
    """A view with its owner's rights must cut to the caller's projects before anybody's own condition sees a row."""
    sql = """select relname from pg_class where relnamespace = 'private'::regnamespace and {}"""
    readable = "(has_any_column_privilege('authenticated', oid, 'select') or has_any_column_privilege('anon', oid, 'select'))"
    assert await names(world, sql.format(readable)) == GUARDED
    assert await names(world, sql.format("'security_barrier=true' = any (reloptions)")) >= GUARDED
    changing = "has_table_privilege('authenticated', oid, 'insert, update, delete, truncate') and relkind in ('r', 'v')"
    assert await names(world, sql.format(changing)) == set()


async def test_no_column_has_a_grant_of_its_own(world):
    sql = """select attrelid::regclass || '.' || attname from pg_attribute
             where attacl is not null and attrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)"""
    assert await names(world, sql) == set()


@pytest.mark.parametrize(
    ("schema", "role", "expected"),
    [
        ("public", "authenticated", EXPOSED | {"schema_version"}),
        ("public", "anon", {"schema_version"}),
        ("public", "service_role", FOR_OPERATORS | {"schema_version"}),
        ("private", "authenticated", ON_BEHALF),
        ("private", "anon", set()),
        ("private", "service_role", ON_OPERATORS_BEHALF),
    ],
)
async def test_the_functions_that_a_role_may_call_are_these_and_no_others(world, schema, role, expected):
    rows = await world.sql(
        """select p.proname from pg_proc p
           where p.pronamespace = $1::text::regnamespace and has_function_privilege($2, p.oid, 'execute')""",
        schema,
        role,
    )
    assert {row["proname"] for row in rows} == expected


async def test_a_functions_name_says_whether_it_may_write(world):
    """`pool.rpc` tells by it what it may say of a call that broke."""
    rows = await world.sql(
        """select proname, provolatile = 'v' as may_write from pg_proc
           where pronamespace = 'public'::regnamespace and has_function_privilege('authenticated', oid, 'execute')"""
    )
    assert {row["proname"] for row in rows if row["may_write"] and not writes(row["proname"])} == set()
    # These two are for policies and for other functions; nobody calls them by rpc.
    assert {row["proname"] for row in rows if not row["may_write"] and writes(row["proname"])} <= {
        "may_read_sessions",
        "snippets",
    }


async def test_there_are_no_sequences_and_no_foreign_or_materialized_tables(world):
    sql = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind not in ('r', 'v', 'i', 'c')"
    assert await names(world, sql) == set()


async def test_every_table_has_row_security_and_only_policies_for_reading(world):
    sql = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    assert await names(world, sql) == TABLES
    assert await names(world, sql + " and relrowsecurity") == TABLES
    rows = await world.sql(
        "select tablename, cmd, permissive, roles::text[] from pg_policies where schemaname = 'public'"
    )
    assert {(row["cmd"], row["permissive"], tuple(row["roles"])) for row in rows} == {
        ("SELECT", "PERMISSIVE", ("authenticated",))
    }
    assert sorted(row["tablename"] for row in rows) == sorted(TABLES)


async def test_every_view_has_the_rights_of_its_reader(world):
    sql = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'v'"
    assert await names(world, sql) == VIEWS
    assert await names(world, sql + " and 'security_invoker=true' = any (reloptions)") == VIEWS


async def test_no_exposed_function_runs_with_its_owners_rights(world):
    """Splinter 0028 and 0029 in substance: what runs as its owner is out of the reach of the API."""
    sql = "select proname from pg_proc where pronamespace = 'public'::regnamespace and prosecdef"
    assert await names(world, sql) == set()
    assert not await world.one("select has_schema_privilege('anon', 'private', 'usage')")


async def test_the_private_schema_is_not_in_the_configuration_of_the_api():
    import tomllib  # noqa: PLC0415

    from tests.stack import MIGRATIONS  # noqa: PLC0415

    config = tomllib.loads((MIGRATIONS.parent / "config.toml").read_text())
    assert config["api"]["schemas"] == ["public"]
    assert "private" not in config["api"]["extra_search_path"]


async def test_every_function_has_a_fixed_search_path(world):
    """Splinter 0011: otherwise a caller's search_path decides what a name means."""
    sql = """select oid::regprocedure::text from pg_proc
             where pronamespace in ('public'::regnamespace, 'private'::regnamespace)
               and not coalesce('search_path=""' = any (proconfig), false)"""
    assert await names(world, sql) == set()


async def test_anon_reads_no_table_that_graphql_would_show(world):
    """Splinter 0026; 0027 warns of every table that members may read at all, where row security answers."""
    sql = """select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'm', 'f')
             and has_any_column_privilege('anon', oid, 'select')"""
    assert await names(world, sql) == set()


async def test_the_bucket_is_private(world):
    """Splinter 0025 is about public buckets only."""
    assert await names(world, "select id from storage.buckets where id = 'documents' and not public") == {
        "documents"
    }


async def test_policies_ask_for_the_caller_once_a_query(world):
    """Splinter 0003: a bare auth.uid() in a policy runs once a row."""
    rows = await world.sql(
        "select policyname, coalesce(qual, '') || coalesce(with_check, '') as text from pg_policies where schemaname in ('public', 'storage')"
    )
    for row in rows:
        assert "auth.uid()" not in row["text"].replace("SELECT auth.uid()", ""), row["policyname"]
        assert "user_metadata" not in row["text"]


async def test_everything_has_a_comment(world):
    missing = await names(
        world,
        """
        select 'function ' || oid::regprocedure from pg_proc
        where pronamespace in ('public'::regnamespace, 'private'::regnamespace) and obj_description(oid, 'pg_proc') is null
        union all
        select 'table ' || oid::regclass from pg_class
        where relkind in ('r', 'v') and obj_description(oid, 'pg_class') is null
          and (relnamespace = 'public'::regnamespace or relnamespace = 'private'::regnamespace)
        union all
        select 'column ' || c.oid::regclass || '.' || a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
          and col_description(c.oid, a.attnum) is null
        union all
        select 'type ' || t.oid::regtype from pg_type t left join pg_class c on c.oid = t.typrelid
        where t.typnamespace in ('public'::regnamespace, 'private'::regnamespace) and t.typtype in ('d', 'e', 'c')
          and (c.oid is null or c.relkind = 'c') and obj_description(t.oid, 'pg_type') is null
        union all
        select 'schema ' || nspname from pg_namespace where nspname = 'private' and obj_description(oid, 'pg_namespace') is null
        """,
    )
    assert missing == set()


async def test_every_foreign_key_has_an_index(world):
    missing = await names(
        world,
        """
        select k.conrelid::regclass || ' ' || k.conname from pg_constraint k
        where k.contype = 'f' and k.connamespace = 'public'::regnamespace and not exists (
          select from pg_index i where i.indrelid = k.conrelid and i.indisvalid
            and (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey)
        """,
    )
    assert missing == set()


async def test_no_two_indexes_are_the_same(world):
    rows = await world.sql(
        """select array_agg(indexrelid::regclass::text) as twins from pg_index
           where indrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
           group by indrelid, indkey::text, indclass::text, indoption::text, indexprs::text, indpred::text
           having count(*) > 1"""
    )
    assert rows == []


async def test_history_has_its_guards(world):
    rows = await world.sql(
        """select tgrelid::regclass::text as name, array_agg(tgtype::integer & 60 order by 1) from pg_trigger
           where tgfoid = 'private.refuse_rewrite'::regproc and tgenabled = 'O' group by 1"""
    )
    update_or_delete, truncate = 8 | 16, 32
    assert {row["name"].removeprefix("public."): set(row[1]) for row in rows} == {
        table: {update_or_delete, truncate} for table in HISTORY
    }


async def test_nobodys_default_privileges_were_changed(world):
    """A project may hold more than Verso."""
    rows = await world.sql(
        """select defaclnamespace::regnamespace::text as schema, defaclobjtype::text as kind from pg_default_acl
           where defaclrole = 'postgres'::regrole"""
    )
    assert {(row["schema"], row["kind"]) for row in rows} == {("public", kind) for kind in "rfS"}
    async with world.acting("postgres") as conn:
        await conn.execute(
            "create function public.somebody_elses() returns integer language sql as 'select 1'"
        )
        sql = "select has_function_privilege('anon', 'public.somebody_elses()', 'execute')"
        assert await conn.fetchval(sql)
        await conn.execute("drop function public.somebody_elses()")


async def test_no_function_raises_what_postgrest_would_retry_for_ever(world):
    sql = "select oid::regprocedure::text from pg_proc where pronamespace in ('public'::regnamespace, 'private'::regnamespace) and prosrc ~ '40001|serialization_failure'"
    assert await names(world, sql) == set()
