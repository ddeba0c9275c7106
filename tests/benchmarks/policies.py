"""What row-level security costs: the same calls with and without it, on a project of 1,000 members and many versions.

"Without" is a role that has the same grants and BYPASSRLS: the same functions, the same plans but for the
policies, called in turn in the same run. What a function itself asks about its caller is in both. Rows are
loaded around the triggers: as many as fit in the time, or as many as are asked for.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.benchmarks.cases import Row, milliseconds
from tests.benchmarks.interleaved import interleave
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEMBERS = 1_000
DOCUMENTS = 5_000
BATCH = 25_000
TARGET = 1.15
PROJECTS = 1_000
BUSY_TARGET = 3.0
BARE_TARGET = 50
TOGETHER = 5
"""Calls to a turn: one alone takes no longer than what else a machine does now and then."""
CALLS = {
    "the latest version of a path": "select public.read_file($1, '42/a.md')",
    "a page of a document's versions": "select public.list_versions($1)",
    "a page of the log": "select public.list_changes($1)",
    "a page of the tree": "select public.list_tree($1)",
}
BARE = {
    "50 rows of versions": (
        "select v.hash from public.versions v where v.document_id = $1 order by v.number desc limit 50"
    ),
    "200 rows of changes": (
        "select c.hash from public.changes c where c.project_id = $1::text::uuid and c.sequence <= 200"
    ),
}


def policies(directory: Path, *, seconds: float, turns: int, versions: int | None = None) -> list[Row]:
    """Load for so long, or so many versions, then measure each call. Raises AssertionError for a wrong plan."""
    with Stack(directory / "policies", fresh=True) as stack, asyncio.Runner() as runner:
        return runner.run(_prepared(stack, seconds=seconds, versions=versions))(runner, turns)


async def _prepared(
    stack: Stack, *, seconds: float, versions: int | None
) -> Callable[[asyncio.Runner, int], list[Row]]:
    reader = (await stack.user())["user"]["id"]
    loading = await asyncpg.connect(stack.dsn("supabase_admin"))
    busy = (await stack.user())["user"]["id"]
    project, count = await _load(loading, reader, seconds=seconds, versions=versions)
    await _join_many(loading, busy)
    await loading.execute("create role bench_unbound bypassrls; grant authenticated to bench_unbound")
    await loading.close()
    document = uuid.uuid5(uuid.UUID(project), "42")
    bound = await _acting(stack, "authenticated", reader)
    unbound = await _acting(stack, "bench_unbound", reader)
    many = await _acting(stack, "authenticated", busy)
    for call in (*CALLS.values(), *BARE.values()):
        assert await _ask(bound, call, project, document) == await _ask(unbound, call, project, document)
        if "from public." in call:
            _checked(await _plan(bound, call, project, document), call)

    def measured(runner: asyncio.Runner, turns: int) -> list[Row]:
        def asking(conn: Any, call: str) -> Callable[[], None]:
            return lambda: runner.run(_ask_again(conn, call, project, document))

        rows = []
        for what, call in CALLS.items():
            pair = interleave(asking(bound, call), asking(unbound, call), turns=turns)
            name = f"row-level security: {what}, {MEMBERS:,} members, {count:,} versions"
            peer = f"{milliseconds(pair.peer / TOGETHER)}: the same, BYPASSRLS"
            rows.append(Row(name, milliseconds(pair.ours / TOGETHER), peer, pair.ratio, TARGET))
        for what, call in BARE.items():
            # A policy asks for the caller's projects once, whatever it is asked for: against so little, no ratio.
            pair = interleave(asking(bound, call), asking(unbound, call), turns=turns)
            more = (pair.ours - pair.peer) / TOGETHER * 1e6
            name = f"row-level security: {what} by SQL alone, {count:,} versions"
            peer = f"{milliseconds(pair.peer / TOGETHER)}: the same, BYPASSRLS"
            rows.append(
                Row(name, milliseconds(pair.ours / TOGETHER), peer, more, BARE_TARGET, unit=" µs more")
            )
        for what in ("the latest version of a path", "a page of the log"):
            pair = interleave(asking(many, CALLS[what]), asking(bound, CALLS[what]), turns=turns)
            name = f"{what}, for a member of {PROJECTS:,} projects"
            peer = f"{milliseconds(pair.peer / TOGETHER)}: for a member of one"
            rows.append(Row(name, milliseconds(pair.ours / TOGETHER), peer, pair.ratio, BUSY_TARGET))
        return rows

    return measured


async def _load(conn: Any, reader: str, *, seconds: float, versions: int | None) -> tuple[str, int]:
    """A project, its members and documents, and version after version until the time is over or there are enough."""
    project, owned = str(uuid.uuid4()), str(uuid.uuid4())
    await conn.execute("set session_replication_role = replica")
    await conn.execute(
        """
        insert into public.profiles (id, handle, display_name)
        select gen_random_uuid(), 'member-' || n, 'Member ' || n from generate_series(1, $1::int) n
        """,
        MEMBERS - 1,
    )
    await conn.execute(
        "insert into public.projects (id, slug, name, created_by) values ($1, 'large', 'Large', $2)",
        project,
        reader,
    )
    await conn.execute(
        """
        insert into public.members (user_id, project_id, role, added_by)
        select p.id, $1, 'reader', $2 from public.profiles p
        """,
        project,
        reader,
    )
    await conn.execute(
        "insert into public.blobs (object_id, project_id, sha256, size, name) values ($1, $2, $3, 1, $4)",
        *(owned, project, "a" * 64, f"{project}/{'a' * 64}"),
    )
    documents = [(uuid.uuid5(uuid.UUID(project), str(n)), f"{n}/a.md") for n in range(DOCUMENTS)]
    await conn.execute("create temporary table d (n serial, id uuid, path text)")
    await conn.copy_records_to_table("d", records=documents, columns=["id", "path"])
    begun, count = time.monotonic(), 0
    while time.monotonic() - begun < seconds if versions is None else count < versions:
        await conn.execute(_BATCH, project, reader, owned, count, count + BATCH - 1, DOCUMENTS)
        count += BATCH
    await conn.execute(
        """
        insert into public.documents (id, project_id, path, live, head, head_number, head_sequence)
        select v.document_id, v.project_id, v.path, true, v.hash, v.number, v.change_sequence from public.versions v
        where v.number = $1
        """,
        count // DOCUMENTS,
    )
    await conn.execute("update public.projects set change_sequence = $2 where id = $1", project, count // 10)
    await conn.execute("vacuum analyze")
    return project, count


async def _join_many(conn: Any, account: str) -> None:
    """Make an account, which is in the project as everybody is, a reader of many others."""
    await conn.execute(
        """
        with p as (
          insert into public.projects (id, slug, name, created_by)
          select gen_random_uuid(), 'other-' || n, 'Other', $1::uuid from generate_series(1, $2::int - 1) n returning id)
        insert into public.members (user_id, project_id, role, added_by)
        select $1::uuid, id, 'reader', $1::uuid from p
        """,
        *(account, PROJECTS),
    )
    await conn.execute("vacuum analyze public.members, public.projects")


_BATCH = """
    with n as (
      select g as n, g % $6::int as d, encode(sha256(g::text::bytea), 'hex') as hash
      from generate_series($4::int, $5::int) g
    ), c as (
      insert into public.changes (project_id, sequence, author_id, actor, authored_at, committed_at, version_count,
        request_hash, hash, previous)
      select $1, n / 10 + 1, $2, 'human', now(), now(), 10, hash, hash,
        case when n >= 10 then encode(sha256((n - 10)::text::bytea), 'hex') end
      from n where n % 10 = 0
    ), v as (
      insert into public.versions (hash, project_id, document_id, number, change_sequence, position, parent, action,
        path, sha256, size, object_id, media_type)
      select n.hash, $1, d.id, n.n / $6::int + 1, n.n / 10 + 1, n.n % 10 + 1,
        case when n.n >= $6::int then encode(sha256((n.n - $6::int)::text::bytea), 'hex') end,
        case when n.n >= $6::int then 'edit' else 'add' end::public.version_action,
        d.path, repeat('a', 64), 1, $3, 'text/plain'
      from n join d on d.n = n.d + 1
    )
    insert into public.tree_entries (project_id, path, sequence, document_id, version)
    select $1, d.path, n.n / 10 + 1, d.id, n.hash from n join d on d.n = n.d + 1
"""


async def _acting(stack: Stack, role: str, account: str) -> Any:
    conn = await asyncpg.connect(stack.dsn("supabase_admin"))
    await conn.execute(f"set role {role}")
    claims = json.dumps({"sub": account, "role": "authenticated"})
    await conn.execute("select set_config('request.jwt.claims', $1, false)", claims)
    return conn


async def _ask(conn: Any, call: str, project: str, document: uuid.UUID) -> list[Any]:
    return [tuple(row) for row in await conn.fetch(call, *_arguments(call, project, document))]


async def _ask_again(conn: Any, call: str, project: str, document: uuid.UUID) -> None:
    for _ in range(TOGETHER):
        await conn.fetch(call, *_arguments(call, project, document))


async def _plan(conn: Any, call: str, project: str, document: uuid.UUID) -> str:
    rows = await conn.fetch(f"explain (analyze, timing off) {call}", *_arguments(call, project, document))
    return "\n".join(row[0] for row in rows)


def _arguments(call: str, project: str, document: uuid.UUID) -> list[Any]:
    return [document if "list_versions" in call or "document_id" in call else project]


def _checked(plan: str, call: str) -> None:
    """The caller's projects are asked once a query and not once a row, and the rows come from an index."""
    assert "Seq Scan on versions" not in plan, plan
    assert "Seq Scan on changes" not in plan, plan
    assert "InitPlan" in plan, plan
    asked = [line for line in plan.splitlines() if "members" in line and "actual" in line]
    assert asked, f"{call}\n{plan}"
    assert all("loops=1)" in line for line in asked), f"{call}\n{plan}"
    assert not [line for line in asked if "Seq Scan" in line], f"{call}\n{plan}"
