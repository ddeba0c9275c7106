"""The pools: whose rights a transaction has, what it leaves behind, and what a lost server does to it."""

# ruff: noqa: PT012 - it's the whole transaction that raises

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.local.bootstrap import bootstrap
from app.local.caller import ANON, SERVICE, Caller
from app.local.database import Database, UnknownRole, quote_literal
from app.local.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    running = Postgres(tmp_path_factory.mktemp("database"))
    running.start()
    admin = await asyncpg.connect(running.dsn("supabase_admin"))
    await bootstrap(admin, password="unused")
    await admin.execute("create table public.notes (id int primary key, owner uuid)")
    await admin.execute("grant all on public.notes to anon, authenticated, service_role")
    await admin.close()
    yield running
    running.stop()


@pytest.fixture(scope="module")
async def database(server: Postgres) -> AsyncIterator[Database]:
    opened = await Database.connect(server.dsn("supabase_admin"))
    yield opened
    await opened.close()


def user(user_id: uuid.UUID | None = None) -> Caller:
    claims = {"sub": str(user_id or uuid.uuid4()), "role": "authenticated"}
    return Caller("authenticated", claims, json.dumps(claims))


async def value(database: Database, caller: Caller, sql: str) -> Any:
    async with database.transaction(caller) as conn:
        return await conn.fetchval(sql)


async def test_a_transaction_is_the_callers(database: Database):
    person = user()
    async with database.transaction(person) as conn:
        row = await conn.fetchrow("select auth.uid()::text, current_user::text, auth.role()")
    assert tuple(row) == (person.claims["sub"], "authenticated", "authenticated")
    for other in (ANON, SERVICE):
        assert await value(database, other, "select current_user::text") == other.role


@pytest.mark.parametrize("failing", [False, True])
async def test_claims_do_not_outlive_their_transaction(database: Database, failing: bool):
    with contextlib.suppress(asyncpg.DivisionByZeroError):
        async with database.transaction(user(), settings={"request.method": "GET"}) as conn:
            await conn.execute("select 1 / 0" if failing else "select 1")
    async with database.pool("authenticated").connection() as conn:
        left = await conn.fetchrow(
            "select current_setting('request.jwt.claims', true), current_setting('request.method', true)"
        )
        assert tuple(left) == ("", "")


async def test_roles_have_the_timeouts_of_a_hosted_project(database: Database):
    for role, timeout in (("anon", "3s"), ("authenticated", "8s"), ("service_role", "8s")):
        async with database.pool(role).connection() as conn:
            assert await conn.fetchval("show statement_timeout") == timeout
    async with database.admin().connection() as conn:
        assert await conn.fetchval("show statement_timeout") == "0"


async def test_read_only_is_read_only(database: Database):
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with database.transaction(user(), read_only=True) as conn:
            await conn.execute("insert into public.notes values (1)")


async def test_what_raises_is_rolled_back_and_what_ends_is_committed(database: Database):
    with pytest.raises(RuntimeError, match="no"):
        async with database.transaction(user()) as conn:
            await conn.execute("insert into public.notes values (10)")
            raise RuntimeError("no")
    async with database.transaction(user()) as conn:
        await conn.execute("insert into public.notes values (11)")
    kept = await value(database, SERVICE, "select array_agg(id) from public.notes where id in (10, 11)")
    assert kept == [11]


async def test_a_swallowed_error_is_no_commit(database: Database):
    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        async with database.transaction(user()) as conn:
            await conn.execute("insert into public.notes values (20)")
            with contextlib.suppress(asyncpg.DivisionByZeroError):
                await conn.execute("select 1 / 0")


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_is_clean(database: Database):
    async def slow() -> None:
        async with database.transaction(user()) as conn:
            await conn.execute("insert into public.notes values (30)")
            await conn.execute("select pg_sleep(60)")

    for _ in range(40):  # more often than the pool has connections
        task = asyncio.create_task(slow())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(30):
        assert await value(database, user(), "select count(*) from public.notes where id = 30") == 0


async def test_more_requests_than_connections_take_turns(database: Database):
    people = [user() for _ in range(200)]

    async def ask(person: Caller) -> bool:
        async with database.transaction(person) as conn:
            await asyncio.sleep(0)
            return await conn.fetchval("select auth.uid()::text") == person.claims["sub"]

    assert all(await asyncio.gather(*map(ask, people)))
    async with database.admin().connection() as conn:
        assert (
            await conn.fetchval("select count(*) from pg_stat_activity where usename = 'authenticator'") < 60
        )


async def test_an_unknown_role_is_refused(database: Database):
    for role in (
        "postgres",
        "supabase_admin; drop table x",
        "nobody",
        "supabase_admin",
        "supabase_auth_admin",
    ):
        with pytest.raises(UnknownRole):
            async with database.transaction(Caller(role, {}, "{}")):
                pass


async def test_claims_cannot_break_out_of_their_quotes(database: Database):
    nasty = {
        "role": "authenticated",
        "sub": str(uuid.uuid4()),
        "x": "'; rollback; drop table public.notes; --\\' \\",
    }
    async with database.transaction(Caller("authenticated", nasty, json.dumps(nasty))) as conn:
        assert json.loads(await conn.fetchval("select auth.jwt()::text")) == nasty
        await conn.execute("select 1 from public.notes")


@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
async def test_a_quoted_literal_is_the_text_itself(database: Database, text: str):
    for conforming in ("on", "off"):
        async with database.admin().connection() as conn:
            await conn.execute(f"set standard_conforming_strings = {conforming}")
            try:
                [[row]] = [list(await conn.fetch(f"select {quote_literal(text)}"))]
                assert row[0] == text
            finally:
                await conn.execute("reset standard_conforming_strings")


def test_a_nul_is_no_text():
    with pytest.raises(ValueError, match="NUL"):
        quote_literal("a\0b")


async def test_after_a_killed_server_the_next_transaction_succeeds(server: Postgres, database: Database):
    async with database.transaction(user()) as conn:
        await conn.execute("insert into public.notes values (40)")
    backends = psutil.Process(server.pid).children()
    os.kill(server.pid, signal.SIGKILL)

    await asyncio.to_thread(server.wait)
    # Its backends notice a moment later; what begins on one of them before that is lost with it.
    _, alive = await asyncio.to_thread(psutil.wait_procs, backends, 20)
    assert not alive
    restarting = asyncio.create_task(asyncio.to_thread(server.restart))
    for _ in range(30):
        async with database.transaction(user()) as conn:
            assert await conn.fetchval("select count(*) from public.notes where id = 40") == 1
    await restarting


async def test_a_server_killed_within_a_transaction_is_an_error_and_no_commit(
    server: Postgres, database: Database
):
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        async with database.transaction(user()) as conn:
            await conn.execute("insert into public.notes values (50)")
            os.kill(server.pid, signal.SIGKILL)
            await asyncio.to_thread(server.wait)
            await conn.execute("insert into public.notes values (51)")
    await asyncio.to_thread(server.restart)
    async with database.transaction(user()) as conn:
        assert await conn.fetchval("select count(*) from public.notes where id in (50, 51)") == 0
