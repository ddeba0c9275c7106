"""What a change does to documents, versions and the tree. On PostgreSQL 18 and 15."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.schema.world import put, refused, sha256

if TYPE_CHECKING:
    from tests.schema.world import Team, World


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


@pytest_asyncio.fixture
async def first(world: World, team: Team) -> dict[str, Any]:
    """A version of notes/a.md that says one."""
    return await world.write(team.editor, team.id, "notes/a.md", "one")


async def read(world: World, team: Team, path: str, at: str | None = None) -> dict[str, Any]:
    return await world.rpc(team.reader, "read_file", project=team.id, path=path, at=at)


async def tree(world: World, team: Team, at: str | None = None) -> dict[str, str]:
    answer = await world.rpc(team.reader, "list_tree", project=team.id, at=at)
    return {entry["path"]: entry["sha256"] for entry in answer["entries"]}


# One document ----------------------------------------------------------------------------------------


async def test_an_add_makes_version_one_without_a_parent(world, team, first):
    assert (first["number"], first["parent"], first["action"]) == (1, None, "add")
    assert first["change"]["sequence"] == 1
    assert first["change"]["previous"] is None
    assert first["change"]["author"]["handle"] == team.editor.handle


async def test_an_edit_names_its_parent(world, team, first):
    second = await world.write(team.editor, team.id, "notes/a.md", "two", base=first["hash"])
    assert (second["number"], second["parent"], second["action"]) == (2, first["hash"], "edit")
    assert second["document"] == first["document"]
    assert second["change"]["previous"] == first["change"]["hash"]


async def test_a_move_keeps_document_and_content(world, team, first):
    change = await world.commit(
        team.editor, team.id, {"document": first["document"], "path": "b.md", "base": first["hash"]}
    )
    moved = change["versions"][0]
    assert (moved["action"], moved["path"], moved["sha256"]) == ("move", "b.md", sha256(b"one"))
    assert await world.live_paths(team.id) == {"b.md"}
    assert await tree(world, team, "1") == {"notes/a.md": sha256(b"one")}


async def test_a_move_by_the_old_path_may_bring_new_content(world, team, first):
    await world.store(team.id, "two")
    change = await world.commit(
        team.editor, team.id, put("b.md", "two", base=first["hash"], **{"from": "notes/a.md"})
    )
    assert change["versions"][0]["action"] == "move"
    assert await tree(world, team) == {"b.md": sha256(b"two")}


async def test_a_delete_is_a_version_and_empties_the_path(world, team, first):
    change = await world.commit(
        team.editor, team.id, {"path": "notes/a.md", "base": first["hash"], "delete": True}
    )
    gone = change["versions"][0]
    assert (gone["action"], gone["number"], gone["sha256"]) == ("delete", 2, None)
    assert await tree(world, team) == {}
    missing = await refused(read(world, team, "notes/a.md"))
    assert (missing.status, missing.code) == (404, "document_deleted")
    assert missing.detail["head"] == gone["hash"]


async def test_a_deleted_document_comes_back_by_restore(world, team, first):
    gone = await world.commit(
        team.editor, team.id, {"path": "notes/a.md", "base": first["hash"], "delete": True}
    )
    change = await world.commit(
        team.editor,
        team.id,
        {"document": first["document"], "base": gone["versions"][0]["hash"], "restore": "latest"},
    )
    back = change["versions"][0]
    assert (back["action"], back["number"], back["restored_from"]) == ("restore", 3, first["hash"])
    assert await tree(world, team) == {"notes/a.md": sha256(b"one")}


async def test_an_older_version_is_restored_as_a_new_one(world, team, first):
    second = await world.write(team.editor, team.id, "notes/a.md", "two", base=first["hash"])
    change = await world.commit(
        team.editor, team.id, {"path": "notes/a.md", "base": second["hash"], "restore": 1}
    )
    assert change["versions"][0]["restored_from"] == first["hash"]
    assert (await read(world, team, "notes/a.md"))["version"]["sha256"] == sha256(b"one")


async def test_writing_where_something_was_deleted_continues_its_history(world, team, first):
    await world.commit(team.editor, team.id, {"path": "notes/a.md", "base": first["hash"], "delete": True})
    again = await world.write(team.editor, team.id, "notes/a.md", "three")
    assert again["document"] == first["document"]
    assert (again["number"], again["action"]) == (3, "add")


async def test_a_path_that_was_left_can_be_taken_by_another_document(world, team, first):
    await world.commit(
        team.editor, team.id, {"document": first["document"], "path": "b.md", "base": first["hash"]}
    )
    other = await world.write(team.editor, team.id, "notes/a.md", "other")
    assert other["document"] != first["document"]
    assert (await read(world, team, "notes/a.md", "1"))["version"]["hash"] == first["hash"]
    assert (await read(world, team, "notes/a.md", "3"))["version"]["hash"] == other["hash"]
    missing = await refused(read(world, team, "notes/a.md", "2"))
    assert (missing.status, missing.code) == (404, "document_not_found")


async def test_a_reader_of_the_old_path_is_told_where_it_went(world, team, first):
    await world.commit(
        team.editor, team.id, {"document": first["document"], "path": "b.md", "base": first["hash"]}
    )
    missing = await refused(read(world, team, "notes/a.md"))
    assert (missing.code, missing.detail["moved_to"]) == ("document_moved", "b.md")


# Nothing to do -------------------------------------------------------------------------------------------


async def test_writing_what_is_there_already_writes_nothing(world, team, first):
    assert await world.commit(team.editor, team.id, put("notes/a.md", "one", base=first["hash"])) is None
    assert await world.one("select change_sequence from public.projects where id = $1", team.id) == 1


async def test_only_what_is_new_in_a_change_is_written(world, team, first):
    await world.store(team.id, "new")
    change = await world.commit(
        team.editor, team.id, put("notes/a.md", "one", base=first["hash"]), put("new.md", "new")
    )
    assert [version["path"] for version in change["versions"]] == ["new.md"]


async def test_a_new_media_type_is_a_version(world, team, first):
    item = put("notes/a.md", "one", base=first["hash"]) | {"media_type": "text/plain"}
    change = await world.commit(team.editor, team.id, item)
    assert change["versions"][0]["media_type"] == "text/plain"


async def test_the_media_type_is_kept_when_none_is_given(world, team, first):
    await world.store(team.id, "two")
    item = put("notes/a.md", "two", base=first["hash"])
    del item["media_type"]
    assert (await world.commit(team.editor, team.id, item))["versions"][0]["media_type"] == "text/markdown"


# Many documents ----------------------------------------------------------------------------------------


async def pair(world: World, team: Team) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        await world.write(team.editor, team.id, "a.md", "a"),
        await world.write(team.editor, team.id, "b.md", "b"),
    )


async def test_two_documents_swap_their_paths(world, team):
    a, b = await pair(world, team)
    await world.commit(
        team.editor,
        team.id,
        {"document": a["document"], "path": "b.md", "base": a["hash"]},
        {"document": b["document"], "path": "a.md", "base": b["hash"]},
    )
    assert await tree(world, team) == {"a.md": sha256(b"b"), "b.md": sha256(b"a")}


async def test_documents_move_up_in_a_chain(world, team):
    a, b = await pair(world, team)
    await world.commit(
        team.editor,
        team.id,
        {"from": "a.md", "path": "b.md", "base": a["hash"]},
        {"from": "b.md", "path": "c.md", "base": b["hash"]},
    )
    assert await tree(world, team) == {"b.md": sha256(b"a"), "c.md": sha256(b"b")}


async def test_a_path_whose_document_moves_away_can_be_written_in_the_same_change(world, team):
    a, _ = await pair(world, team)
    await world.store(team.id, "new")
    await world.commit(
        team.editor,
        team.id,
        {"document": a["document"], "path": "old/a.md", "base": a["hash"]},
        put("a.md", "new"),
    )
    assert await tree(world, team) == {
        "a.md": sha256(b"new"),
        "b.md": sha256(b"b"),
        "old/a.md": sha256(b"a"),
    }


async def test_a_document_becomes_a_folder_when_it_moves_into_itself(world, team, first):
    await world.commit(
        team.editor, team.id, {"from": "notes/a.md", "path": "notes/a.md/index.md", "base": first["hash"]}
    )
    assert set(await tree(world, team)) == {"notes/a.md/index.md"}


@pytest.mark.parametrize(
    ("path", "with_path"),
    [("notes", "notes/a.md"), ("notes/a.md/x.md", "notes/a.md")],
    ids=["a document where a folder is", "a folder where a document is"],
)
async def test_no_path_is_a_document_and_a_folder(world, team, first, path, with_path):
    await world.store(team.id, "x")
    refusal = await refused(world.commit(team.editor, team.id, put(path, "x")))
    assert (refusal.status, refusal.code) == (409, "path_taken")
    assert refusal.detail["with"] == with_path


@pytest.mark.parametrize(
    "paths",
    [("x.md", "x.md"), ("x", "x/y.md"), ("x/y/z.md", "x")],
    ids=["twice", "document then folder", "folder then document"],
)
async def test_a_change_does_not_collide_with_itself(world, team, paths):
    await world.store(team.id, "x")
    refusal = await refused(world.commit(team.editor, team.id, *(put(path, "x") for path in paths)))
    assert (refusal.status, refusal.code) == (409, "path_taken")


async def test_similar_names_are_no_folders(world, team, first):
    await world.store(team.id, "x")
    paths = ("notes-2.md", "notes.md", "note", "notes/a.md.bak", "notes/a.mdx/y", "notes0")
    await world.commit(team.editor, team.id, *(put(path, "x") for path in paths))
    assert await world.live_paths(team.id) == {*paths, "notes/a.md"}


async def test_a_document_is_written_once_in_a_change(world, team, first):
    await world.store(team.id, "two")
    refusal = await refused(
        world.commit(
            team.editor,
            team.id,
            put("notes/a.md", "two", base=first["hash"]),
            {"document": first["document"], "base": first["hash"], "delete": True},
        )
    )
    assert (refusal.status, refusal.code) == (422, "document_twice")


async def test_all_or_nothing(world, team, first):
    await world.store(team.id, "x")
    refusal = await refused(world.commit(team.editor, team.id, put("x.md", "x"), put("y.md", "never stored")))
    assert (refusal.status, refusal.code, refusal.detail["index"]) == (422, "blob_missing", 2)
    assert await world.live_paths(team.id) == {"notes/a.md"}
    assert (await world.write(team.editor, team.id, "x.md", "x"))["change"]["sequence"] == 2


async def test_all_the_reasons_come_in_one_answer(world, team, first):
    refusal = await refused(
        world.commit(
            team.editor,
            team.id,
            put("notes/a.md", "x"),
            put("../x", "x"),
            {"document": str(uuid.uuid4()), "base": "0" * 64, "delete": True},
            put("notes/b.md", "x", base="1" * 64),
        )
    )
    assert [(item["index"], item["code"]) for item in refusal.detail["items"]] == [
        (1, "base_required"),
        (2, "bad_path"),
        (3, "document_not_found"),
        (4, "stale_base"),
    ]
    assert refusal.code == "base_required"
    assert refusal.detail["head"] == first["hash"]


# Bases ---------------------------------------------------------------------------------------------------


async def test_a_stale_base_is_refused_with_the_head(world, team, first):
    second = await world.write(team.editor, team.id, "notes/a.md", "two", base=first["hash"])
    await world.store(team.id, "three")
    refusal = await refused(world.commit(team.owner, team.id, put("notes/a.md", "three", base=first["hash"])))
    assert (refusal.status, refusal.code) == (412, "stale_base")
    assert (refusal.detail["head"], refusal.detail["number"]) == (second["hash"], 2)


@pytest.mark.parametrize(
    "item", [{"delete": True}, {"restore": 1}, {"path": "z.md"}], ids=["delete", "restore", "move"]
)
async def test_every_kind_of_write_needs_the_base(world, team, first, item):
    item = {"document": first["document"], **item}
    refusal = await refused(world.commit(team.editor, team.id, item))
    assert (refusal.status, refusal.code) == (428, "base_required")
    stale = await refused(world.commit(team.editor, team.id, {**item, "base": "f" * 64}))
    assert (stale.status, stale.code) == (412, "stale_base")


async def test_creating_what_is_there_is_refused_as_a_failed_precondition(world, team, first):
    await world.store(team.id, "two")
    refusal = await refused(world.commit(team.editor, team.id, put("notes/a.md", "two", create=True)))
    assert (refusal.status, refusal.code, refusal.detail["head"]) == (412, "already_exists", first["hash"])


async def test_ones_own_write_may_be_sent_again(world, team, first):
    """RFC 9110, 13.1.1: after a lost answer a client repeats its write, whose base is stale by then."""
    second = await world.write(team.editor, team.id, "notes/a.md", "two", base=first["hash"])
    again = put("notes/a.md", "two", base=first["hash"])
    assert await world.commit(team.editor, team.id, again) is None
    assert (await refused(world.commit(team.owner, team.id, again))).code == "stale_base"
    other_type = again | {"media_type": "text/plain"}
    assert (await refused(world.commit(team.editor, team.id, other_type))).code == "stale_base"
    head = (await read(world, team, "notes/a.md"))["head"]
    assert head["hash"] == second["hash"]


async def test_a_deleted_document_is_not_deleted_again(world, team, first):
    change = await world.commit(
        team.editor, team.id, {"path": "notes/a.md", "base": first["hash"], "delete": True}
    )
    refusal = await refused(
        world.commit(
            team.editor,
            team.id,
            {"path": "notes/a.md", "base": change["versions"][0]["hash"], "delete": True},
        )
    )
    assert (refusal.status, refusal.code) == (404, "already_deleted")


async def test_a_delete_cannot_be_restored(world, team, first):
    change = await world.commit(
        team.editor, team.id, {"path": "notes/a.md", "base": first["hash"], "delete": True}
    )
    base = change["versions"][0]["hash"]
    item = {"document": first["document"], "base": base}
    assert (await refused(world.commit(team.editor, team.id, {**item, "restore": 2}))).code == (
        "nothing_to_restore"
    )
    assert (await refused(world.commit(team.editor, team.id, {**item, "restore": 3}))).code == (
        "version_not_found"
    )
    assert (await refused(world.commit(team.editor, team.id, {**item, "path": "b.md"}))).code == "no_content"


# Repeats -------------------------------------------------------------------------------------------------


async def test_the_same_key_and_content_give_the_same_change(world, team):
    await world.store(team.id, "x")
    item = put("x.md", "x")
    made = await world.commit(team.editor, team.id, item, idempotency_key="k1", message="first")
    again = await world.commit(
        team.editor, team.id, {**item, "md5": "0" * 32, "proven": True}, idempotency_key="k1", message="first"
    )
    assert again == made


async def test_the_same_key_with_other_content_is_refused(world, team):
    await world.store(team.id, "x")
    made = await world.commit(team.editor, team.id, put("x.md", "x"), idempotency_key="k1")
    refusal = await refused(world.commit(team.editor, team.id, put("y.md", "x"), idempotency_key="k1"))
    assert (refusal.status, refusal.code) == (409, "idempotency_key_reused")
    assert refusal.detail["change"] == made["sequence"]


async def test_a_repeat_whose_items_were_made_anew_is_known_by_what_was_asked(world, team):
    await world.store(team.id, "x")
    asked = {"idempotency_key": "k1", "request": {"restore": 1}}
    made = await world.commit(team.editor, team.id, put("x.md", "x"), **asked)
    for items in ([], [put("y.md", "x")]):
        assert await world.commit(team.editor, team.id, *items, **asked) == made
        for other in ({"restore": 2}, None):
            refusal = await refused(world.commit(team.editor, team.id, *items, **{**asked, "request": other}))
            assert refusal.code == ("idempotency_key_reused"), other
    fresh = await refused(world.commit(team.editor, team.id, idempotency_key="k2", request={"restore": 1}))
    assert (fresh.status, fresh.code) == (422, "bad_change")


async def test_a_key_is_its_writers_own(world, team):
    await world.store(team.id, "x")
    await world.commit(team.editor, team.id, put("x.md", "x"), idempotency_key="k1")
    other = await world.commit(team.owner, team.id, put("y.md", "x"), idempotency_key="k1")
    assert other["sequence"] == 2


async def test_preparing_a_repeat_says_so(world, team):
    await world.store(team.id, "x")
    await world.commit(team.editor, team.id, put("x.md", "x"), idempotency_key="k1")
    prepared = await world.rpc(
        team.editor, "prepare_change", project=team.id, items=[put("x.md", "x")], idempotency_key="k1"
    )
    assert prepared["repeat_of"] == 1


# Before the bytes travel -----------------------------------------------------------------------------------


async def test_preparing_tells_what_is_there_and_writes_nothing(world, team, first):
    prepared = await world.rpc(
        team.editor,
        "prepare_change",
        project=team.id,
        items=[put("b.md", "one"), put("c.md", "new"), {"path": "d.md", "pending": True}],
    )
    there, new, pending = prepared["items"]
    assert [copy["name"] for copy in there["copies"]] == [f"{team.id}/{sha256(b'one')}"]
    assert (new["copies"], pending["copies"]) == ([], [])
    assert await world.one("select count(*) from public.documents where project_id = $1", team.id) == 1


async def test_preparing_refuses_what_committing_refuses(world, team, first):
    for item in (
        put("notes/a.md", "x"),
        put("notes", "x"),
        put("a//b", "x"),
        put("x.md", "x", base="0" * 64),
    ):
        prepared = await refused(world.rpc(team.editor, "prepare_change", project=team.id, items=[item]))
        committed = await refused(world.commit(team.editor, team.id, item))
        assert prepared == committed


# Sessions ------------------------------------------------------------------------------------------------


async def test_documents_belong_to_the_session_whose_root_is_above_them(world, team):
    before = await world.write(team.editor, team.id, "sessions/s1/specs/spec.md", "spec")
    session = await world.rpc(team.editor, "create_session", project=team.id, slug="s1")
    after = await world.write(team.editor, team.id, "sessions/s1/plans/plan.md", "plan")
    loose = await world.write(team.editor, team.id, "README.md", "readme")
    rows = await world.sql(
        "select path, session_id::text, stage::text from public.documents where project_id = $1", team.id
    )
    assert {tuple(row) for row in rows} == {
        (before["path"], session["id"], "spec"),
        (after["path"], session["id"], "plan"),
        (loose["path"], None, None),
    }


async def test_a_document_changes_its_session_when_it_moves(world, team):
    await world.rpc(team.editor, "create_session", project=team.id, slug="s1")
    second = await world.rpc(team.editor, "create_session", project=team.id, slug="s2")
    doc = await world.write(team.editor, team.id, "sessions/s1/intents/intent.md", "intent")
    await world.commit(
        team.editor,
        team.id,
        {"document": doc["document"], "path": "sessions/s2/contexts/c.md", "base": doc["hash"]},
    )
    read = await world.rpc(team.reader, "read_session", project=team.id, session="s2")
    assert (read["documents"][0]["id"], read["documents"][0]["stage"]) == (doc["document"], "context")
    assert second["documents"] == []


async def test_an_outer_session_does_not_take_an_inner_ones_documents(world, team):
    inner = await world.rpc(team.editor, "create_session", project=team.id, slug="in", root="run/in")
    await world.write(team.editor, team.id, "run/in/specs/spec.md", "spec")
    await world.rpc(team.editor, "create_session", project=team.id, slug="out", root="run")
    row = await world.sql(
        "select session_id::text, stage::text from public.documents where project_id = $1", team.id
    )
    assert tuple(row[0]) == (inner["id"], "spec")
