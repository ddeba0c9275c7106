"""`verso status` says again what it said, without looking, only while nothing that it came from has changed."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING

import pytest

from app import cli
from app.cli import working_told
from app.cli.working_told import look_and_remember
from app.client import glance
from app.client.glance import recall
from app.client.mirror import Mirror
from app.client.place import HIDDEN, Config, Place, make_place
from app.client.work import Base, Settle, Work

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOCUMENTS = ("a.md", "docs/b.md", "docs/deep/c.md")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A working folder at rest: its files are its bases, and one file is ignored."""
    root = tmp_path.resolve() / "work"
    made = make_place(root, Config(api="http://127.0.0.1:1", project="p", slug="demo"))
    with Mirror(made.hidden), Work(made.hidden) as work:
        bases = []
        for path in DOCUMENTS:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(path)
            sha256 = hashlib.sha256(path.encode()).hexdigest()
            bases.append(Base(path, f"document of {path}", f"version of {path}", sha256))
        work.settle(Settle(bases=bases))
    (root / ".versoignore").write_text("*.tmp\n")
    (root / "docs/x.tmp").write_text("x")
    (root / "docs/.versoignore").write_text(".versoignore\n")
    return made


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Looks take place three seconds later than their files' times; nobody can set these back."""

    def now(hidden: Path) -> int:
        mark = hidden / "clock"
        mark.write_bytes(b"")
        return mark.stat().st_mtime_ns + 3 * 10**9

    def set_clock() -> None:
        monkeypatch.setattr("app.client.scan.file_system_time", now)
        monkeypatch.setattr(working_told, "file_system_time", now)
        # The hidden directory is marked with the true time, which that clock says is past.
        real = glance._stat

        def stat(path: str, **how: bool) -> tuple[int, ...]:
            return _later(real(path, **how)) if path.endswith(HIDDEN) else real(path, **how)

        monkeypatch.setattr(glance, "_stat", stat)

    return set_clock


def _later(stat: tuple[int, ...]) -> tuple[int, ...]:
    return (stat[0], stat[1] + 4 * 10**9, *stat[2:])


def said(place: Place) -> str | None:
    found = recall(str(place.root), as_json=False)
    return None if found is None else found.decode()


def test_what_rests_is_told_again_from_any_folder_of_it(place: Place, later: Callable[[], None]) -> None:
    later()
    status = look_and_remember(place)
    assert status.added == [".versoignore"]
    assert said(place) == working_told.told_status(status) + "\n"
    assert recall(str(place.root / "docs" / "deep"), as_json=True) == working_told.json_document(status)


def test_a_look_at_what_was_just_written_is_not_remembered(place: Place) -> None:
    look_and_remember(place)
    assert said(place) is None


CHANGES: dict[str, Callable[[Path], object]] = {
    "an edit of the same size": lambda root: (root / "a.md").write_text("A.md"),
    "an edit deep inside": lambda root: (root / "docs/deep/c.md").write_text("other"),
    "another mode": lambda root: (root / "a.md").chmod(0o755),
    "a new file": lambda root: (root / "docs/new.md").write_text("new"),
    "a new folder": lambda root: (root / "docs/new").mkdir(),
    "a deleted file": lambda root: (root / "docs/b.md").unlink(),
    "a renamed file": lambda root: (root / "a.md").rename(root / "A.md"),
    "a link in its place": lambda root: ((root / "a.md").unlink(), (root / "a.md").symlink_to("docs/b.md")),
    "another inode": lambda root: (root / "docs/x.tmp").replace(root / "a.md"),
    "other ignore rules": lambda root: (root / ".versoignore").write_text("*.md\n"),
    "other rules in a folder that hides them": lambda root: (root / "docs/.versoignore").write_text("x*\n"),
    "a file edited with its time set back": lambda root: _edit_and_set_back(root / "a.md"),
    "a folder edited with its time set back": lambda root: _add_and_set_back(root / "docs"),
    "a folder replaced by a link to its like": lambda root: _replace_by_link(root / "docs"),
    "another newest change": lambda root: (root / HIDDEN / "mirror.db").touch(),
    "another base": lambda root: _drop_base(root / HIDDEN),
    "another project": lambda root: (root / HIDDEN / "config.json").touch(),
    "a damaged cache": lambda root: os.truncate(root / HIDDEN / "glance.cache", 100),
    "a cache that is cut off between two folders": lambda root: _cut_off(root / HIDDEN / "glance.cache"),
    "a cache of nonsense": lambda root: (root / HIDDEN / "glance.cache").write_bytes(os.urandom(999)),
}


def _edit_and_set_back(file: Path) -> None:
    before = file.stat().st_mtime_ns
    file.write_text("A.md")
    os.utime(file, ns=(before, before))


def _add_and_set_back(folder: Path) -> None:
    before = folder.stat().st_mtime_ns
    (folder / "new.md").write_text("new")
    os.utime(folder, ns=(before, before))


def _replace_by_link(folder: Path) -> None:
    folder.rename(folder.parent.parent / "elsewhere")
    folder.symlink_to(folder.parent.parent / "elsewhere")


def _cut_off(cache: Path) -> None:
    data = cache.read_bytes()
    cache.write_bytes(data[: data.index(b"\0docs/deep\0")])


def _drop_base(hidden: Path) -> None:
    with Work(hidden) as work:
        work.settle(Settle(drop=["document of a.md"]))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_is_told_again_after(
    change: Callable[[Path], object], place: Place, later: Callable[[], None]
) -> None:
    later()
    look_and_remember(place)
    assert said(place) is not None
    change(place.root)
    assert said(place) is None


def test_a_base_written_while_another_process_has_the_database_open_is_seen(
    place: Place, later: Callable[[], None]
) -> None:
    later()
    with Work(place.hidden) as watching:
        look_and_remember(place)
        assert said(place) is not None
        watching.settle(Settle(drop=["document of a.md"]))  # stays in the log beside the database
        assert said(place) is None


def test_a_folder_that_was_moved_is_looked_at(place: Place, later: Callable[[], None]) -> None:
    later()
    look_and_remember(place)
    elsewhere = place.root.parent / "elsewhere"
    place.root.rename(elsewhere)
    assert recall(str(elsewhere), as_json=False) is None


def test_where_folders_are_not_marked_for_their_entries_nothing_is_remembered(
    place: Place, later: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    later()
    real = glance._stat
    monkeypatch.setattr(
        glance, "_stat", lambda path, **how: (0,) * 5 if path.endswith(HIDDEN) else real(path, **how)
    )
    look_and_remember(place)
    assert said(place) is None


def test_the_command_tells_it_without_loading_anything(
    place: Place,
    later: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    later()
    status = look_and_remember(place)
    monkeypatch.chdir(place.root / "docs")
    monkeypatch.setattr(sys, "argv", ["verso", "status", "--json"])
    monkeypatch.setitem(sys.modules, "app.cli.commands", None)
    monkeypatch.setattr("os._exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert capfdbinary.readouterr().out == working_told.json_document(status)
