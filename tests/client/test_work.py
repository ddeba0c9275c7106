"""A working folder at the real server: clone, edit, pull, push, meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.client.hand_edits import resolve
from app.errors import VersoError
from tests.client.folders import Copy, Someone, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack


@pytest.fixture(scope="module")
def zoe(stack: Stack, server: Server) -> Someone:
    return Someone(stack, server, "zoe")


@pytest.fixture(scope="module")
def ada(stack: Stack, server: Server) -> Someone:
    return Someone(stack, server, "ada")


@pytest.fixture
def project(zoe: Someone, ada: Someone) -> str:
    return zoe.project(ada)


@pytest.fixture
def hers(ada: Someone, project: str, tmp_path: Path) -> Iterator[Copy]:
    with Copy(ada, project, tmp_path / "ada") as copy:
        yield copy


@pytest.fixture
def mine(zoe: Someone, project: str, tmp_path: Path) -> Iterator[Copy]:
    with Copy(zoe, project, tmp_path / "zoe") as copy:
        yield copy


def test_what_one_pushes_another_pulls(mine: Copy, hers: Copy) -> None:
    mine.write("notes/a.md", "one\n")
    mine.write("b.md", "two\n")
    pushed = mine.push("Two notes")
    assert pushed.change == 1
    assert pushed.paths == ["b.md", "notes/a.md"]
    assert hers.pull().written == ["b.md", "notes/a.md"]
    assert hers.files() == mine.files() == {"notes/a.md": b"one\n", "b.md": b"two\n"}
    assert mine.push().change is None


def test_edits_deletes_and_moves_are_one_change(mine: Copy, hers: Copy, zoe: Someone, project: str) -> None:
    for name in "abcd":
        mine.write(f"{name}.md", f"text of {name}\n")
    mine.push()
    (mine.root / "a.md").unlink()
    mine.write("b.md", "other\n")
    (mine.root / "c.md").rename(mine.root / "moved.md")
    mine.write("new.md", "new\n")
    assert mine.push("All at once").change == 2
    hers.pull()
    assert hers.files() == mine.files() == tree_of(zoe, project)
    with hers.opened() as folder:
        actions = {version.path: version.action.value for version in folder.mirror.change(2).versions}
    assert actions == {"a.md": "delete", "b.md": "edit", "moved.md": "move", "new.md": "add"}


def test_edits_of_different_places_are_merged_on_pull_and_pushed(mine: Copy, hers: Copy) -> None:
    mine.write("a.md", "".join(f"line {n}\n" for n in range(20)))
    mine.push()
    hers.pull()
    mine.write("a.md", mine.read("a.md").replace("line 2\n", "line two\n"))
    hers.write("a.md", hers.read("a.md").replace("line 17\n", "line seventeen\n"))
    mine.push()
    pushed = hers.push("Mine too")
    assert pushed.change == 3
    assert pushed.pulled is not None
    assert pushed.pulled.notes == {"a.md": "was changed by both sides, and merged"}
    assert (hers.root / pushed.pulled.rescued[0]).read_text().count("line 2\n") == 1
    mine.pull()
    assert mine.read("a.md") == hers.read("a.md")
    assert "line two\n" in mine.read("a.md")
    assert "line seventeen\n" in mine.read("a.md")


def test_what_cannot_be_merged_stays_with_theirs_beside_it(mine: Copy, hers: Copy) -> None:
    mine.write("a.md", "one\n")
    mine.push()
    hers.pull()
    mine.write("a.md", "mine\n")
    hers.write("a.md", "hers\n")
    mine.push()
    with pytest.raises(VersoError) as refused:
        hers.push()
    assert refused.value.code == "conflicts"
    assert hers.files() == {"a.md": b"hers\n", "a.theirs.md": b"mine\n"}
    assert [each.path for each in hers.pull().conflicts] == ["a.md"]
    hers.write("a.md", "both\n")
    with hers.opened() as folder:
        resolve(folder, "a.md")
    assert hers.push().change == 3
    assert hers.files() == {"a.md": b"both\n"}
    mine.pull()
    assert mine.files() == hers.files()
