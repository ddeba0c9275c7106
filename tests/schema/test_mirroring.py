"""A project in bulk: whole changes in order, and where contents are. On PostgreSQL 18 and 15."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.schema.world import put, refused, sha256

if TYPE_CHECKING:
    from tests.schema.world import Team, World


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


async def walk(world: World, team: Team, page_size: int, **more: Any) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = []
    while True:
        after = changes[-1]["sequence"] if changes else 0
        page = await world.rpc(
            team.reader, "list_history", project=team.id, after=after, page_size=page_size, **more
        )
        if not page["changes"]:
            assert page["newest"] == after
            return changes
        assert len(page["changes"]) <= page_size
        changes += page["changes"]


@pytest.mark.parametrize("page_size", [1, 3, 1000])
async def test_the_pages_are_all_changes_as_they_are_read_alone(world, page_size):
    team = await world.team()
    first = await world.write(team.editor, team.id, "a.md", "1")
    await world.store(team.id, "2")
    await world.commit(
        team.editor, team.id, put("a.md", "2", base=first["hash"]), *(put(f"{n}.md", "1") for n in range(5))
    )
    await world.write(team.owner, team.id, "b.md", "3", message="Drei\n\n\u2028")
    changes = await walk(world, team, page_size)
    alone = [
        await world.rpc(team.reader, "read_change", project=team.id, sequence=number) for number in (1, 2, 3)
    ]
    for change in alone:
        del change["diffstat"]  # is of what is derived from history
    for change in changes:
        assert change.pop("origin_raw") is None
    assert changes == alone


async def test_an_empty_project_has_an_empty_history(world):
    team = await world.team()
    page = await world.rpc(team.reader, "list_history", project=team.slug)
    assert page == {"newest": 0, "changes": []}


@pytest.mark.slow
async def test_a_heavy_change_ends_its_page_and_is_never_cut(world):
    team = await world.team()
    await world.store(team.id, "x")
    for folder in range(4):
        items = [put(f"{folder}/{n}.md", "x") for n in range(2000)]
        await world.commit(team.editor, team.id, *items)
    page = await world.rpc(team.reader, "list_history", project=team.id, page_size=1000)
    assert [len(change["versions"]) for change in page["changes"]] == [2000, 2000]
    assert page["newest"] == 4
    page = await world.rpc(team.reader, "list_history", project=team.id, after=3, page_size=1000)
    assert [change["sequence"] for change in page["changes"]] == [4]


async def test_long_messages_end_a_page(world):
    team = await world.team()
    for number in range(70):
        await world.write(team.editor, team.id, f"{number}.md", "x", message="m" * 65_536)
    page = await world.rpc(team.reader, "list_history", project=team.id, page_size=1000)
    assert len(page["changes"]) == 64


async def test_contents_are_known_by_project(world, team):
    other = await world.team()
    await world.write(team.editor, team.id, "a.md", "here")
    await world.write(other.editor, other.id, "a.md", "elsewhere")
    await world.store(team.id, "never a version")
    asked = [sha256(text) for text in (b"here", b"elsewhere", b"never a version", b"nowhere")]
    held = await world.rpc(team.reader, "list_held", project=team.id, contents=f"{{{','.join(asked)}}}")
    assert held == asked[:1]
    for missing in asked[1:]:
        refusal = await refused(
            world.rpc(team.reader, "locate_contents", project=team.id, contents=f"{{{asked[0]},{missing}}}")
        )
        assert (refusal.status, refusal.code) == (404, "content_not_found")
        assert refusal.detail["sha256"] == missing


async def test_contents_are_located_in_the_order_asked_for_and_the_proven_object_first(world, team):
    first = await world.write(team.editor, team.id, "a.md", "1")
    await world.write(team.editor, team.id, "b.md", "22")
    # A further copy that another version was proven on, and later an unproven one.
    await world.store(team.id, "1", copy="a" * 32)
    await world.commit(team.editor, team.id, put("c.md", "1", copy="a" * 32))
    answer = await world.rpc(
        team.reader, "locate_contents", project=team.id, contents=f"{{{sha256(b'22')},{sha256(b'1')}}}"
    )
    assert answer["project"] == team.id
    assert [(each["sha256"], each["size"]) for each in answer["contents"]] == [
        (sha256(b"22"), 2),
        (sha256(b"1"), 1),
    ]
    read = await world.rpc(team.reader, "read_version", document=first["document"])
    copies = answer["contents"][1]["copies"]
    assert sorted(copy["name"] for copy in copies) == sorted(copy["name"] for copy in read["copies"])


@pytest.mark.parametrize(("function", "most"), [("list_held", 10_000), ("locate_contents", 1_000)])
async def test_too_many_contents_are_refused(world, team, function, most):
    asked = ",".join(["0" * 64] * (most + 1))
    refusal = await refused(world.rpc(team.reader, function, project=team.id, contents=f"{{{asked}}}"))
    assert (refusal.status, refusal.code) == (422, "bad_value")


async def test_strangers_get_what_they_would_get_for_nothing(world, team):
    await world.write(team.editor, team.id, "a.md", "1")
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("list_history", {}),
        ("list_held", {"contents": f"{{{sha256(b'1')}}}"}),
        ("locate_contents", {"contents": f"{{{sha256(b'1')}}}"}),
    )
    for function, more in calls:
        there = await refused(world.rpc(team.outsider, function, project=team.id, **more))
        nowhere = await refused(world.rpc(team.outsider, function, project="no-such-project", **more))
        assert there == nowhere
        assert (there.status, there.code) == (404, "project_not_found")
        assert (await refused(world.rpc(None, function, project=team.id, **more))).sqlstate == "42501"
