"""A working folder at the real server: clone, edit, pull, push, meet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import httpx
import pytest

from app.client.folder import open_folder
from app.client.hand_edits import move, resolve
from app.client.place import HIDDEN
from app.client.pull import clone
from app.client.push import push
from app.client.store import folder_lock
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


def test_modes_and_links_travel_both_ways(mine: Copy, hers: Copy) -> None:
    mine.write("run.sh", "#!/bin/sh\n")
    mine.write("a.md", "a\n")
    (mine.root / "link").symlink_to("a.md")
    (mine.root / "run.sh").chmod(0o755)
    mine.push()
    hers.pull()
    assert os.access(hers.root / "run.sh", os.X_OK)
    assert (hers.root / "link").readlink().as_posix() == "a.md"
    (hers.root / "run.sh").chmod(0o644)
    (hers.root / "link").unlink()
    hers.write("link", "a file now\n")
    assert hers.push().change == 2
    mine.pull()
    assert not os.access(mine.root / "run.sh", os.X_OK)
    assert not (mine.root / "link").is_symlink()
    assert mine.read("link") == "a file now\n"
    assert not mine.push().paths


def test_two_files_may_swap_their_names(mine: Copy, hers: Copy) -> None:
    mine.write("a.md", "a\n")
    mine.write("b.md", "b\n")
    mine.push()
    hers.pull()
    with mine.opened() as folder:
        move(folder, "a.md", "c.md")
        move(folder, "b.md", "a.md")
        move(folder, "c.md", "b.md")
    mine.push()
    assert hers.pull().conflicts == []
    assert hers.files() == mine.files() == {"a.md": b"b\n", "b.md": b"a\n"}
    with hers.opened() as folder:
        assert [version.path for version in folder.mirror.versions("b.md")] == ["b.md", "a.md"]


def test_what_was_edited_here_and_deleted_there_stays_until_decided(mine: Copy, hers: Copy) -> None:
    mine.write("a.md", "one\n")
    mine.push()
    hers.pull()
    (mine.root / "a.md").unlink()
    mine.push()
    hers.write("a.md", "one and mine\n")
    assert [each.version for each in hers.pull().conflicts] == [None]
    with hers.opened() as folder:
        resolve(folder, "a.md")
    hers.push()
    mine.pull()
    assert mine.files() == {"a.md": b"one and mine\n"}


def test_what_was_deleted_here_and_edited_there_comes_back(mine: Copy, hers: Copy) -> None:
    mine.write("a.md", "one\n")
    mine.push()
    hers.pull()
    (hers.root / "a.md").unlink()
    mine.write("a.md", "two\n")
    mine.push()
    assert hers.pull().notes == {"a.md": "was deleted here, and edited by someone else: it is back"}
    assert hers.files() == {"a.md": b"two\n"}


def test_theirs_may_be_taken_and_a_copy_of_yours_is_kept(mine: Copy, hers: Copy) -> None:
    mine.write("a.md", "one\n")
    mine.push()
    hers.pull()
    mine.write("a.md", "mine\n")
    mine.push()
    hers.write("a.md", "hers\n")
    hers.pull()
    with hers.opened() as folder:
        resolve(folder, "a.md", theirs=True)
    assert hers.files() == {"a.md": b"mine\n"}
    kept = list((hers.root / ".verso-work" / "rescued").iterdir())
    assert [file.read_bytes() for file in kept] == [b"hers\n"]


def test_a_tag_comes_with_a_pull_that_brings_no_change(mine: Copy) -> None:
    mine.write("a.md", "one\n")
    mine.push()
    mine.api.post(f"/v1/projects/{mine.place.config.project}/tags", {"name": "first"})
    mine.pull()
    with mine.opened() as folder:
        assert folder.mirror.resolve("first") == 1


@pytest.mark.slow
def test_more_than_a_thousand_files_are_one_change_in_a_handful_of_requests(mine: Copy, hers: Copy) -> None:
    for number in range(1100):
        mine.write(f"d/{number}.md", f"# {number}\n")
    pushed = mine.push("Many")
    assert (pushed.change, len(pushed.paths)) == (1, 1100)
    assert pushed.requests <= 4
    for number in range(1100):
        mine.write(f"copies/{number}.md", f"# {number}\n")
    again = mine.push("As many that the project has")
    assert (again.change, len(again.paths)) == (2, 1100)
    assert again.sent_bytes < 200 * 1100, "a content that the project has isn't sent"
    assert len(hers.pull().written) == 2200
    assert hers.files() == mine.files()


def test_a_folder_that_holds_files_is_adopted(mine: Copy, ada: Someone, tmp_path: Path) -> None:
    mine.write("same.md", "same\n")
    mine.write("old.md", "old\n")
    mine.write("other.md", "theirs\n")
    mine.write("before.md", "a line\nthat moved\n")
    mine.push()
    mine.write("old.md", "newer\n")
    (mine.root / "before.md").rename(mine.root / "after.md")
    mine.push()
    root = tmp_path / "git clone"
    root.mkdir()
    files = {
        "same.md": "same\n",
        "old.md": "old\n",
        "other.md": "mine\n",
        "before.md": "a line\nthat moved\n",
    }
    for path, text in {**files, "new.md": "new\n"}.items():
        (root / path).write_text(text)
    project = mine.place.config.project
    with ada.api() as api:
        with pytest.raises(VersoError, match="folder_exists"):
            clone(api, project, root)
        assert not (root / HIDDEN).exists()
        place, pulled = clone(api, project, root, adopt=True)
        assert [each.path for each in pulled.conflicts] == ["other.md"]
        with open_folder(place) as folder:
            looked = folder.look()
            assert looked.edits.added == ["new.md", "other.md"]
            assert not looked.edits.edited
            assert not looked.edits.deleted
    held = {file.name: file.read_text() for file in root.iterdir() if file.is_file()}
    assert held == {
        "same.md": "same\n",
        "old.md": "newer\n",
        "other.md": "mine\n",
        "other.theirs.md": "theirs\n",
        "after.md": "a line\nthat moved\n",
        "new.md": "new\n",
    }


async def test_what_is_about_ten_thousand_things_has_more_time_than_a_persons_other_statements(
    stack: Stack,
) -> None:
    rows = await stack.psql(
        "select proname, setting from pg_proc, unnest(proconfig) as setting"
        " where pronamespace = 'public'::regnamespace and setting like 'statement_timeout=%' order by 1"
    )
    assert [(row["proname"], row["setting"].partition("=")[2]) for row in rows] == [
        ("commit_change", "30s"),
        ("create_session", "30s"),  # takes in what lies below its root
        ("import_changes", "60s"),
        ("prepare_change", "30s"),
        ("restore_bundle", "0"),
    ]


class Forgetful(httpx.BaseTransport):
    """Carries changes to the server, and says of each that it failed."""

    def __init__(self) -> None:
        self._through = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._through.handle_request(request)
        if request.method != "POST" or not request.url.path.endswith("/changes"):
            return answer
        answer.read()
        problem = {"code": "supabase_unavailable", "status": 503, "detail": "Nobody knows."}
        return httpx.Response(503, json=problem, headers={"Content-Type": "application/problem+json"})

    def close(self) -> None:
        self._through.close()


def test_a_push_that_was_written_after_all_is_recognised_when_it_goes_on(
    mine: Copy, zoe: Someone, project: str
) -> None:
    mine.write("a.md", "one\n")
    mine.push("First")
    mine.write("a.md", "two\n")
    with (
        zoe.api(transport=Forgetful(), tries=1) as api,
        open_folder(mine.place) as folder,
        pytest.raises(VersoError, match="supabase_unavailable"),
    ):
        push(api, folder, message="Second")
    mine.write("a.md", "three\n")
    assert mine.push("Third").change == 3
    assert tree_of(zoe, project) == {"a.md": b"three\n"}


def test_two_that_work_in_one_folder_take_turns(mine: Copy) -> None:
    with (
        mine.opened(),
        pytest.raises(VersoError, match="folder_busy"),
        folder_lock(mine.place.hidden, seconds=0.1),
    ):
        pass
