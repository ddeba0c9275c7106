"""A commit costs what it costs in an empty project, however long the imported history below it: counted in pages.

One document has 20,000 imported versions, and 5,000 others one each. The rows are made by SQL with triggers off.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.costs.counted import pages, pages_of_write
from tests.schema.test_imports import commit, head_of, id_of
from tests.schema.world import put, sha256

if TYPE_CHECKING:
    from tests.schema.world import Team, World

pytestmark = pytest.mark.slow

COMMITS = 20_000
DOCUMENTS = 5_000
BATCH = 40
CONTENTS = 8
FILLED = ("versions", "changes", "tree_entries", "documents")

ROWS = """
insert into public.blobs (object_id, project_id, sha256, size, name) values ('{object}', '{project}', '{sha256}', 1, '{project}/{sha256}');
with n as (select generate_series(1, {commits}) n),
c as (insert into public.changes (project_id, sequence, message, author_id, actor, authored_at, committed_at, version_count, source,
    request_hash, previous, hash, author_name, origin, origin_id, origin_sha256, origin_size, imported_at)
  select '{project}', n, 'change ' || n, '{author}', 'import', now(), timestamptz '2001-01-01' + n * interval '1 minute', 1, 'git',
    encode(sha256('r{project}'::bytea), 'hex'), case when n > 1 then encode(sha256(('c{project}' || n - 1)::bytea), 'hex') end,
    encode(sha256(('c{project}' || n)::bytea), 'hex'), 'Ann', 'x', lpad(to_hex(n), 40, '0'), encode(sha256('x'), 'hex'), 1, now() from n),
t as (insert into public.tree_entries (project_id, path, sequence, document_id, version)
  select '{project}', 'long.md', n, '{document}', encode(sha256(('v{project}' || n)::bytea), 'hex') from n)
insert into public.versions (hash, project_id, document_id, number, change_sequence, position, parent, action, path,
  sha256, size, media_type, object_id)
select encode(sha256(('v{project}' || n)::bytea), 'hex'), '{project}', '{document}', n, n, 1,
  case when n > 1 then encode(sha256(('v{project}' || n - 1)::bytea), 'hex') end,
  case when n > 1 then 'edit' else 'add' end::public.version_action, 'long.md', '{sha256}', 1, 'text/markdown', '{object}'
from n;
insert into public.documents (id, project_id, path, live, head, head_number, head_sequence)
values ('{document}', '{project}', 'long.md', true, encode(sha256('v{project}{commits}'::bytea), 'hex'), {commits}, {commits});
with n as (select n, gen_random_uuid() as id from generate_series(1, {documents}) n),
d as (insert into public.documents (id, project_id, path, live, head, head_number, head_sequence)
  select id, '{project}', 'many/' || n || '.md', true, encode(sha256(('m{project}' || n)::bytea), 'hex'), 1, 1 from n),
t as (insert into public.tree_entries (project_id, path, sequence, document_id, version)
  select '{project}', 'many/' || n || '.md', 1, id, encode(sha256(('m{project}' || n)::bytea), 'hex') from n)
insert into public.versions (hash, project_id, document_id, number, change_sequence, position, action, path,
  sha256, size, media_type, object_id)
select encode(sha256(('m{project}' || n)::bytea), 'hex'), '{project}', id, 1, 1, n + 1, 'add', 'many/' || n || '.md',
  '{sha256}', 1, 'text/markdown', '{object}' from n;
update public.projects set change_sequence = {commits}, change_hash = encode(sha256('c{project}{commits}'::bytea), 'hex')
where id = '{project}';
"""


@pytest_asyncio.fixture(scope="module")
async def long(world: World) -> Team:
    team = await world.team()
    names = {
        "project": team.id,
        "author": team.owner.id,
        "document": await world.one("select gen_random_uuid()::text"),
        "commits": COMMITS,
        "documents": DOCUMENTS,
        "sha256": sha256(b"x"),
        "object": await world.store(team.id, b"x"),
    }
    async with world.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(ROWS.format(**names))
    await world.pool.execute("vacuum analyze")
    return team


async def batch(world: World, team: Team) -> list[dict[str, Any]]:
    """Adds, edits, moves, deletes and takes of a few documents."""
    for number in range(CONTENTS):
        await world.store(team.id, f"content {number}")
    made = [commit(0, *(put(f"new/{n}.md", f"content {n % CONTENTS}") for n in range(4)))]
    for n in range(1, BATCH):
        path = f"new/{n % 4}.md"
        made.append(
            commit(
                n,
                put(path, f"content {n % CONTENTS}"),
                {"path": f"new/{(n + 1) % 4}.md", "take": id_of(0)},
                put(f"more/{n}.md", f"content {n % CONTENTS}"),
                *([{"from": f"more/{n - 1}.md", "path": f"moved/{n}.md"}] if n > 1 else []),
            )
        )
    return made


async def cost(world: World, team: Team, commits: list[dict[str, Any]]) -> int:
    after = await head_of(world, team)
    seen = f"'{after}'" if after else "null"
    call = f"import_changes('{team.id}', {seen}, $json${json.dumps(commits)}$json$)"
    return await pages_of_write(world, team.owner, call, tables=FILLED)


async def test_a_batch_costs_the_same_however_long_the_history_below_it(world, long):
    fresh = await world.team()
    counts = [await cost(world, team, await batch(world, team)) for team in (fresh, long)]
    assert counts[1] <= counts[0] * 1.5 + 40 * BATCH, counts


async def test_where_an_import_stands_is_found_at_once(world, long):
    state = await world.rpc(long.reader, "read_import", project=long.id)
    assert (state["count"], state["last"]) == (COMMITS, f"{COMMITS:040x}")
    for call in (f"read_import('{long.id}')", f"list_imports('{long.id}', {COMMITS - 60}, 50)"):
        assert await pages(world, long.reader, call) < 150, call
