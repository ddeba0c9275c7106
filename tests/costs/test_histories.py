"""Nothing grows with the length of history: counted in pages of the database, not in seconds.

One document has 100,000 versions, and the project beside it 10,000 documents of one version each. The rows
are made by SQL with triggers off, in the shape that commit_change gives them.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.costs.counted import LARGE, attempted, pages
from tests.schema.world import put, sha256

if TYPE_CHECKING:
    from tests.schema.world import Team, World

pytestmark = pytest.mark.slow

VERSIONS = 100_000
DOCUMENTS = 10_000

LONG_DOCUMENT = """
insert into public.blobs (object_id, project_id, sha256, size, name) values ('{object}', '{project}', '{sha256}', 1, '{project}/{sha256}');
with n as (select generate_series(1, {versions}) n),
c as (insert into public.changes (project_id, sequence, message, author_id, actor, authored_at, committed_at, version_count,
    request_hash, previous, hash)
  select '{project}', n, 'change ' || n, '{author}', 'human', now(), timestamptz '2020-01-01' + n * interval '1 minute', 1,
    encode(sha256('r{project}'::bytea), 'hex'),
    case when n > 1 then encode(sha256(('c{project}' || n - 1)::bytea), 'hex') end,
    encode(sha256(('c{project}' || n)::bytea), 'hex') from n),
t as (insert into public.tree_entries (project_id, path, sequence, document_id, version)
  select '{project}', 'docs/long.md', n, '{document}', encode(sha256(('v{project}' || n)::bytea), 'hex') from n)
insert into public.versions (hash, project_id, document_id, number, change_sequence, position, parent, action, path,
  sha256, size, media_type, object_id)
select encode(sha256(('v{project}' || n)::bytea), 'hex'), '{project}', '{document}', n, n, 1,
  case when n > 1 then encode(sha256(('v{project}' || n - 1)::bytea), 'hex') end,
  case when n > 1 then 'edit' else 'add' end::public.version_action, 'docs/long.md', '{sha256}', 1, 'text/markdown', '{object}'
from n;
insert into public.documents (id, project_id, path, live, head, head_number, head_sequence)
values ('{document}', '{project}', 'docs/long.md', true, encode(sha256('v{project}{versions}'::bytea), 'hex'), {versions}, {versions});
"""
MANY_DOCUMENTS = """
insert into public.blobs (object_id, project_id, sha256, size, name)
select gen_random_uuid(), '{project}', encode(sha256(('b{project}' || n)::bytea), 'hex'), 1, 'unused ' || n
from generate_series(1, {documents}) n;
with n as (select n, gen_random_uuid() as id from generate_series(1, {documents}) n),
d as (insert into public.documents (id, project_id, path, live, head, head_number, head_sequence)
  select id, '{project}', 'many/' || n / 100 || '/' || n || '.md', true, encode(sha256(('m{project}' || n)::bytea), 'hex'), 1, 1 from n),
t as (insert into public.tree_entries (project_id, path, sequence, document_id, version)
  select '{project}', 'many/' || n / 100 || '/' || n || '.md', 1, id, encode(sha256(('m{project}' || n)::bytea), 'hex') from n)
insert into public.versions (hash, project_id, document_id, number, change_sequence, position, action, path,
  sha256, size, media_type, object_id)
select encode(sha256(('m{project}' || n)::bytea), 'hex'), '{project}', id, 1, 1, n + 1, 'add', 'many/' || n / 100 || '/' || n || '.md',
  '{sha256}', 1, 'text/markdown', '{object}' from n;
update public.changes set version_count = {documents} + 1 where project_id = '{project}' and sequence = 1;
update public.projects set change_sequence = {versions}, change_hash = encode(sha256('c{project}{versions}'::bytea), 'hex')
where id = '{project}';
"""


GONE = """
with n as (select n, gen_random_uuid() as id from generate_series(1, 20000) n),
d as (insert into public.documents (id, project_id, path, live, head, head_number, head_sequence)
  select id, '{project}', 'a-gone/' || n || '.md', false, encode(sha256(('g{project}' || n)::bytea), 'hex'), 2, 3 from n)
insert into public.tree_entries (project_id, path, sequence, document_id, version)
select '{project}', 'a-gone/' || n || '.md', k, id, case k when 0 then encode(sha256(('g{project}' || n)::bytea), 'hex') end
from n cross join generate_series(0, 1) k
"""


@dataclass(frozen=True)
class Long:
    team: Team
    document: str


@pytest_asyncio.fixture(scope="module")
async def long(world: World) -> Long:
    team = await world.team()
    document = await world.one("select gen_random_uuid()::text")
    names = {
        "project": team.id,
        "author": team.editor.id,
        "document": document,
        "versions": VERSIONS,
        "documents": DOCUMENTS,
        "sha256": sha256(b"x"),
        "object": await world.store(team.id, b"x"),
    }
    await filled(world, LONG_DOCUMENT.format(**names), MANY_DOCUMENTS.format(**names))
    await world.pool.execute("vacuum analyze")
    return Long(team, document)


async def filled(world: World, *statements: str) -> None:
    """Rows as they come, without triggers and without new statistics."""
    async with world.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        for statement in statements:
            await conn.execute(statement)


async def alike(world: World, long: Long, *calls: str) -> None:
    """Every call touches as many pages as the first, give or take the depth of an index."""
    counts = {call: await pages(world, long.team.reader, call) for call in calls}
    assert max(counts.values()) <= min(counts.values()) * 1.15 + 6, counts


async def test_the_last_page_of_a_history_costs_what_the_first_costs(world, long):
    call = f"list_versions('{long.document}', {{}}, 50)"
    await alike(world, long, *(call.format(before) for before in ("null", VERSIONS // 2, 51)))
    rows = await world.rpc(long.team.reader, "list_versions", document=long.document, before=51)
    assert [row["number"] for row in rows] == list(range(50, 0, -1))


async def test_a_tree_costs_the_same_at_every_change(world, long):
    call = f"list_tree('{long.team.id}', {{}}, 'many/1', '', 50)"
    await alike(world, long, *(call.format(f"'{at}'") for at in (2, VERSIONS // 2, VERSIONS - 1)))
    await alike(world, long, call.format(f"'{VERSIONS}'"), call.format("null"))


async def test_what_was_deleted_is_not_walked_over(world, long):
    """The tree as it is now: 20,000 documents were there before, in a folder that comes first."""
    team = await world.team()
    await world.write(team.editor, team.id, "here.md", "x")
    await filled(world, GONE.format(project=team.id))
    counts = [
        await pages(world, team.reader, f"list_tree('{team.id}', {at}, '{prefix}', '', 50)")
        for at, prefix in (("null", ""), ("'1'", ""), ("null", "a-gone/"))
    ]
    assert max(counts) < 1000, counts
    page = await world.rpc(team.reader, "list_tree", project=team.id)
    assert [entry["path"] for entry in page["entries"]] == ["here.md"]


async def test_what_came_after_the_statistics_is_read_by_its_keys(world, long):
    """A large import: for some minutes PostgreSQL doesn't know that the project is there."""
    team = await world.team()
    names = {"project": team.id, "author": team.editor.id, "document": str(uuid.uuid4()), "versions": 10_000}
    await filled(
        world,
        LONG_DOCUMENT.format(**names, sha256=sha256(b"x"), object=str(uuid.uuid4())),
        f"update public.projects set change_sequence = 10000 where id = '{team.id}'",
    )
    for call in (
        f"list_history('{team.id}', 5000, 50)",
        f"list_rows('{team.id}', 'changes', '5000', 50)",
        f"list_changes('{team.id}', 5000, 50)",
    ):
        assert await pages(world, team.reader, call) < 5000, call
    page = await world.rpc(team.reader, "list_history", project=team.id, after=5000, page_size=2)
    assert [[v["number"] for v in change["versions"]] for change in page["changes"]] == [[5001], [5002]]


async def test_a_tree_costs_the_same_beside_a_long_history(world, long):
    """The walk steps over a path's history, however long: the long document is one of these."""
    call = f"list_tree('{long.team.id}', {{}}, '', '', 10)"
    await alike(world, long, *(call.format(f"'{at}'") for at in (2, VERSIONS // 2, VERSIONS - 1)))
    page = await world.rpc(long.team.reader, "list_tree", project=long.team.id, at="7", page_size=2)
    assert (page["entries"][0]["path"], page["entries"][0]["number"]) == ("docs/long.md", 7)


async def test_a_small_folder_costs_little_in_a_large_project(world, long):
    small = await pages(world, long.team.reader, f"list_tree('{long.team.id}', null, 'docs/', '', 200)")
    large = await pages(world, long.team.reader, f"list_tree('{long.team.id}', null, 'many/', '', 200)")
    assert small * 10 < large


async def test_a_file_costs_the_same_at_every_change(world, long):
    call = f"read_file('{long.team.id}', 'docs/long.md', {{}})"
    changes = (f"'{VERSIONS}'", f"'{VERSIONS // 2}'", "'1'", "'2020-01-05T00:00:00Z'")
    await alike(world, long, *(call.format(point) for point in changes))
    await alike(world, long, *(call.format(point) for point in ("'v1'", "'v500'", f"'v{VERSIONS}'")))


async def test_a_version_costs_the_same_wherever_it_is(world, long):
    call = f"read_version('{long.document}', {{}})"
    await alike(world, long, *(call.format(f"'v{number}'") for number in (1, 500, VERSIONS)))
    await alike(world, long, *(call.format(f"'{change}'") for change in (1, 500, VERSIONS - 1)))


async def test_the_log_of_changes_costs_the_same_on_every_page(world, long):
    call = f"list_changes('{long.team.id}', {{}}, 50)"
    await alike(world, long, *(call.format(before) for before in ("null", VERSIONS // 2, 51)))


async def test_whole_changes_cost_the_same_on_every_page(world, long):
    call = f"list_history('{long.team.id}', {{}}, 50)"
    # Change 1 holds all the many documents, so it is a page of its own and none of these.
    await alike(world, long, *(call.format(after) for after in (1, VERSIONS // 2, VERSIONS - 50)))
    page = await world.rpc(
        long.team.reader, "list_history", project=long.team.id, after=VERSIONS - 50, page_size=50
    )
    assert [change["sequence"] for change in page["changes"]] == list(range(VERSIONS - 49, VERSIONS + 1))


async def test_a_content_is_found_without_a_look_at_the_others(world, long):
    # A content of its own: of the long history's one content, any version would do, wherever a scan finds it.
    team = await world.team()
    await world.write(team.editor, team.id, "rare.md", "rare")
    asked = f"array['{sha256(b'rare')}']"
    assert await pages(world, team.reader, f"list_held('{team.id}', {asked})") < 100
    assert await pages(world, team.reader, f"locate_contents('{team.id}', {asked})") < 100


async def test_the_log_of_a_folder_that_rests_is_not_walked_to(world, long):
    """Its only change is the first of a hundred thousand: the newest thousand are looked at, and then its paths."""
    call = f"list_changes('{long.team.id}', {{}}, 50, prefix => 'many/1/')"
    counts = [await pages(world, long.team.reader, call.format(at)) for at in ("null", VERSIONS // 2, 2_000)]
    assert max(counts) < VERSIONS // 5, counts
    assert max(counts) <= min(counts) * 1.15 + 6, counts
    for prefix, found in (("many/1/", [1]), ("many/", [1]), ("many/none", [])):
        rows = await world.rpc(long.team.reader, "list_changes", project=long.team.id, prefix=prefix)
        assert [row["sequence"] for row in rows] == found
    rows = await world.rpc(
        long.team.reader,
        "list_changes",
        project=long.team.id,
        prefix="docs/",
        before=VERSIONS - 5,
        page_size=3,
    )
    assert [row["sequence"] for row in rows] == [VERSIONS - 6, VERSIONS - 7, VERSIONS - 8]


async def test_a_time_is_found_in_the_log_without_walking_to_it(world, long):
    call = f"list_changes('{long.team.id}', null, 50{{}})"
    until = ", until => '2020-01-02T00:00:00Z'"
    since = ", since => '2020-03-10T00:00:00Z'"
    await alike(world, long, *(call.format(more) for more in ("", until, since)))
    rows = await world.rpc(
        long.team.reader, "list_changes", project=long.team.id, until="2020-01-01T00:03:00Z"
    )
    assert [row["sequence"] for row in rows] == [2, 1]
    rows = await world.rpc(
        long.team.reader,
        "list_changes",
        project=long.team.id,
        since="2020-01-01T00:02:00Z",
        until="2020-01-01T00:05:00Z",
    )
    assert [row["sequence"] for row in rows] == [4, 3, 2]


async def test_a_write_costs_the_same_however_long_the_history_and_large_the_project(world, long):
    """One item and a thousand, in an empty project and in this one."""
    fresh = await world.team()
    await world.store(fresh.id, b"x")
    for count in (1, 1000):
        counts = []
        for team in (fresh, long.team):
            items = json.dumps([put(f"new/{n // 100}/{n}.md", b"x") for n in range(count)])
            touched, before, after = await attempted(
                world, team.editor, f"commit_change('{team.id}', '{items}')"
            )
            counts.append(touched)
            assert after == before or team is fresh, "a table was read from end to end by a write"
        assert counts[1] <= counts[0] * 1.5 + 40, (count, counts)


async def test_an_edit_costs_the_same_on_the_hundred_thousandth_version(world, long):
    fresh = await world.team()
    first = await world.write(fresh.editor, fresh.id, "docs/long.md", b"y")
    head = await world.one("select head from public.documents where id = $1", long.document)
    counts = []
    for team, base in ((fresh, first["hash"]), (long.team, head)):
        items = json.dumps([put("docs/long.md", b"x", base=base) | {"media_type": "text/plain"}])
        await world.store(team.id, b"x")
        touched, _, _ = await attempted(world, team.editor, f"commit_change('{team.id}', '{items}')")
        counts.append(touched)
    assert counts[1] <= counts[0] * 1.5 + 40, counts


async def test_going_back_to_a_point_is_planned_at_the_same_cost_wherever_it_is(world, long):
    call = f"plan_restore('{long.team.id}', '{{}}', 'docs/')"
    counts = [await pages(world, long.team.reader, call.format(at)) for at in (1, VERSIONS // 2, VERSIONS)]
    assert max(counts) < 500, counts


async def test_two_points_are_compared_at_the_same_cost_however_much_lies_between(world, long):
    call = f"compare_trees('{long.team.id}', '{{}}', '{{}}')"
    apart = ((VERSIONS // 2, VERSIONS // 2 + 1), (VERSIONS - 1, VERSIONS), (2, 3))
    await alike(world, long, *(call.format(*each) for each in apart))
    # Of many changes the documents are asked, all of them: of what they were in between so much is read, and no more.
    history = tuple(table for table in LARGE if table != "documents")
    wide = [call.format(*each) for each in ((2, VERSIONS), (VERSIONS - 1000, VERSIONS))]
    counts = [await pages(world, long.team.reader, each, tables=history) for each in wide]
    assert max(counts) < VERSIONS // 25, counts


KEPT = """
insert into public.attributions (version, project_id, lines, runs, lines_added, lines_removed)
select v.hash, v.project_id, 1, case when v.number = 1 then '{1,1,1}' else array[v.number - 1, 1, 1] end, 0, 0
from public.versions v where v.document_id = $1;
"""
SETTLED = """
insert into public.settled_attributions (version, project_id, runs)
select v.hash, v.project_id, '{1,1,1}' from public.versions v where v.document_id = $1 and v.number % 32 = 0;
"""


async def test_who_wrote_a_version_costs_the_same_wherever_it_is(world, long):
    for rows in (KEPT, SETTLED):
        await world.pool.execute(rows, long.document)
    await world.pool.execute("vacuum analyze public.attributions, public.settled_attributions")
    call = f"read_blame('{long.document}', 'v{{}}')"
    # As many rows after one that is settled.
    await alike(world, long, *(call.format(number) for number in (32 * 10 + 8, 50_024, VERSIONS - 32 + 8)))
    said = await world.rpc(long.team.reader, "read_blame", document=long.document)
    assert said["runs"] == [[1, 1, 1, 1]]
    call = f"read_change('{long.team.id}', {{}})"
    await alike(world, long, *(call.format(at) for at in (2, VERSIONS // 2, VERSIONS)))
    call = f"list_attributions('{long.document}', {{}})"
    await alike(world, long, *(call.format(number) for number in (32 * 10 + 8, 50_024, VERSIONS - 32 + 8)))


async def test_what_rests_longest_is_found_without_a_look_at_the_others(world, long):
    """Row security lets no index be asked by an expression, so it's a matter of how the function asks."""
    reader, project = long.team.reader, long.team.id
    page = await world.rpc(reader, "list_stale", project=project, days=0, page_size=50)
    last = page[-1]
    after = f"{last['changed_at']} {last['project']['id']} {last['sequence']} {last['document']}"
    everywhere = [f"list_stale({each}, 0, 50{{}})" for each in (f"'{project}'", "null")]
    calls = [call.format(more) for call in everywhere for more in ("", f", '{after}'")]
    counts = {call: await pages(world, reader, call) for call in calls}
    assert max(counts.values()) < 1000, counts
    assert {each["sequence"] for each in page} == {1}
    further = await world.rpc(reader, "list_stale", project=project, days=0, page_size=50, after=after)
    assert min(each["document"] for each in further) > last["document"]


EVENTS = """
insert into public.events (project_id, sequence, kind, actor_id, change_sequence, payload)
select '{project}', n, 'change.added', '{author}', n + {versions} - 4000, '{{"versions": 1}}' from generate_series(1, 4000) n;
insert into public.events (project_id, sequence, kind, actor_id, payload)
select '{project}', n, 'comment.added', '{author}',
  jsonb_build_object('version', encode(sha256(('v{project}' || n)::bytea), 'hex')) from generate_series(4001, 8000) n;
update public.projects set event_sequence = 8000 where id = '{project}';
"""


async def test_events_cost_the_same_on_every_page_and_a_filter_reads_no_more_than_its_window(world, long):
    names = {"project": long.team.id, "author": long.team.editor.id, "versions": VERSIONS}
    async with world.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(
            f"delete from public.events where project_id = '{long.team.id}'; " + EVENTS.format(**names)
        )
    await world.pool.execute("vacuum analyze public.events")
    call = f"list_events('{long.team.id}', {{}}, 20)"
    await alike(world, long, *(call.format(after) for after in (0, 2000, 3900)))  # about changes
    await alike(world, long, *(call.format(after) for after in (4000, 6000, 7980)))  # about versions
    nowhere = f"list_events('{long.team.id}', 0, 20, null, 'nowhere/')"
    assert await pages(world, long.team.reader, nowhere) < 20 * 8000
    page = await world.rpc(long.team.reader, "list_events", project=long.team.id, after=7990, prefix="docs/")
    assert [each["sequence"] for each in page["events"]] == list(range(7991, 8001))
    assert {each["path"] for each in page["events"]} == {"docs/long.md"}
