"""What an import writes, whom it obeys, and what nobody can make it write. On PostgreSQL 18 and 15."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from app.model import ChangeSummary, VersionState, change_canonical, hash_of, version_canonical
from tests.schema.world import put, refused, sha256

if TYPE_CHECKING:
    from tests.schema.world import Person, Refusal, Team, World


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


def git_commit(number: int) -> tuple[bytes, str]:
    """A commit object, and the id that Git gives it."""
    raw = f"tree {number:040x}\nauthor Ann <ann@x> 1 +0000\ncommitter Ann <ann@x> 1 +0000\n\ncommit {number}\n".encode()
    return raw, hashlib.sha1(b"commit %d\0" % len(raw) + raw).hexdigest()


def id_of(number: int) -> str:
    return git_commit(number)[1]


def commit(number: int, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    raw, name = git_commit(number)
    return {
        "origin": base64.b64encode(raw).decode(),
        "origin_id": name,
        "author_name": "Ann",
        "author_email": "ann@x",
        "message": f"commit {number}",
        "authored_at": "2020-01-01T00:00:00Z",
        "committed_at": (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat(),
        "items": list(items),
        **more,
    }


async def load(
    world: World, team: Team, *commits: dict[str, Any], after: str | None = None, by: Person | None = None
) -> list[dict[str, Any]]:
    """Import a batch; gives what each commit became."""
    answer = await world.rpc(
        by or team.owner, "import_changes", project=team.id, after=after, changes=list(commits)
    )
    return answer["changes"]


async def head_of(world: World, team: Team) -> str | None:
    return await world.one("select change_hash from public.projects where id = $1", team.id)


async def more(world: World, team: Team, *commits: dict[str, Any]) -> list[dict[str, Any]]:
    """Import on top of whatever is there."""
    return await load(world, team, *commits, after=await head_of(world, team))


async def read(world: World, team: Team, sequence: int) -> dict[str, Any]:
    return await world.rpc(team.reader, "read_change", project=team.id, sequence=sequence)


async def tree(world: World, team: Team, at: str | None = None) -> dict[str, tuple[str, str | None]]:
    answer = await world.rpc(team.reader, "list_tree", project=team.id, at=at, page_size=1000)
    return {entry["path"]: (entry["sha256"], entry["mode"]) for entry in answer["entries"]}


@pytest_asyncio.fixture
async def stored(world: World, team: Team) -> Team:
    """A project whose folder of the bucket has three contents."""
    for content in ("one", "two", "three"):
        await world.store(team.id, content)
    return team


# What a commit becomes --------------------------------------------------------------------------------


async def test_a_commit_is_a_change_with_its_object_author_and_dates(world, stored):
    made = await load(world, stored, commit(1, put("a.md", "one")))
    change = await read(world, stored, 1)
    raw, name = git_commit(1)
    assert made == [{"sequence": 1, "hash": change["hash"], "origin_id": name, "version_count": 1}]
    assert (change["actor"], change["source"], change["author"]["id"]) == ("import", "git", stored.owner.id)
    assert (change["author_name"], change["message"]) == ("Ann", "commit 1")
    assert change["committed_at"] == "2020-01-01T00:01:00+00:00"
    origin = change["origin"]
    assert (origin["id"], origin["sha256"], origin["size"]) == (name, sha256(raw), len(raw))
    assert (origin["author_name"], origin["author_email"], origin["attributed_to"]) == ("Ann", "ann@x", None)
    assert await world.one("select origin from public.changes where project_id = $1", stored.id) == raw
    since = datetime.now(UTC) - datetime.fromisoformat(origin["imported_at"])
    assert abs(since) < timedelta(minutes=1)


async def test_a_commit_may_change_nothing(world, stored):
    made = await load(world, stored, commit(1), commit(2, put("a.md", "one")), commit(3))
    assert [each["version_count"] for each in made] == [0, 1, 0]
    assert (await read(world, stored, 3))["versions"] == []


async def test_an_item_that_changes_nothing_is_no_version(world, stored):
    made = await load(
        world, stored, commit(1, put("a.md", "one")), commit(2, put("a.md", "one"), put("b.md", "one"))
    )
    assert made[1]["version_count"] == 1


async def test_the_history_can_be_computed_again(world, stored):
    raw, name = git_commit(2)
    await load(
        world,
        stored,
        commit(1, put("a.md", "one", mode="100755"), author_name=None, author_email=None),
        commit(2, {"path": "a.md", "delete": True}, attributed_to=stored.editor.handle),
        commit(3, {"path": "a.md", "take": id_of(1)}),
    )
    await world.write(stored.editor, stored.id, "native.md", "two")
    previous = None
    for sequence in range(1, 5):
        row = await read(world, stored, sequence)
        summary = msgspec.convert(row, ChangeSummary, strict=False)
        versions = msgspec.convert(row["versions"], list[VersionState], strict=False)
        assert [hash_of(version_canonical(version)) for version in versions] == [v.hash for v in versions]
        canonical = change_canonical(summary, [version.hash for version in versions])
        assert (hash_of(canonical), summary.previous) == (summary.hash, previous)
        assert (f"origin {name} {sha256(raw)} {len(raw)}\n" in canonical) == (sequence == 2)
        previous = summary.hash


async def test_times_never_go_back_and_never_lie_ahead(world, stored):
    dates = ["2021-05-01T00:00:00Z", "2019-05-01T00:00:00Z", "2999-01-01T00:00:00Z", "2020-01-01T00:00:00Z"]
    before = datetime.now(UTC)
    await load(
        world, stored, *(commit(n, committed_at=date, authored_at=date) for n, date in enumerate(dates))
    )
    rows = [await read(world, stored, n) for n in range(1, 5)]
    at = [datetime.fromisoformat(row["committed_at"]) for row in rows]
    assert at == sorted(at)
    assert at[0] == at[1] == datetime(2021, 5, 1, tzinfo=UTC)
    assert before <= at[2] <= datetime.now(UTC)
    assert [row["authored_at"][:4] for row in rows] == ["2021", "2019", "2999", "2020"]


async def test_each_commit_is_an_event(world, stored):
    await load(world, stored, commit(1, put("a.md", "one")), commit(2))
    rows = await world.sql(
        "select change_sequence, payload from public.events where project_id = $1 and kind = 'change.added' order by sequence",
        stored.id,
    )
    assert [(row["change_sequence"], row["payload"]) for row in rows] == [
        (1, '{"versions": 1}'),
        (2, '{"versions": 0}'),
    ]


async def test_the_same_commits_may_be_in_many_projects(world, stored):
    await load(world, stored, commit(1))
    other = await world.team()
    assert (await load(world, other, commit(1)))[0]["sequence"] == 1


# Take, merge, move, mode --------------------------------------------------------------------------------


async def test_what_was_deleted_comes_back_as_the_document_that_it_was(world, stored):
    await load(
        world,
        stored,
        commit(1, put("a.md", "one")),
        commit(2, put("a.md", "two")),
        commit(3, {"path": "a.md", "delete": True}),
        commit(4, {"path": "a.md", "take": id_of(1)}),
    )
    added = (await read(world, stored, 1))["versions"][0]
    back = (await read(world, stored, 4))["versions"][0]
    assert (back["action"], back["restored_from"], back["number"]) == ("restore", added["hash"], 4)
    assert back["document"] == added["document"]


async def test_taking_what_is_there_is_no_version(world, stored):
    made = await load(
        world, stored, commit(1, put("a.md", "one")), commit(2, {"path": "a.md", "take": id_of(1)})
    )
    assert made[1]["version_count"] == 0


async def test_a_move_is_taken_back(world, stored):
    """From one branch to another: what was renamed on the first has its old name on the second."""
    made = await load(
        world,
        stored,
        commit(1, put("a.md", "one")),
        commit(2, {"from": "a.md", "path": "b.md"}),
        commit(3, {"from": "b.md", "path": "a.md", "take": id_of(1)}),
        commit(4, {"from": "a.md", "path": "b.md", "take": id_of(2)}),
        commit(5, {"path": "b.md", "delete": True}, {"path": "a.md", "take": id_of(1)}),
    )
    assert [each["version_count"] for each in made] == [1, 1, 1, 1, 1]
    states = [(await read(world, stored, n))["versions"][0] for n in range(1, 6)]
    assert [each["action"] for each in states] == ["add", "move", "restore", "restore", "restore"]
    assert [each["path"] for each in states] == ["a.md", "b.md", "a.md", "b.md", "a.md"]
    assert len({each["document"] for each in states}) == 1
    assert await tree(world, stored) == {"a.md": (sha256(b"one"), None)}


async def test_names_cross(world, stored):
    await load(
        world,
        stored,
        commit(1, put("a.md", "one"), put("b.md", "two")),
        commit(2, {"from": "a.md", "path": "b.md"}, {"from": "b.md", "path": "a.md"}),
        commit(3, {"path": "a.md", "take": id_of(1)}, {"path": "b.md", "take": id_of(1)}),
    )
    assert await tree(world, stored, "2") == {"a.md": (sha256(b"two"), None), "b.md": (sha256(b"one"), None)}
    assert await tree(world, stored, "3") == await tree(world, stored, "1")


async def test_taking_where_another_document_stays_writes_its_content(world, stored):
    await load(
        world,
        stored,
        commit(1, put("a.md", "one")),
        commit(2, {"from": "a.md", "path": "b.md"}, put("a.md", "two")),
        commit(3, {"path": "a.md", "take": id_of(1)}),
    )
    last = (await read(world, stored, 3))["versions"][0]
    assert (last["action"], last["restored_from"]) == ("edit", None)
    assert await tree(world, stored) == {"a.md": (sha256(b"one"), None), "b.md": (sha256(b"one"), None)}


async def test_a_merge_names_the_version_that_it_takes_in(world, stored):
    await load(
        world,
        stored,
        commit(1, put("a.md", "one")),
        commit(2, put("a.md", "two")),
        commit(3, {"path": "a.md", "take": id_of(1)}),
        commit(4, put("a.md", "three", merge=id_of(2))),
        commit(5, put("a.md", "one", merge=id_of(4))),
        commit(6, put("b.md", "one", merge=id_of(4))),
    )
    second = (await read(world, stored, 2))["versions"][0]
    merges = [(await read(world, stored, n))["versions"][0]["merged_from"] for n in (4, 5, 6)]
    assert merges == [second["hash"], None, None]  # the head is no other version, nothing no version at all


async def test_a_merge_with_another_documents_version_is_only_an_edit(world, stored):
    await load(
        world,
        stored,
        commit(1, put("a.md", "one")),
        commit(2, {"from": "a.md", "path": "b.md"}, put("a.md", "two")),
        commit(3, put("a.md", "three", merge=id_of(1))),
    )
    last = (await read(world, stored, 3))["versions"][0]
    assert (last["action"], last["merged_from"]) == ("edit", None)


async def test_a_second_beginning_has_documents_of_its_own_at_the_same_path(world, stored):
    """Deleted and new at one path in one change; the old one is written on, and taken back, by its commit."""
    gone = {"path": "a.md", "delete": True}
    made = await load(
        world,
        stored,
        commit(1, put("a.md", "one")),
        commit(2, gone, put("a.md", "two", fresh=True)),
        commit(3, gone, put("a.md", "three", onto=id_of(1), merge=id_of(1))),
        commit(4, gone, {"path": "a.md", "take": id_of(2)}),
        commit(5, gone),
        commit(6, put("a.md", "one", fresh=True)),
        commit(7, gone, put("b.md", "one", onto=id_of(2), of="a.md")),
    )
    assert [each["version_count"] for each in made] == [1, 2, 2, 2, 1, 1, 2]
    written = [(await read(world, stored, n))["versions"][-1] for n in (1, 2, 3, 4, 6, 7)]
    assert [each["action"] for each in written] == ["add", "add", "add", "restore", "add", "add"]
    first, second, third, fourth, sixth, seventh = [each["document"] for each in written]
    assert first == third
    assert second == fourth == seventh
    assert len({first, second, sixth}) == 3
    assert written[2]["merged_from"] == written[0]["hash"]
    assert await tree(world, stored, id_of(3)) == {"a.md": (sha256(b"three"), None)}
    assert await tree(world, stored) == {"b.md": (sha256(b"one"), None)}


async def test_a_new_document_finds_no_place_where_another_stays(world, stored):
    await load(world, stored, commit(1, put("a.md", "one")))
    refusal = await refused(more(world, stored, commit(2, put("a.md", "two", fresh=True))))
    assert (refusal.status, refusal.code) == (409, "path_taken")


async def test_only_imports_make_a_new_document_where_one_was_deleted(world, stored):
    await load(world, stored, commit(1, put("a.md", "one")), commit(2, {"path": "a.md", "delete": True}))
    await world.commit(stored.owner, stored.id, put("a.md", "two", fresh=True))
    found = await world.one("select count(*) from public.documents where project_id = $1", stored.id)
    assert found == 1


async def test_modes_come_stay_and_go(world, stored):
    await load(
        world,
        stored,
        commit(1, put("a", "one")),
        commit(2, {"path": "a", "mode": "100755"}),
        commit(3, put("a", "two")),
        commit(4, {"from": "a", "path": "b"}),
        commit(5, put("b", "three", mode="120000")),
        commit(6, {"path": "b", "delete": True}),
        commit(7, put("b", "three")),
        commit(8, {"path": "b", "take": id_of(5)}),
        commit(9, {"path": "b", "mode": "100644"}),
    )
    rows = [(await read(world, stored, n))["versions"][0] for n in range(1, 10)]
    assert [(row["action"], row["mode"]) for row in rows] == [
        ("add", None),
        ("edit", "100755"),
        ("edit", "100755"),
        ("move", "100755"),
        ("edit", "120000"),
        ("delete", None),
        ("add", None),
        ("restore", "120000"),
        ("edit", None),
    ]
    assert (await tree(world, stored, "5"))["b"] == (sha256(b"three"), "120000")


async def test_ordinary_writes_set_modes_too(world, team):
    await world.store(team.id, "one")
    made = (await world.commit(team.editor, team.id, put("a", "one", mode="100755")))["versions"][0]
    assert made["mode"] == "100755"
    only = await world.commit(team.editor, team.id, {"path": "a", "base": made["hash"], "mode": "100644"})
    assert [(each["action"], each["mode"]) for each in only["versions"]] == [("edit", None)]
    same = {"path": "a", "base": only["versions"][0]["hash"], "mode": "100644"}
    assert await world.commit(team.editor, team.id, same) is None
    for wrong in ("100664", "040000", 100755, "", True):
        refusal = await refused(world.commit(team.editor, team.id, put("b", "one", mode=wrong)))
        assert (refusal.status, refusal.code) == (422, "bad_item")


async def test_restores_of_an_ordinary_write_bring_the_mode_back(world, team):
    await world.store(team.id, "one")
    first = (await world.commit(team.editor, team.id, put("a", "one", mode="120000")))["versions"][0]
    plain = await world.commit(team.editor, team.id, {"path": "a", "base": first["hash"], "mode": "100644"})
    planned = await world.rpc(team.reader, "plan_restore", project=team.id, at="1")
    back = await world.commit(team.editor, team.id, *planned["items"])
    assert back["versions"][0]["parent"] == plain["versions"][0]["hash"]
    assert (back["versions"][0]["action"], back["versions"][0]["mode"]) == ("restore", "120000")
    pairs = await world.rpc(team.reader, "compare_trees", project=team.id, from_point="2", to_point="3")
    assert [pair["to"]["version"]["mode"] for pair in pairs["pairs"]] == ["120000"]


async def test_a_folder_takes_the_place_of_a_file_and_back(world, stored):
    await load(
        world,
        stored,
        commit(1, put("d", "one")),
        commit(2, {"path": "d", "delete": True}, put("d/x", "two")),
        commit(3, {"path": "d/x", "delete": True}, {"path": "d", "take": id_of(1)}),
    )
    assert set(await tree(world, stored, "2")) == {"d/x"}
    assert set(await tree(world, stored, "3")) == {"d"}


# Who may ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["editor", "reviewer", "reader"])
async def test_only_owners_import(world, stored, role):
    person = getattr(stored, role)
    refusal = await refused(load(world, stored, commit(1), by=person))
    assert (refusal.status, refusal.code) == (403, "role_too_low")
    asked = world.rpc(
        person, "prepare_import", project=stored.id, after=None, origin_ids=f"{{{id_of(1)}}}", contents="{}"
    )
    assert (await refused(asked)).code == "role_too_low"
    assert await head_of(world, stored) is None


async def test_to_others_the_project_is_not_there(world, stored):
    stranger = (await world.team()).owner
    await load(world, stored, commit(1))
    for person in (stored.outsider, stranger):
        for call in (
            load(world, stored, commit(1), by=person),
            world.rpc(
                person,
                "prepare_import",
                project=stored.id,
                after=None,
                origin_ids=f"{{{id_of(1)}}}",
                contents="{}",
            ),
            world.rpc(person, "read_import", project=stored.id),
            world.rpc(person, "list_imports", project=stored.id),
        ):
            refusal = await refused(call)
            assert (refusal.status, refusal.code) == (404, "project_not_found")


@pytest.mark.parametrize("role", ["anon", "service_role"])
@pytest.mark.parametrize("function", ["import_changes", "prepare_import", "read_import", "list_imports"])
async def test_nobody_else_even_calls_it(world, stored, role, function):
    given = {
        "import_changes": f"'{stored.id}', null, '[]'",
        "prepare_import": f"'{stored.id}', null, '{{}}', '{{}}'",
    }.get(function, f"'{stored.id}'")
    async with world.acting(role, {"role": role, "sub": stored.owner.id}) as conn:
        refusal = await refused(conn.fetchval(f"select public.{function}({given})"))
    assert refusal.sqlstate == "42501"


async def test_nobody_gets_around_the_checks(world, stored):
    """What an import calls is not for anybody to call."""
    calls = (
        "private.write_change(null::public.changes, '{}')",
        "private.plan_change(null, '[]', 'x')",
        "private.import_items(null, '[]', 'x')",
        "private.claim_blobs(null, '{}', 'x')",
        "private.check_import_head(null, null)",
        "private.version_after(null, 'a', 'b')",
        "private.attributed_to(null, 'a')",
    )
    for role in ("authenticated", "anon", "service_role"):
        for call in calls:
            async with world.acting(role, stored.owner.claims) as conn:
                assert (await refused(conn.fetchval(f"select {call}"))).sqlstate == "42501"


@pytest.mark.parametrize("role", ["authenticated", "anon", "service_role"])
async def test_no_role_writes_origins_of_its_own(world, stored, role):
    await load(world, stored, commit(1))
    statements = (
        "insert into public.changes (project_id, origin, origin_id) values ($1, 'x', 'y')",
        "update public.changes set author_name = 'Bob' where project_id = $1",
        "update public.changes set attributed_to = null, imported_at = now() where project_id = $1",
        "delete from public.changes where project_id = $1",
        "update public.tags set origin = 'x' where project_id = $1",
    )
    for statement in statements:
        async with world.acting(role, stored.owner.claims) as conn:
            assert (await refused(conn.execute(statement, stored.id))).sqlstate == "42501"


async def test_even_the_tables_owner_changes_no_origin(world, stored):
    await load(world, stored, commit(1))
    for column in ("author_name", "author_email", "origin_id", "message"):
        changing = world.sql(f"update public.changes set {column} = 'x' where project_id = $1", stored.id)
        assert (await refused(changing)).code == "immutable"


ROW = """
insert into public.changes (project_id, sequence, author_id, actor, authored_at, committed_at, source,
  version_count, request_hash, previous, hash, author_name, author_email, origin, origin_id)
select id, change_sequence + 1, $2, $3::text::public.actor_kind, now(), $4::text::timestamptz, 'git', 0, repeat('0', 64), change_hash,
  repeat('0', 64), 'Bob', $5, $6, $7 from public.projects where id = $1
"""


async def test_a_row_of_the_tables_owner_follows_the_same_rules(world, stored):
    """Its author's name, its import's time and its object's hash are the database's to say, not the row's."""
    raw, name = git_commit(1)
    given = (stored.id, stored.owner.id)
    ahead = await refused(world.sql(ROW, *given, "import", "2999-01-01", None, raw, name))
    assert ahead.code == "broken_chain"
    for actor, email, body, origin in (
        ("human", None, raw, name),
        ("import", None, None, None),
        ("human", "bob@x", None, None),
        ("import", None, raw, None),
        ("import", None, raw, "abc"),
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await world.sql(ROW, *given, actor, "2020-01-01", email, body, origin)
    await world.sql(ROW, *given, "import", "2020-01-01", "bob@x", raw, name)
    row = (await read(world, stored, 1))["origin"]
    assert (row["sha256"], row["size"]) == (sha256(raw), len(raw))
    assert row["imported_at"] > "2020"
    await world.write(stored.editor, stored.id, "a.md", "one")
    on_top = await refused(world.sql(ROW, *given, "import", "2999-01-01", None, *git_commit(2)))
    assert on_top.code == "broken_chain"


async def test_archived_projects_take_no_import(world, stored):
    await world.rpc(stored.owner, "update_project", project=stored.id, archived=True)
    assert (await refused(load(world, stored, commit(1)))).code == "project_archived"
    asked = world.rpc(
        stored.owner,
        "prepare_import",
        project=stored.id,
        after=None,
        origin_ids=f"{{{id_of(1)}}}",
        contents="{}",
    )
    assert (await refused(asked)).code == "project_archived"


# On top of what ---------------------------------------------------------------------------------------


async def test_the_same_batch_again_gives_the_same_answer(world, stored):
    batch = [commit(1, put("a.md", "one")), commit(2, {"path": "a.md", "delete": True}), commit(3)]
    first = await load(world, stored, *batch)
    assert await load(world, stored, *batch) == first
    assert await load(world, stored, *batch, after=first[-1]["hash"]) == first
    assert await world.one("select count(*) from public.changes where project_id = $1", stored.id) == 3


async def test_how_the_bytes_came_is_no_part_of_what_was_asked(world, stored):
    md5 = hashlib.md5(b"one").hexdigest()
    first = await load(world, stored, commit(1, put("a.md", "one", md5=md5)))
    assert await load(world, stored, commit(1, put("a.md", "one", proven=True))) == first


async def test_a_batch_that_begins_with_what_is_there_goes_on_from_it(world, stored):
    first = await load(world, stored, commit(1, put("a.md", "one")), commit(2))
    again = await load(
        world, stored, commit(1, put("a.md", "one")), commit(2), commit(3, put("a.md", "two")), commit(4)
    )
    assert again[:2] == first
    assert [each["sequence"] for each in again] == [1, 2, 3, 4]
    tail = await load(world, stored, commit(4), commit(5))
    assert [each["sequence"] for each in tail] == [4, 5]


async def test_the_same_commit_with_other_content_is_a_conflict(world, stored):
    await load(world, stored, commit(1, put("a.md", "one")), commit(2), commit(3))
    batches = (
        [commit(1, put("a.md", "two"))],
        [commit(1, put("a.md", "one"), message="other")],
        [commit(1, put("a.md", "one"), attributed_to=stored.reader.handle)],
        [commit(2), commit(1, put("a.md", "one"))],
        [commit(1, put("a.md", "one")), commit(3)],
        [commit(4), commit(4)],
        [commit(4), commit(1, put("a.md", "one"))],
    )
    for batch in batches:
        refusal = await refused(more(world, stored, *batch))
        assert (refusal.status, refusal.code) == (409, "import_conflict")
    assert (await world.rpc(stored.reader, "read_import", project=stored.id))["count"] == 3


async def test_an_import_goes_on_from_what_its_writer_saw(world, stored):
    first = await load(world, stored, commit(1))
    for after in (None, "0" * 64, first[0]["hash"][:-1] + "!"):
        refusal = await refused(load(world, stored, commit(2), after=after))
        assert (refusal.status, refusal.code) == (409, "import_stale")
        assert refusal.detail["head"] == first[0]["hash"]
        assert refusal.detail["origin_id"] == id_of(1)
    assert (await load(world, stored, commit(2), after=first[0]["hash"]))[0]["sequence"] == 2


async def test_a_batch_that_goes_on_from_the_middle_is_stale(world, stored):
    await load(world, stored, commit(1), commit(2), commit(3))
    assert (await refused(load(world, stored, commit(2), commit(4)))).code == "import_stale"


async def test_nothing_is_imported_on_top_of_what_was_written_here(world, stored):
    first = await load(world, stored, commit(1, put("a.md", "one")))
    written = await world.write(stored.editor, stored.id, "b.md", "two")
    for after in (None, first[0]["hash"], written["change"]["hash"]):
        refusal = await refused(load(world, stored, commit(2), after=after))
        assert (refusal.status, refusal.code, refusal.detail["change"]) == (409, "import_diverged", 2)
    state = await world.rpc(stored.reader, "read_import", project=stored.id)
    assert state == {"after": written["change"]["hash"], "last": id_of(1), "count": 1, "diverged": True}
    assert await load(world, stored, commit(1, put("a.md", "one"))) == first


async def test_one_of_many_importers_is_the_first(world, stored):
    async def attempt(number: int) -> Refusal | list[dict[str, Any]]:
        try:
            return await load(world, stored, commit(number))
        except asyncpg.PostgresError as error:
            return error.args[0]

    answers = await asyncio.gather(*(attempt(number) for number in range(8)))
    assert sorted(answer if isinstance(answer, str) else "done" for answer in answers) == [
        "done",
        *["import_stale"] * 7,
    ]


async def test_a_batch_is_written_whole_or_not_at_all(world, stored):
    refusal = await refused(
        load(world, stored, commit(1, put("a.md", "one")), commit(2, {"path": "no.md", "delete": True}))
    )
    assert (refusal.status, refusal.code) == (404, "document_not_found")
    assert refusal.detail["origin_id"] == id_of(2)
    assert refusal.detail["path"] == "no.md"
    assert await head_of(world, stored) is None
    assert await world.live_paths(stored.id) == set()


async def test_where_an_import_stands(world, stored):
    empty = await world.rpc(stored.reader, "read_import", project=stored.id)
    assert empty == {"after": None, "last": None, "count": 0, "diverged": False}
    made = await load(world, stored, *(commit(number) for number in range(5)))
    state = await world.rpc(stored.reader, "read_import", project=stored.id)
    assert state == {"after": made[-1]["hash"], "last": id_of(4), "count": 5, "diverged": False}
    page = await world.rpc(stored.reader, "list_imports", project=stored.id, after=1, page_size=2)
    assert page == [{"sequence": 2, "origin_id": id_of(1)}, {"sequence": 3, "origin_id": id_of(2)}]


# What it may say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ([], "bad_import"),
        (3, "bad_import"),
        ({"origin": "!"}, "bad_import"),
        ({"origin": ""}, "bad_import"),
        ({"origin": None}, "bad_import"),
        ({"origin": base64.b64encode(b"x" * 1048577).decode()}, "bad_import"),
        ({"origin_id": "abc"}, "bad_import"),
        ({"origin_id": "A" * 40}, "bad_import"),
        ({"origin_id": "a" * 64}, "bad_import"),
        ({"message": None}, "bad_import"),
        ({"message": "x" * 65537}, "bad_import"),
        ({"authored_at": "yesterday"}, "bad_import"),
        ({"authored_at": "1800-01-01T00:00:00Z"}, "bad_import"),
        ({"committed_at": "2020-13-01T00:00:00Z"}, "bad_import"),
        ({"committed_at": "0001-01-01T00:00:00+15:00"}, "bad_import"),  # in UTC that is before Christ
        ({"author_name": "two\nlines"}, "bad_import"),
        ({"author_name": ""}, "bad_import"),
        ({"author_email": "x" * 1001}, "bad_import"),
        ({"author_email": 3}, "bad_import"),
        ({"attributed_to": "nobody-at-all"}, "member_not_found"),
        ({"items": None}, "bad_import"),
        ({"items": [3]}, "bad_import"),
        ({"items": [{"path": 3}]}, "bad_import"),
        ({"items": [{"path": "a", "base": "0" * 64}]}, "bad_import"),
        ({"items": [{"path": "a", "document": "x"}]}, "bad_import"),
        ({"items": [{"path": "a", "restore": 1}]}, "bad_import"),
        ({"items": [{"path": "a", "merged_from": "x"}]}, "bad_import"),
        ({"items": [{"path": "a", "take": "x"}]}, "bad_import"),
        ({"items": [put("a", "one", onto="x")]}, "bad_import"),
        ({"items": [put("a", "one", fresh="yes")]}, "bad_import"),
        ({"items": [{"path": "a", "fresh": True}]}, "bad_import"),
        ({"items": [{"path": "a", "onto": id_of(1)}]}, "bad_import"),
        ({"items": [put("a", "one", fresh=True, onto=id_of(1))]}, "bad_import"),
        ({"items": [{"path": "a", "take": "0" * 40, "delete": True}]}, "bad_import"),
        ({"items": [{"path": "a", "take": "0" * 40}]}, "bad_item"),
        ({"items": [{"path": "a", "sha256": "0" * 64}]}, "bad_item"),
        ({"items": [{"path": "a", "sha256": "0" * 64, "size": 3}]}, "blob_missing"),
        ({"items": [{"path": "../a", "sha256": "0" * 64, "size": 3}]}, "bad_path"),
        ({"items": [{"path": "a"}]}, "no_content"),
        ({"items": [{"from": "b", "path": "a"}]}, "document_not_found"),
        ({"items": [put("a", "one"), put("a", "two")]}, "path_taken"),
        ({"items": [put("a", "one"), put("a/b", "two")]}, "path_taken"),
    ],
)
async def test_what_no_commit_can_be_is_refused_by_name(world, stored, change, code):
    given = commit(1) | change if isinstance(change, dict) else change
    refusal = await refused(load(world, stored, commit(0), given))
    assert (refusal.code, refusal.sentence.endswith(".")) == (code, True)
    assert await head_of(world, stored) is None


@pytest.mark.parametrize("changes", [None, {}, [], 3, [commit(n) for n in range(201)]])
async def test_a_batch_has_1_to_200_commits(world, stored, changes):
    call = world.rpc(stored.owner, "import_changes", project=stored.id, after=None, changes=changes)
    assert (await refused(call)).code == "bad_import"


async def test_a_batch_has_at_most_10_000_items(world, stored):
    items = [{"path": f"{n}.md", "delete": True} for n in range(5001)]
    assert (await refused(load(world, stored, commit(1, *items), commit(2, *items)))).code == "bad_import"


async def test_a_sha_256_commit_is_checked_here(world, stored):
    raw = git_commit(1)[0]
    name = hashlib.sha256(b"commit %d\0" % len(raw) + raw).hexdigest()
    assert (await load(world, stored, commit(1) | {"origin_id": name}))[0]["origin_id"] == name
    assert (await world.rpc(stored.reader, "list_tree", project=stored.id, at=name))["sequence"] == 1


async def test_the_bytes_are_proven_as_those_of_any_write(world, team):
    md5 = hashlib.md5(b"one").hexdigest()
    refusal = await refused(load(world, team, commit(1, put("a.md", "one", md5=md5))))
    assert (refusal.code, refusal.detail["origin_id"]) == ("blob_missing", id_of(1))
    await world.store(team.id, "one", junk=b"two")
    refusal = await refused(load(world, team, commit(1, put("a.md", "one", md5=md5))))
    assert refusal.code == "blob_altered"
    assert refusal.detail["items"][0]["sha256"] == sha256(b"one")
    await world.store(team.id, "one", copy="a" * 32)
    made = await load(world, team, commit(1, put("a.md", "one", md5=md5, copy="a" * 32)))
    held = await world.one(
        "select b.name from public.versions v join public.blobs b using (object_id) where v.project_id = $1",
        team.id,
    )
    assert held.endswith("." + "a" * 32)
    # What was proven once needs no second proof, and no second sending: not from junk under the plain name.
    await load(world, team, commit(2, put("b.md", "one")), after=made[0]["hash"])
    objects = await world.sql("select distinct object_id from public.versions where project_id = $1", team.id)
    assert len(objects) == 1


async def test_another_projects_bytes_are_not_at_hand(world, stored):
    await load(world, stored, commit(1, put("a.md", "one")))
    other = await world.team()
    assert (await refused(load(world, other, commit(1, put("a.md", "one"))))).code == "blob_missing"
    prepared = await world.rpc(
        other.owner,
        "prepare_import",
        project=other.id,
        after=None,
        origin_ids=f"{{{id_of(1)}}}",
        contents="{{{}}}".format(sha256(b"one")),
    )
    assert (prepared["known"], prepared["contents"]) == (0, [{"sha256": sha256(b"one"), "copies": []}])


async def test_an_author_is_somebody_who_is_or_was_a_member(world, stored):
    stranger = (await world.team()).editor
    for person in (stranger.handle, stranger.id, stored.outsider.id):
        refusal = await refused(load(world, stored, commit(1, attributed_to=person)))
        assert (refusal.status, refusal.code) == (404, "member_not_found")
    await world.rpc(stored.owner, "remove_member", project=stored.id, person=stored.reviewer.handle)
    await load(
        world,
        stored,
        commit(1, attributed_to=stored.reviewer.handle.upper()),
        commit(2, attributed_to=stored.editor.id),
    )
    who = [(await read(world, stored, n))["origin"]["attributed_to"]["handle"] for n in (1, 2)]
    assert who == [stored.reviewer.handle, stored.editor.handle]


# What is seen of it -----------------------------------------------------------------------------------


async def test_the_log_is_searched_for_who_wrote_not_for_who_imported(world, stored):
    await load(
        world,
        stored,
        commit(1, author_name="Zoë A", author_email="Zoe@Example.com"),
        commit(2, attributed_to=stored.editor.handle),
    )
    await world.write(stored.owner, stored.id, "a.md", "one")

    async def found(author: str) -> list[int]:
        rows = await world.rpc(stored.reader, "list_changes", project=stored.id, author=author)
        return [row["sequence"] for row in rows]

    assert await found("zoë a") == [1]
    assert await found("zoe@example.com") == [1]
    assert await found(stored.editor.handle) == [2]
    assert await found(stored.editor.id) == [2]
    assert await found(stored.owner.handle) == [3]
    assert await found("nobody") == []


async def test_a_name_stays_what_it_was(world, team):
    first = await world.write(team.editor, team.id, "a.md", "one")
    was = await world.one("select display_name from public.profiles where id = $1", team.editor.id)
    await world.sql("update public.profiles set display_name = 'Renamed' where id = $1", team.editor.id)
    second = await world.write(team.editor, team.id, "a.md", "two", base=first["hash"])
    assert (first["change"]["author_name"], second["change"]["author_name"]) == (was, "Renamed")
    assert (await read(world, team, 1))["author_name"] == was
    assert (await read(world, team, 1))["origin"] is None


async def test_a_commits_id_is_a_point(world, stored):
    await load(world, stored, commit(1, put("a.md", "one")), commit(2, put("a.md", "two")))
    assert (await tree(world, stored, id_of(1)))["a.md"][0] == sha256(b"one")
    for function, given in (
        ("read_file", {"path": "a.md"}),
        ("compare_trees", {"from_point": id_of(1)}),
    ):
        at = {} if function == "compare_trees" else {"at": id_of(1)}
        assert await world.rpc(stored.reader, function, project=stored.id, **given, **at)
    missing = await refused(tree(world, stored, id_of(9)))
    assert (missing.status, missing.code) == (404, "point_not_found")
    other = await world.team()
    assert (await refused(tree(world, other, id_of(1)))).code == "point_not_found"


async def test_a_tag_keeps_the_object_that_it_came_from(world, stored):
    await load(world, stored, commit(1))
    raw = b"object 1\ntype commit\ntag v1.0\n\nFirst\xff\n" * 3
    made = await world.rpc(
        stored.owner,
        "create_tag",
        project=stored.id,
        name="v1.0",
        at=id_of(1),
        origin=base64.b64encode(raw).decode(),
    )
    assert base64.b64decode(made["origin"]) == raw
    plain = await world.rpc(stored.editor, "create_tag", project=stored.id, name="plain")
    assert plain["origin"] is None
    given = base64.b64encode(raw).decode()
    refusal = await refused(world.rpc(stored.editor, "create_tag", project=stored.id, name="x", origin=given))
    assert refusal.code == "role_too_low"
    for wrong in ("!", "", base64.b64encode(b"x" * 1048577).decode()):
        refusal = await refused(
            world.rpc(stored.owner, "create_tag", project=stored.id, name="x", origin=wrong)
        )
        assert (refusal.status, refusal.code) == (422, "bad_origin")
    refusal = await refused(world.rpc(stored.owner, "create_tag", project=stored.id, name="a" * 40))
    assert refusal.code == "bad_tag_name"


async def test_nobody_approves_what_history_says_they_wrote(world, stored):
    await load(world, stored, commit(1, put("a.md", "one"), attributed_to=stored.reviewer.handle))
    version = (await read(world, stored, 1))["versions"][0]["hash"]
    for person in (stored.reviewer, stored.owner):
        call = world.rpc(person, "create_review", version=version, verdict="approve")
        assert (await refused(call)).code == "own_version"
