"""Reading at points of history, page by page. On PostgreSQL 18 and 15."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.schema.world import put, refused, sha256

if TYPE_CHECKING:
    from tests.schema.world import Team, World

PATHS = [
    "A.md",
    "a b.md",
    "a.md",
    "a/b/c.md",
    "a0.md",
    "aa/\u00e9.md",
    "a\u00e9.md",
    "b/100%_.md",
    "b/a_c.md",
    "b/abc.md",
    "\U0001f4dc/x.md",
    "\uffff.md",
]


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


@pytest_asyncio.fixture(scope="module")
async def team(world: World) -> Team:
    """Change 1 adds all paths, 2 edits A.md and is tagged, 3 deletes every other one."""
    team = await world.team()
    await world.store(team.id, "x")
    await world.store(team.id, "y")
    paths = PATHS
    made = await world.commit(team.editor, team.id, *(put(path, "x") for path in paths), message="Add All")
    versions = {version["path"]: version for version in made["versions"]}
    await world.commit(
        team.owner, team.id, put("A.md", "y", base=versions["A.md"]["hash"]), message="Edit the first"
    )
    await world.rpc(team.editor, "create_tag", project=team.id, name="before/cleaning")
    gone = [{"path": path, "base": versions[path]["hash"], "delete": True} for path in paths[2::2]]
    await world.commit(team.editor, team.id, *gone, message="Clean up")
    return team


def expected(upto: int) -> dict[str, str]:
    paths = PATHS
    tree = dict.fromkeys(paths, sha256(b"x")) if upto else {}
    if upto > 1:
        tree["A.md"] = sha256(b"y")
    if upto > 2:
        for path in paths[2::2]:
            del tree[path]
    return tree


async def walk(world: World, team: Team, *, page_size: int, **more: Any) -> list[dict[str, Any]]:
    """All pages of a tree."""
    entries: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await world.rpc(
            team.reader, "list_tree", project=team.id, after=after, page_size=page_size, **more
        )
        if not page["entries"]:
            return entries
        assert len(page["entries"]) <= page_size
        entries += page["entries"]
        after = entries[-1]["path"]


@pytest.mark.parametrize("page_size", [1, 2, 1000])
@pytest.mark.parametrize("at", [None, "0", "1", "2", "3", "before/cleaning"])
async def test_pages_of_a_tree_are_the_tree_in_byte_order(world, team, at, page_size):
    upto = {None: 3, "before/cleaning": 2}.get(at) if at in {None, "before/cleaning"} else int(at)
    entries = await walk(world, team, page_size=page_size, at=at)
    assert {entry["path"]: entry["sha256"] for entry in entries} == expected(upto)
    paths = [entry["path"] for entry in entries]
    assert paths == sorted(paths, key=str.encode)


@pytest.mark.parametrize(
    "prefix", ["a", "a/", "a/b", "b/a_", "b/%", "\u00e9", "\U0001f4dc", "\U0010ffff", "A.md", "zzz"]
)
async def test_a_prefix_is_taken_as_it_is(world, team, prefix):
    entries = await walk(world, team, page_size=2, at="2", prefix=prefix)
    assert {entry["path"] for entry in entries} == {path for path in expected(2) if path.startswith(prefix)}


async def test_a_file_is_read_at_every_kind_of_point(world, team):
    change = await world.rpc(team.reader, "read_change", project=team.id, sequence=1)
    first = next(version for version in change["versions"] if version["path"] == "A.md")
    for point in ("1", "v1", first["hash"], change["hash"], change["committed_at"]):
        read = await world.rpc(team.reader, "read_file", project=team.id, path="A.md", at=point)
        assert read["version"]["hash"] == first["hash"], point
        assert read["head"]["number"] == 2
        by_document = await world.rpc(team.reader, "read_version", document=first["document"], at=point)
        assert by_document == read
    newest = await world.rpc(team.reader, "read_file", project=team.id, path="A.md")
    for point in ("2", "3", "v2", "before/cleaning", "2999-01-01"):
        assert await world.rpc(team.reader, "read_file", project=team.id, path="A.md", at=point) == newest


@pytest.mark.parametrize(
    ("point", "code"),
    [
        ("4", "point_not_found"),
        ("no-such-tag", "point_not_found"),
        ("f" * 64, "point_not_found"),
        ("v3", "version_not_found"),
        ("1999-01-01", "document_not_found"),
        ("?", "bad_point"),
        ("", "bad_point"),
    ],
)
async def test_a_point_that_isnt_there_is_said_to_be_so(world, team, point, code):
    refusal = await refused(world.rpc(team.reader, "read_file", project=team.id, path="A.md", at=point))
    assert refusal.code == code


async def test_a_deleted_file_is_there_at_earlier_points_only(world, team):
    path = next(path for path in expected(2) if path not in expected(3))
    assert (await world.rpc(team.reader, "read_file", project=team.id, path=path, at="2"))["version"][
        "number"
    ] == 1
    gone = await world.rpc(team.reader, "read_file", project=team.id, path=path, at="v2")
    assert (gone["version"]["action"], gone["copies"]) == ("delete", [])
    assert (
        await refused(world.rpc(team.reader, "read_file", project=team.id, path=path, at="3"))
    ).status == 404


async def test_the_newest_two_versions_are_compared_unless_said(world, team):
    read = await world.rpc(team.reader, "read_file", project=team.id, path="A.md")
    document = read["version"]["document"]
    compared = await world.rpc(team.reader, "compare_versions", document=document)
    assert (compared["from"]["version"]["number"], compared["to"]["version"]["number"]) == (1, 2)
    first = await world.rpc(team.reader, "compare_versions", document=document, to_point="v1")
    assert (first["from"], first["to"]["version"]["number"]) == (None, 1)


@pytest.mark.parametrize(
    ("filters", "sequences"),
    [
        ({}, [3, 2, 1]),
        ({"before": 3}, [2, 1]),
        ({"page_size": 1}, [3]),
        ({"prefix": "A"}, [2, 1]),
        ({"prefix": "b/a_"}, [3, 1]),
        ({"prefix": "b/%"}, []),
        ({"search": "EDIT"}, [2]),
        ({"search": "%"}, []),
        ({"since": "2999-01-01"}, []),
        ({"until": "1999-01-01"}, []),
        ({"since": "1999-01-01", "until": "2999-01-01", "search": "clean"}, [3]),
        ({"author": "nobody-at-all"}, []),
    ],
    ids=repr,
)
async def test_the_log_is_filtered(world, team, filters, sequences):
    rows = await world.rpc(team.reader, "list_changes", project=team.slug, **filters)
    assert [row["sequence"] for row in rows] == sequences


async def test_the_log_is_filtered_by_author_and_time(world, team):
    for author in (team.owner.handle, team.owner.handle.upper(), team.owner.id):
        rows = await world.rpc(team.reader, "list_changes", project=team.id, author=author)
        assert [row["sequence"] for row in rows] == [2]
    second = (await world.rpc(team.reader, "read_change", project=team.id, sequence=2))["committed_at"]
    since = await world.rpc(team.reader, "list_changes", project=team.id, since=second)
    until = await world.rpc(team.reader, "list_changes", project=team.id, until=second)
    assert ([row["sequence"] for row in since], [row["sequence"] for row in until]) == ([3, 2], [1])


async def test_a_history_comes_newest_first(world, team):
    read = await world.rpc(team.reader, "read_file", project=team.id, path="A.md")
    rows = await world.rpc(team.reader, "list_versions", document=read["version"]["document"])
    assert [(row["number"], row["change"]["message"]) for row in rows] == [
        (2, "Edit the first"),
        (1, "Add All"),
    ]
    assert "change_sequence" not in rows[0]
