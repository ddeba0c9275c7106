"""Directories of services that were killed go at the next start; those of living ones stay."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from app.supabase.own_directory import OwnDirectory

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    alive = OwnDirectory("verso-cache-")
    killed = OwnDirectory("verso-cache-")
    (killed.path / "blob").write_bytes(b"x")
    os.close(killed._lock)  # all that its end does
    for name in ("verso-cache-someone-elses", "verso-git-other"):
        (tmp_path / name).mkdir()
    fresh = OwnDirectory("verso-cache-")
    assert {each.name for each in tmp_path.iterdir()} == {
        alive.path.name,
        fresh.path.name,
        "verso-cache-someone-elses",
        "verso-git-other",
    }
    alive.remove()
    fresh.remove()
    assert not alive.path.exists()


def test_a_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "in-use").touch()
    (tmp_path / "verso-git-x").symlink_to(tmp_path / "mine")
    OwnDirectory("verso-git-").remove()
    assert (tmp_path / "mine" / "in-use").exists()
