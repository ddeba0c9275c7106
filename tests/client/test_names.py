"""What a project holds may not become any file: names that lead elsewhere, clash, or run."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from app.client import scan as module
from app.client.edits import Edits
from app.client.meeting import Meeting
from app.client.names import Folding, beside
from app.client.place import HIDDEN
from app.client.scan import scan
from app.client.work import Base, Write
from app.model import Action, VersionState
from app.model.modes import ORDINARY, SYMLINK
from app.sources.names import kept_out, stays_inside
from tests.client.folders import Copy, Someone

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack


@pytest.mark.parametrize(
    "path",
    [
        ".git/hooks/post-checkout",
        ".GIT/config",
        "docs/.git/config",
        "git~1/config",
        ".g\u200cit/config",
        ".git./config",
        ".git::$INDEX_ALLOCATION/config",
        f"{HIDDEN}/config.json",
        ".Verso-Work/work.db",
    ],
)
def test_what_would_write_into_a_tools_own_folder_is_kept_out(path: str) -> None:
    assert kept_out(path, windows=False)


@pytest.mark.parametrize("path", ["con", "docs/aux.md", "COM1.txt", "a:b", "what?.md", "ends.", "ends "])
def test_what_no_name_is_on_windows_is_kept_out_there_and_nowhere_else(path: str) -> None:
    assert kept_out(path, windows=True)
    assert kept_out(path, windows=False) is None


@pytest.mark.parametrize("path", [".gitignore", "git/a.md", "docs/console.md", "a~1.md", ".github/x.yml"])
def test_ordinary_names_are_fine_everywhere(path: str) -> None:
    assert kept_out(path, windows=True) is None


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        ("b.md", True),
        ("../b.md", True),
        ("../../b.md", False),
        ("/etc/passwd", False),
        ("x/../../../b", False),
        ("../.git/config", False),
        ("C:\\x", False),
        ("", False),
    ],
)
def test_a_link_may_only_lead_to_what_is_in_the_folder(target: str, inside: bool) -> None:
    assert stays_inside("docs/a.md", target) is inside


def test_names_fold_as_the_file_system_folds_them() -> None:
    assert Folding(case=True, normal=True).fold("CAFE\u0301.md") == "caf\u00e9.md"
    assert Folding(case=False, normal=False).fold("CAFE\u0301.md") == "CAFE\u0301.md"
    assert beside("a/name.tar.gz") == "a/name.tar.theirs.gz"
    assert beside("README", 2) == "README.theirs-2"


def test_a_file_written_again_within_the_clocks_tick_is_read_again(tmp_path: Path) -> None:
    (tmp_path / HIDDEN).mkdir()
    file = tmp_path / "a.md"
    file.write_bytes(b"one\n")
    moment = file.stat().st_mtime_ns
    first = scan(tmp_path, bases={}).files["a.md"].sha256
    file.write_bytes(b"two\n")
    os.utime(file, ns=(moment, moment))
    assert scan(tmp_path, bases={}).files["a.md"].sha256 != first


def test_what_rested_is_not_read_again(tmp_path: Path) -> None:
    (tmp_path / HIDDEN).mkdir()
    (tmp_path / "a.md").write_bytes(b"one\n")
    assert scan(tmp_path, bases={}).hashed == 1
    # The racy rule looks at the change time, which nobody can set back: so the clock is set forward.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module, "file_system_time", lambda _: (tmp_path / "a.md").stat().st_ctime_ns + 3 * 10**9
        )
        assert scan(tmp_path, bases={}).hashed == 1
    assert scan(tmp_path, bases={}).hashed == 0


def test_what_is_ignored_is_not_seen_unless_it_is_a_document(tmp_path: Path) -> None:
    (tmp_path / HIDDEN).mkdir()
    for path in (".env", "node_modules/x.js", "build/out.md", "keep.md"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("x")
    (tmp_path / ".versoignore").write_text("# made\nbuild/\n")
    assert set(scan(tmp_path, bases={}).files) == {".versoignore", "keep.md"}
    base = {"build/out.md": Base("build/out.md", "d", "v", "0" * 64)}
    assert set(scan(tmp_path, bases=base).files) == {".versoignore", "build/out.md", "keep.md"}


def test_an_ignore_file_has_a_say_below_its_folder_and_the_deeper_one_has_the_last(tmp_path: Path) -> None:
    (tmp_path / HIDDEN).mkdir()
    rules = {
        "": "*.log\n",
        "a[b]*": "made/\n/top.md\ndeep/x.md\n*.tmp\n",
        "a[b]*/kept": "!*.log\n!never.tmp\n",
    }
    for folder, patterns in rules.items():
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / ".versoignore").write_text(patterns)
    taken = {"made/a.md", "top.md", "x.tmp", "a[b]*/sub/top.md", "a[b]*/sub/deep/x.md", "a[b]*/kept/x.log"}
    taken |= {"a[b]*/kept/never.tmp", "aXb/made/a.md", "a[b]*/x.md"}
    left_out = {"x.log", "aXb/x.log", "a[b]*/made/a.md", "a[b]*/sub/made/a.md", "a[b]*/top.md"}
    left_out |= {"a[b]*/deep/x.md", "a[b]*/x.tmp", "a[b]*/sub/x.tmp", "a[b]*/kept/x.tmp"}
    for path in taken | left_out:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    files = set(scan(tmp_path, bases={}).files)
    assert {path for path in files if not path.endswith(".versoignore")} == taken


@pytest.fixture(scope="module")
def zoe(stack: Stack, server: Server) -> Someone:
    return Someone(stack, server, "zoe")


def write(zoe: Someone, project: str, *items: dict[str, Any]) -> None:
    with zoe.api() as api:
        api.post(f"/v1/projects/{project}/changes", {"items": [{"create": True, **item} for item in items]})


def test_a_hostile_project_writes_nothing_outside_of_its_folder(zoe: Someone, tmp_path: Path) -> None:
    project = zoe.project()
    write(
        zoe,
        project,
        {"path": ".git/hooks/post-checkout", "text": "#!/bin/sh\n", "mode": "100755"},
        {"path": f"{HIDDEN}/config.json", "text": "{}"},
        {"path": "out", "text": "../../secret", "mode": "120000"},
        {"path": "inside", "text": "a.md", "mode": "120000"},
        {"path": "a.md", "text": "fine\n"},
        {"path": "run.sh", "text": "#!/bin/sh\n", "mode": "100755"},
    )
    with Copy(zoe, project, tmp_path / "deep" / "work") as copy:
        assert not (copy.root / ".git").exists()
        assert set(copy.cloned.kept_out) == {".git/hooks/post-checkout", f"{HIDDEN}/config.json"}
        assert not (copy.root / "out").is_symlink()
        assert (copy.root / "out").read_text() == "../../secret"
        assert (copy.root / "inside").readlink() == type(tmp_path)("a.md")
        assert os.access(copy.root / "run.sh", os.X_OK)
        assert not os.access(copy.root / "a.md", os.X_OK)
        with copy.opened() as folder:
            assert not folder.look().edits.any
        assert copy.push().change is None


def test_where_links_need_a_privilege_a_link_is_a_file_that_holds_its_target_and_no_edit(
    tmp_path: Path,
) -> None:
    content = hashlib.sha256(b"a.md").hexdigest()
    head = VersionState(
        hash="1",
        project="p",
        document="d",
        number=1,
        action=Action.add,
        path="in",
        sha256=content,
        mode=SYMLINK,
    )
    plan = Meeting(
        bases={},
        files={},
        edits=Edits({}, {}, [], []),
        conflicts={},
        heads={"d": head},
        folding=Folding(case=True, normal=False),
        read=lambda _: b"a.md",
        read_file=lambda _: b"",
        links=False,
    ).plan()
    assert [(step.path, step.mode) for step in plan.steps if isinstance(step, Write)] == [("in", ORDINARY)]
    (tmp_path / HIDDEN).mkdir()
    (tmp_path / "in").write_bytes(b"a.md")
    (base,) = plan.settle.bases
    assert scan(tmp_path, bases={"in": base}).files["in"].mode == SYMLINK


def test_nothing_is_written_through_a_link_to_elsewhere(zoe: Someone, tmp_path: Path) -> None:
    project = zoe.project()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Copy(zoe, project, tmp_path / "work") as copy:
        (copy.root / "docs").symlink_to(elsewhere)
        write(zoe, project, {"path": "docs/a.md", "text": "x\n"})
        pulled = copy.pull()
        assert list(elsewhere.iterdir()) == []
        assert [each.path for each in pulled.conflicts] == ["docs/a.md"]
