"""History under attack by plain SQL, by every role that a project has: nothing changes, nothing is forged."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio

from tests.schema.expected import TABLES
from tests.schema.world import put, refused, sha256

if TYPE_CHECKING:
    from tests.schema.world import Team, World

HISTORY = ["versions", "changes", "tree_entries", "tags", "events", "blobs"]
ROLES = ["owner", "editor", "reviewer", "reader", "outsider", "anon", "service_role"]
NO_PRIVILEGE = "42501"


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


@pytest_asyncio.fixture(scope="module")
async def team(world: World) -> Team:
    """A project with something in every table, for all the attacks of this module."""
    team = await world.team()
    await world.rpc(team.editor, "create_session", project=team.id, slug="s1")
    first = await world.write(team.editor, team.id, "sessions/s1/specs/spec.md", "one")
    await world.write(team.editor, team.id, first["path"], "two", base=first["hash"])
    await world.write(team.editor, team.id, "b.md", "three")
    await world.rpc(team.editor, "create_tag", project=team.id, name="one", at="1")
    return team


def attacker(world: World, team: Team, role: str) -> Any:
    """A transaction of somebody."""
    if role in {"anon", "service_role", "postgres"}:
        return world.acting(role, {"role": role})
    return world.as_person(getattr(team, role))


async def fails(world: World, team: Team, role: str, sql: str, *args: Any) -> asyncpg.PostgresError:
    """Run it in a transaction that is taken back in any case; it must fail."""

    async def run() -> None:
        async with attacker(world, team, role) as conn:
            await conn.execute(sql, *args)
            # What is only checked at the commit has its chance too.
            await conn.execute("set constraints all immediate")
            pytest.fail(f"{role} could run: {sql}")

    with pytest.raises(asyncpg.PostgresError) as caught:
        await run()
    return caught.value


async def rows_of(world: World, team: Team) -> dict[str, int]:
    return {
        table: await world.one(f"select count(*) from public.{table} where project_id = $1", team.id)
        for table in HISTORY
    }


async def reasons(world: World, team: Team, role: str, statements: list[str]) -> dict[str, str]:
    """Each statement's error, or what it did, tried one after the other by somebody and taken back."""
    found = {}
    async with attacker(world, team, role) as conn:
        for sql in statements:
            attempt = conn.transaction()
            await attempt.start()
            try:
                found[sql] = await conn.execute(sql)
            except asyncpg.PostgresError as error:
                found[sql] = error.sqlstate
            finally:
                await attempt.rollback()
    return found


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_writes_a_table(world, team, role):
    statements = [
        sql
        for table in sorted(TABLES - {"projects", "profiles"})
        for sql in (
            f"update public.{table} set project_id = project_id",
            f"delete from public.{table}",
            f"truncate public.{table} cascade",
            f"insert into public.{table} default values",
            f"select * from public.{table} for update",
        )
    ]
    assert await reasons(world, team, role, statements) == dict.fromkeys(statements, NO_PRIVILEGE)


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_writes_projects_or_profiles(world, team, role):
    statements = [
        "update public.projects set change_sequence = 0",
        "update public.projects set archived_at = now()",
        "delete from public.projects",
        "truncate public.projects cascade",
        "insert into public.projects (slug, name, created_by) select 'x', 'x', id from public.profiles",
        "update public.profiles set display_name = 'x'",
        "delete from public.profiles",
        "insert into public.profiles (id, handle, display_name) values (gen_random_uuid(), 'x', 'x')",
    ]
    assert await reasons(world, team, role, statements) == dict.fromkeys(statements, NO_PRIVILEGE)


@pytest.mark.parametrize("table", HISTORY)
async def test_the_owner_of_the_tables_rewrites_nothing_either(world, team, table):
    before = await rows_of(world, team)
    assert before[table] > 0
    for sql in (
        f"update public.{table} set project_id = project_id",
        f"delete from public.{table}",
        f"truncate public.{table} cascade",
    ):
        error = await fails(world, team, "postgres", sql)
        assert (error.sqlstate, error.args[0]) == ("PT403", "immutable")
    assert await rows_of(world, team) == before


async def test_what_history_stands_on_cannot_be_taken_away(world, team):
    for sql in (
        "delete from public.projects",
        "delete from public.documents",
        "truncate public.projects cascade",
        "truncate public.documents cascade",
        "truncate public.profiles cascade",
        "truncate storage.objects cascade",
        "update public.documents set id = gen_random_uuid()",
        "update public.projects set id = gen_random_uuid()",
    ):
        assert (await fails(world, team, "postgres", sql)).sqlstate in {"23503", "PT403"}


# Forged rows, by the tables' owner: what the triggers and constraints alone hold ------------------------------

VERSION = """
insert into public.versions (hash, project_id, document_id, number, change_sequence, position, parent, restored_from,
  action, path, sha256, size, media_type, object_id)
select coalesce($1::jsonb ->> 'hash', v.hash), coalesce(($1::jsonb ->> 'project_id')::uuid, v.project_id),
  coalesce(($1::jsonb ->> 'document_id')::uuid, v.document_id), coalesce(($1::jsonb ->> 'number')::integer, v.number + 1),
  coalesce(($1::jsonb ->> 'change_sequence')::bigint, 4), 1,
  case when $1::jsonb ? 'parent' then $1::jsonb ->> 'parent' else v.hash end, $1::jsonb ->> 'restored_from',
  coalesce($1::jsonb ->> 'action', 'edit')::public.version_action, v.path, v.sha256, coalesce(($1::jsonb ->> 'size')::bigint, v.size),
  v.media_type, case when $1::jsonb ? 'object_id' then ($1::jsonb ->> 'object_id')::uuid else v.object_id end
from public.versions v join public.documents d on d.head = v.hash
where d.project_id = $2 and d.path = 'b.md'
"""


async def forged_version(world: World, team: Team, **forged: Any) -> asyncpg.PostgresError:
    return await fails(world, team, "postgres", VERSION, json.dumps(forged), team.id)


async def test_a_version_without_its_change_does_not_last(world, team):
    assert (await forged_version(world, team)).sqlstate == "23503"


async def test_a_version_is_not_added_to_a_change_that_is_written(world, team):
    assert (await forged_version(world, team, change_sequence=3)).args[0] == "broken_chain"


async def test_a_version_has_the_next_number_and_the_newest_version_as_its_parent(world, team):
    spec = await world.sql(
        """select v.hash from public.versions v
           where v.project_id = $1 and path <> 'b.md' order by v.number""",
        team.id,
    )
    for forged in (
        {"number": 3},
        {"number": 1, "parent": None},
        {"parent": None},
        {"parent": spec[1]["hash"]},
        {"parent": "0" * 64},
        {"restored_from": spec[0]["hash"], "action": "restore"},
    ):
        error = await forged_version(world, team, **forged)
        assert error.args[0] == "broken_chain" or error.sqlstate in {"23505", "23514"}, forged


async def test_no_document_has_two_futures(world, team):
    first = await world.sql(
        """select v.hash, v.document_id::text from public.versions v
           where v.project_id = $1 and v.path <> 'b.md' and number = 1""",
        team.id,
    )
    forged = {"parent": first[0]["hash"], "document_id": first[0]["document_id"], "number": 2}
    assert (await forged_version(world, team, **forged)).sqlstate == "23505"


async def test_a_version_has_its_bytes(world, team):
    other = await world.team()
    foreign = (await world.write(other.editor, other.id, "b.md", "three"))["hash"]
    foreign_object = await world.one("select object_id::text from public.versions where hash = $1", foreign)
    for forged in (
        {"size": 4},
        {"object_id": None},
        {"object_id": foreign_object},
        {"object_id": str(uuid.uuid4())},
        {"project_id": other.id, "change_sequence": 2},
    ):
        error = await forged_version(world, team, **forged)
        assert error.args[0] == "broken_chain" or error.sqlstate == "23514", forged


async def test_a_forged_hash_is_replaced_by_the_true_one(world, team):
    """A version by hand, looked at before the end of a transaction that can't end well without its change."""
    async with world.pool.acquire() as conn:
        attempt = conn.transaction()
        await attempt.start()
        forged = json.dumps({"hash": "f" * 64})
        written = await conn.fetchval(VERSION + " returning hash", forged, team.id)
        true = "select private.hash_of(private.version_canonical(v)) from public.versions v where hash = $1"
        again = await conn.fetchval(true, written)
        await attempt.rollback()
    assert written == again
    assert written != "f" * 64


CHANGE = """
insert into public.changes (project_id, sequence, message, author_id, actor, authored_at, committed_at, version_count,
  request_hash, previous, hash)
select c.project_id, coalesce(($1::jsonb ->> 'sequence')::bigint, c.sequence + 1), '', c.author_id, 'human', now(),
  coalesce(($1::jsonb ->> 'committed_at')::timestamptz, clock_timestamp()), coalesce(($1::jsonb ->> 'version_count')::integer, 1),
  c.request_hash, case when $1::jsonb ? 'previous' then $1::jsonb ->> 'previous' else c.hash end, repeat('f', 64)
from public.changes c join public.projects p on p.id = c.project_id and p.change_sequence = c.sequence
where p.id = $2
"""


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"sequence": 5},
        {"sequence": 3},
        {"previous": "0" * 64},
        {"previous": None},
        {"version_count": 2},
        {"committed_at": "2001-01-01T00:00:00Z"},
    ],
    ids=["empty", "gap", "again", "other previous", "no previous", "miscounted", "backdated"],
)
async def test_a_change_follows_the_newest_one_and_holds_its_versions(world, team, forged):
    sequence = int(forged.get("sequence", 4))

    async def run() -> None:
        async with world.acting("postgres") as conn:
            if forged and sequence != 3:
                await conn.execute(VERSION, json.dumps({"change_sequence": sequence}), team.id)
            await conn.execute(CHANGE, json.dumps(forged), team.id)
            pytest.fail("the forged change was taken")

    with pytest.raises(asyncpg.PostgresError, match="broken_chain"):
        await run()


async def test_a_true_change_by_hand_is_chained_like_any_other(world):
    """The triggers are no obstacle for what is right: an importer may write the rows itself."""
    team = await world.team()
    first = await world.write(team.editor, team.id, "b.md", "three")
    async with world.acting("postgres") as conn:
        version = await conn.fetchval(
            VERSION + " returning hash", json.dumps({"change_sequence": 2}), team.id
        )
        change = await conn.fetchval(CHANGE + " returning hash", "{}", team.id)
        assert await conn.fetchval("select change_hash from public.projects where id = $1", team.id) == change
        assert version != first["hash"]


# Stored objects ----------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def stored(world: World, team: Team) -> str:
    return await world.one(
        "select object_id from public.blobs where project_id = $1 order by created_at limit 1", team.id
    )


STORAGE_ROLES = ["owner", "editor", "outsider", "anon", "service_role", "postgres", "supabase_storage_admin"]


async def outcome(world: World, team: Team, role: str, sql: str, *args: Any) -> str:
    """The error's code, or how many rows it changed. Taken back in any case."""
    try:
        async with world.pool.acquire() as conn:
            transaction = conn.transaction()
            await transaction.start()
            try:
                person = getattr(team, role, None)
                await conn.execute(f"set local role {'authenticated' if person else role}")
                claims = person.claims if person else {"role": role}
                await conn.execute("select set_config('request.jwt.claims', $1, true)", json.dumps(claims))
                await conn.execute("set local storage.allow_delete_query = 'true'")
                return (await conn.execute(sql, *args)).split()[-1]
            finally:
                await transaction.rollback()
    except asyncpg.PostgresError as error:
        return error.sqlstate


@pytest.mark.parametrize("role", STORAGE_ROLES)
async def test_nobody_overwrites_or_renames_a_stored_object(world, team, stored, role):
    for assignment in (
        "version = 'other'",
        "name = name || '.old'",
        "bucket_id = 'elsewhere'",
        "id = gen_random_uuid()",
        "metadata = metadata || '{\"size\": 1}'",
        "metadata = null",
    ):
        sql = f"update storage.objects set {assignment} where id = $1"
        assert await outcome(world, team, role, sql, stored) in {"0", "23505"}, assignment


@pytest.mark.parametrize("role", STORAGE_ROLES)
async def test_nobody_deletes_an_object_that_a_version_needs(world, team, stored, role):
    """Not even past Storage's own guard: the guard's setting is on, as it is in the storage server."""
    delete = "delete from storage.objects where id = $1"
    assert await outcome(world, team, role, delete, stored) in {"0", "23503"}
    assert await outcome(world, team, role, "truncate storage.objects") in {"42501", "0A000"}
    assert await outcome(world, team, role, "truncate storage.objects cascade") in {"42501", "PT403"}
    bucket = "delete from storage.buckets where id = 'documents'"
    assert await outcome(world, team, role, bucket) in {"0", "23503"}


async def test_the_storage_server_may_note_that_an_object_was_read(world, team, stored):
    sql = "update storage.objects set last_accessed_at = now() where id = $1"
    assert await outcome(world, team, "supabase_storage_admin", sql, stored) == "1"


@pytest.mark.parametrize("role", ["service_role", "supabase_storage_admin"])
async def test_an_unreferenced_object_can_be_cleaned_up(world, team, role):
    loose = uuid.UUID(await world.store(team.id, "never committed"))
    assert await outcome(world, team, role, "delete from storage.objects where id = $1", loose) == "1"


@pytest.mark.parametrize(
    ("role", "taken"),
    [
        ("owner", True),
        ("editor", True),
        ("reviewer", False),
        ("reader", False),
        ("outsider", False),
        ("anon", False),
    ],
)
async def test_editors_add_objects_to_their_projects_folder(world, team, role, taken):
    insert = "insert into storage.objects (bucket_id, name, version) values ('documents', $1, '1')"
    name = f"{team.id}/{'a' * 64}"
    assert await outcome(world, team, role, insert, name) == ("1" if taken else NO_PRIVILEGE)


@pytest.mark.parametrize(
    "name",
    [
        "{0}/x",
        "{0}/" + "A" * 64,
        "{0}/" + "a" * 64 + "/x",
        "{0}/" + "a" * 64 + ".junk",
        "x/{0}/" + "a" * 64,
        "a" * 64,
        "{0}/../" + "a" * 64,
        "{1}/" + "a" * 64,
        "{0}",
    ],
)
async def test_only_content_names_are_taken(world, team, name):
    insert = "insert into storage.objects (bucket_id, name, version) values ('documents', $1, '1')"
    name = name.format(team.id, uuid.uuid4())
    assert await outcome(world, team, "editor", insert, name) == NO_PRIVILEGE


async def test_an_archived_project_takes_no_objects(world):
    team = await world.team()
    await world.rpc(team.owner, "update_project", project=team.id, archived=True)
    insert = "insert into storage.objects (bucket_id, name, version) values ('documents', $1, '1')"
    assert await outcome(world, team, "owner", insert, f"{team.id}/{'a' * 64}") == NO_PRIVILEGE


async def test_junk_under_a_contents_name_is_seen_by_its_size_or_md5(world, team):
    content = "honest bytes"
    await world.store(team.id, content, junk=b"short")
    short = await refused(world.commit(team.editor, team.id, put("j.md", content)))
    assert (short.status, short.code) == (422, "blob_missing")
    other = await world.team()
    await world.store(other.id, content, junk=b"evil   bytes")
    altered = await refused(world.commit(other.editor, other.id, put("j.md", content, md5="0" * 32)))
    assert (altered.status, altered.code) == (422, "blob_altered")
    await world.store(other.id, content, copy="c" * 32)
    change = await world.commit(other.editor, other.id, put("j.md", content, copy="c" * 32))
    answer = await world.rpc(other.reader, "read_file", project=other.id, path="j.md")
    assert answer["copies"][0]["name"].endswith("." + "c" * 32)
    assert change["versions"][0]["hash"] == answer["version"]["hash"]


async def test_no_number_of_copies_crowds_out_the_proven_one(world):
    """A vandal claims junk under a content's name before and after the honest write."""
    team = await world.team()
    content = "wanted"
    for n in range(12):
        await world.store(team.id, content, copy=f"{n:032x}", junk=b"wasted")
        await world.commit(team.editor, team.id, put(f"junk/{n}.md", content, copy=f"{n:032x}"))
    await world.store(team.id, content)
    await world.commit(team.owner, team.id, put("honest.md", content))
    for n in range(12, 24):
        await world.store(team.id, content, copy=f"{n:032x}", junk=b"wasted")
        await world.commit(team.editor, team.id, put(f"junk/{n}.md", content, copy=f"{n:032x}"))
    answer = await world.rpc(team.reader, "read_file", project=team.id, path="honest.md")
    assert answer["copies"][0]["name"] == f"{team.id}/{sha256(content.encode())}"
    assert len(answer["copies"]) == 8


async def test_a_further_copy_mends_a_version_that_was_written_on_junk(world):
    team = await world.team()
    await world.store(team.id, "lost", junk=b"junk")
    first = await world.write(team.editor, team.id, "a.md", "lost")
    await world.store(team.id, "lost", copy="d" * 32)
    item = put("a.md", "lost", base=first["hash"], copy="d" * 32)
    assert await world.commit(team.owner, team.id, item) is None
    answer = await world.rpc(team.reader, "read_file", project=team.id, path="a.md")
    assert [copy["name"][-32:] == "d" * 32 for copy in answer["copies"]] == [False, True]
