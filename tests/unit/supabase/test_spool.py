"""What killed processes left goes at the next start; what may be somebody's stays."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.supabase.spool import OLD_SECONDS, PREFIX, clear_old

if TYPE_CHECKING:
    from pathlib import Path

DAY = OLD_SECONDS


def left_behind(directory: Path) -> set[str]:
    """Files and a folder of ours, of others, and links; the names of what is ours."""
    (directory / "elsewhere").mkdir()
    (directory / "elsewhere" / "kept").write_bytes(b"k")
    (directory / "verso-of-somebody").write_bytes(b"x")
    (directory / f"{PREFIX}file").write_bytes(b"x")
    (directory / f"{PREFIX}folder" / "history.git").mkdir(parents=True)
    (directory / f"{PREFIX}folder" / "history.git" / "pack").write_bytes(b"x")
    (directory / f"{PREFIX}link").symlink_to(directory / "elsewhere")
    return {each.name for each in directory.iterdir() if each.name.startswith(PREFIX)}


def names(directory: Path) -> set[str]:
    return {each.name for each in directory.iterdir()}


def test_what_is_old_and_ours_goes_and_nothing_else(tmp_path: Path) -> None:
    ours, now = left_behind(tmp_path), time.time()
    assert clear_old(tmp_path, longest_use=1800, now=now + DAY - 60) == 0, "it may be in use"
    assert clear_old(tmp_path, longest_use=DAY, now=now + 2 * DAY - 60) == 0, "so may this, by its setting"
    assert ours < names(tmp_path)
    assert clear_old(tmp_path, longest_use=1800, now=now + DAY + 60) == len(ours) == 3
    assert names(tmp_path) == {"elsewhere", "verso-of-somebody"}
    assert names(tmp_path / "elsewhere") == {"kept"}, "a link goes, not what it names"


def test_what_cannot_be_read_or_removed_stops_nothing(tmp_path: Path) -> None:
    assert clear_old(tmp_path / "nowhere", longest_use=1800) == 0
    locked = tmp_path / "file"
    locked.write_bytes(b"x")
    assert clear_old(locked, longest_use=1800) == 0
