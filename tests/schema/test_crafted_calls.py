"""Direct rpc with crafted arguments: it gains nothing that the API would refuse, and costs nobody anything."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.schema.world import Person, put, refused, sha256

if TYPE_CHECKING:
    from tests.schema.world import Team, World


@pytest_asyncio.fixture(scope="module")
async def team(world: World) -> Team:
    team = await world.team()
    await world.write(team.editor, team.id, "a.md", "one")
    await world.store(team.id, "x")
    return team


@pytest_asyncio.fixture(autouse=True)
async def nothing_is_written(world: World, team: Team, request: pytest.FixtureRequest) -> Any:
    state = "select change_sequence, event_sequence, change_hash from public.projects where id = $1"
    before = await world.sql(state, team.id)
    yield
    if "writes" not in request.keywords:
        assert await world.sql(state, team.id) == before


async def attempt(world: World, team: Team, items: Any, **more: Any) -> Any:
    prepared = await refused(world.rpc(team.editor, "prepare_change", project=team.id, items=items))
    committed = await refused(world.rpc(team.editor, "commit_change", project=team.id, items=items, **more))
    assert prepared.code == committed.code
    return committed


@pytest.mark.parametrize(
    "items",
    [{}, '"text"', 7, True, {"path": "a"}],
    ids=repr,
)
async def test_items_are_an_array_with_something_in_it(world, team, items):
    refusal = await attempt(world, team, items)
    assert (refusal.status, refusal.code) == (422, "bad_change")


async def test_no_items_are_no_change(world, team):
    for items in ([], None):
        refusal = await refused(world.rpc(team.editor, "commit_change", project=team.id, items=items))
        assert (refusal.status, refusal.code) == (422, "bad_change")


async def test_a_change_has_at_most_ten_thousand_items(world, team):
    refusal = await attempt(world, team, [{"path": "x"}] * 10_001)
    assert refusal.code == "bad_change"


@pytest.mark.parametrize(
    "item",
    [
        "text",
        7,
        None,
        [],
        ["path"],
        {"path": 7},
        {"path": {"a": 1}},
        {"path": "x", "sha256": "A" * 64, "size": 1},
        {"path": "x", "sha256": "x", "size": 1},
        {"path": "x", "sha256": "../" + "0" * 64, "size": 1},
        {"path": "x", "sha256": sha256(b"x") + ".copy", "size": 1},
        {"path": "x", "sha256": sha256(b"x")},
        {"path": "x", "sha256": sha256(b"x"), "size": "1"},
        {"path": "x", "sha256": sha256(b"x"), "size": -1},
        {"path": "x", "sha256": sha256(b"x"), "size": 1.5},
        {"path": "x", "sha256": sha256(b"x"), "size": 10**30},
        {"path": "x", "sha256": sha256(b"x"), "size": 1, "copy": "../x"},
        {"path": "x", "sha256": sha256(b"x"), "size": 1, "media_type": 7},
        {"path": "x", "sha256": sha256(b"x"), "size": 1, "delete": True},
        {"path": "x", "sha256": sha256(b"x"), "size": 1, "restore": 1},
        {"path": "a.md", "delete": "maybe", "base": "0" * 64},
        {"path": "a.md", "delete": 1, "base": "0" * 64},
        {"path": "a.md", "delete": True, "restore": 1},
        {"path": "a.md", "restore": 0},
        {"path": "a.md", "restore": -1},
        {"path": "a.md", "restore": 10**12},
        {"path": "a.md", "restore": "v1"},
        {"path": "a.md", "base": 7},
        {"document": 7},
        {"path": "x", "create": "yes"},
    ],
    ids=lambda item: repr(item).replace(sha256(b"x"), "sha"),
)
async def test_what_cannot_be_an_item_is_refused_by_a_sentence(world, team, item):
    refusal = await attempt(world, team, [item])
    assert (refusal.status, refusal.code) == (422, "bad_item")
    assert refusal.sentence.endswith(".")
    assert refusal.detail["index"] == 1


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({}, "bad_path"),
        ({"path": None}, "bad_path"),
        ({"base": "0" * 64}, "bad_path"),
        ({"path": ""}, "bad_path"),
        ({"path": "/etc/passwd"}, "bad_path"),
        ({"path": "a/../../b"}, "bad_path"),
        ({"path": "e\u0301"}, "bad_path"),
        ({"path": "a\nb"}, "bad_path"),
        ({"path": "x" * 1025}, "bad_path"),
        ({"path": "x"}, "no_content"),
        ({"document": "not-an-id", "delete": True}, "document_not_found"),
        ({"document": "2a788d07-3256-4ca6-a5d2-feecb176c1a5", "delete": True}, "document_not_found"),
        ({"from": "nowhere", "path": "x"}, "document_not_found"),
        ({"path": "nowhere", "delete": True}, "document_not_found"),
    ],
    ids=repr,
)
async def test_an_item_that_means_nothing_is_refused(world, team, item, code):
    assert (await attempt(world, team, [item])).code == code


async def test_a_media_type_is_one(world, team):
    for text in ("text", "TEXT/plain", "text/html\r\nX-Evil: 1", "a/" + "b" * 200):
        item = put("x.md", "x") | {"media_type": text}
        refusal = await refused(world.commit(team.editor, team.id, item))
        assert refusal.sqlstate == "23514"


async def test_an_unknown_key_of_an_item_changes_nothing(world, team):
    head = await world.one(
        "select head from public.documents where project_id = $1 and path = 'a.md'", team.id
    )
    forged = {
        "hash": "0" * 64,
        "number": 99,
        "parent": None,
        "author_id": team.owner.id,
        "object_id": str(uuid.uuid4()),
    }
    item = put("a.md", "one", base=head, **forged)
    assert await world.commit(team.editor, team.id, item) is None


async def test_a_size_is_not_forged_by_a_move(world, team):
    """A move that says its content needs no proof of the bytes, so it may not say another size."""
    document = await world.sql(
        "select id::text, head from public.documents where project_id = $1 and path = 'a.md'", team.id
    )
    item = {
        "document": document[0]["id"],
        "base": document[0]["head"],
        "path": "b.md",
        "sha256": sha256(b"one"),
        "size": 4096,
    }
    refusal = await refused(world.commit(team.editor, team.id, item))
    assert (refusal.status, refusal.code) == (422, "blob_missing")


async def test_anothers_document_is_a_document_that_is_not_there(world, team):
    other = await world.team()
    theirs = await world.write(other.editor, other.id, "theirs.md", "theirs")
    for item in (
        {"document": theirs["document"], "base": theirs["hash"], "delete": True},
        {"document": theirs["document"], "base": theirs["hash"], "path": "mine.md"},
        {"document": theirs["document"], "base": theirs["hash"], "restore": 1},
        put("theirs.md", "x", base=theirs["hash"], document=theirs["document"]),
    ):
        refusal = await attempt(world, team, [item])
        unknown = await attempt(world, team, [{**item, "document": str(uuid.uuid4())}])
        assert (refusal.code, refusal.sentence) == ("document_not_found", unknown.sentence)


async def test_the_project_of_a_change_is_not_chosen_by_anothers_document(world, team):
    other = await world.team()
    theirs = await world.write(other.editor, other.id, "theirs.md", "theirs")
    item = {"document": theirs["document"], "base": theirs["hash"], "delete": True}
    for items in ([item], [{**item, "document": str(uuid.uuid4())}], {}, [7], None):
        refusal = await refused(world.rpc(team.editor, "commit_change", project=None, items=items))
        assert (refusal.status, refusal.code) == (404, "document_not_found")


async def test_bytes_of_another_project_are_not_there(world, team):
    other = await world.team()
    await world.write(other.editor, other.id, "theirs.md", "theirs")
    refusal = await refused(world.commit(team.editor, team.id, put("x.md", "theirs")))
    assert (refusal.status, refusal.code) == (422, "blob_missing")


@pytest.mark.parametrize("role", ["reviewer", "reader"])
async def test_those_who_may_not_write_are_told_so_before_anything_else(world, team, role):
    person = getattr(team, role)
    for call in ("prepare_change", "commit_change"):
        refusal = await refused(world.rpc(person, call, project=team.id, items=[put("a.md", "x")]))
        assert (refusal.status, refusal.code) == (403, "role_too_low")
        assert refusal.detail == {"needed": "editor", "role": role}


async def test_an_archived_project_takes_no_writes_and_can_be_reopened(world):
    team = await world.team()
    await world.rpc(team.owner, "update_project", project=team.id, archived=True)
    await world.store(team.id, "x")
    for function, arguments in (
        ("commit_change", {"items": [put("x.md", "x")]}),
        ("prepare_change", {"items": [put("x.md", "x")]}),
        ("create_session", {"slug": "s"}),
        ("create_tag", {"name": "t"}),
        ("set_member", {"person": team.outsider.handle, "role": "reader"}),
    ):
        refusal = await refused(world.rpc(team.owner, function, project=team.id, **arguments))
        assert (refusal.status, refusal.code) == (403, "project_archived"), function
    await world.rpc(team.owner, "update_project", project=team.id, archived=False)
    assert (await world.write(team.editor, team.id, "x.md", "x"))["number"] == 1


async def test_who_and_what_cannot_be_forged(world):
    """Author, actor, agent and times come from the token and the clock; only what an author may say is theirs."""
    team = await world.team()
    liar = Person(
        team.editor.id, team.editor.handle, user_metadata={"verso_agent": "robot", "sub": team.owner.id}
    )
    await world.store(team.id, "x")
    change = await world.commit(
        liar, team.id, put("x.md", "x"), source="git", authored_at="1999-01-01T00:00:00Z"
    )
    assert (change["author"]["id"], change["actor"], change["agent"]) == (team.editor.id, "human", None)
    assert change["authored_at"].startswith("1999-01-01")
    clock = await world.one(
        "select committed_at > now() - interval '1 minute' from public.changes where project_id = $1", team.id
    )
    assert clock


@pytest.mark.parametrize(
    "claim",
    [
        {"source": "Evil\nsource"},
        {"source": "x" * 33},
        {"authored_at": "0044-03-15T00:00:00Z"},
        {"authored_at": "infinity"},
        {"idempotency_key": ""},
        {"idempotency_key": "k" * 256},
    ],
    ids=repr,
)
async def test_what_an_author_says_has_a_form(world, team, claim):
    refusal = await refused(world.commit(team.editor, team.id, put("new.md", "x"), **claim))
    assert refusal.sqlstate in {"23514", "23502"}


async def test_a_message_has_a_length_in_bytes(world, team):
    refusal = await refused(world.commit(team.editor, team.id, put("new.md", "x"), message="\u00e9" * 32_769))
    assert (refusal.status, refusal.code) == (422, "message_too_long")


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("list_versions", {"document": ...}),
        ("list_changes", {"project": ...}),
        ("list_tree", {"project": ...}),
    ],
)
@pytest.mark.parametrize(("asked", "given"), [(-5, 1), (0, 1), (None, 3), (10**9, 3)])
async def test_a_page_has_a_size(world, function, arguments, asked, given):
    team = await world.team()
    first = await world.write(team.editor, team.id, "p.md", "1")
    second = await world.write(team.editor, team.id, "p.md", "2", base=first["hash"])
    await world.write(team.editor, team.id, "p.md", "3", base=second["hash"])
    await world.store(team.id, "x")
    await world.commit(team.editor, team.id, put("q.md", "x"), put("r.md", "x"))
    key = next(iter(arguments))
    answer = await world.rpc(
        team.reader, function, **{key: first["document"] if key == "document" else team.id}, page_size=asked
    )
    rows = answer["entries"] if isinstance(answer, dict) else answer
    assert len(rows) >= 1
    assert len(rows) == given or (function == "list_changes" and given == 3 and len(rows) == 4)


async def test_page_sizes_end_at_a_thousand(world):
    assert await world.one("select private.page_rows(2147483647)") == 1000


@pytest.mark.parametrize("after", [-1, -6000, -(2**63)])
async def test_events_after_a_number_below_0_are_those_after_0(world, after):
    team = await world.team()
    await world.write(team.editor, team.id, f"after{after}.md", "one")
    asked = {"project": team.id, "page_size": 3}
    for prefix in (None, "after"):
        page = await world.rpc(team.reader, "list_events", **asked, after=after, prefix=prefix)
        assert page == await world.rpc(team.reader, "list_events", **asked, after=0, prefix=prefix)
        assert page["events"]
