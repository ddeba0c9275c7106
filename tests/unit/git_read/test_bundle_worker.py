"""The process that reads a bundle: what it asks, what it says, and what it refuses, within its bounds."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from app.git.read.indexing import Limits
from app.model.imports import ImportState
from app.sources.git import frames
from tests.git.making import Maker
from tests.stack import REPOSITORY
from tests.unit.git_read import packs
from tests.unit.git_read.test_bundle import git

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
EMPTY: dict[type, Any] = {
    frames.AskState: ImportState(after=None, last=None, count=0, diverged=False),
    frames.AskTags: [],
}
"""What an empty project answers."""


def look(
    tmp_path: Path, sent: bytes, *, memory: int = 1024 * MIB, seconds: int = 60, branch: str | None = None
) -> Any:
    """Have a bundle looked at for an empty project; what it came to."""
    source = tmp_path / "sent.bundle"
    source.write_bytes(sent)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    order = frames.Order(
        act="look",
        bundle=str(source),
        scratch=str(scratch),
        name="sent.bundle",
        project="p",
        branch=branch,
        include=[],
        exclude=[],
        limits=Limits(objects=100_000, object_size=64 * MIB, total_size=2048 * MIB),
    )
    command = [sys.executable, "-m", "app.sources.git.worker", str(memory), str(seconds)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"HOME": "/nowhere"}
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        frames.write_frame(process.stdin, order)
        while True:
            said = msgspec.msgpack.decode(frames.read_frame(process.stdout), type=frames.Said)
            if isinstance(said, frames.Outcome | frames.Refused):
                return said
            if not isinstance(said, frames.Progressed):
                answer = msgspec.Raw(msgspec.msgpack.encode(EMPTY[type(said)]))
                frames.write_frame(process.stdin, frames.Answer(answer))


def test_a_look_says_what_would_come_and_which_branches_there_are(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "made.git")
    first = maker.commit({"a.md": b"1", ".env": b"S=1"})
    maker.tag("v1.0", first)
    maker.tag("draft-1", first)
    maker.branch("draft", maker.commit({"a.md": b"1", "b.md": b"2"}, first))
    maker.branch("main", maker.commit({"a.md": b"2"}, first))
    made = tmp_path / "made.bundle"
    git(maker.path, "bundle", "create", "-q", str(made), "--all")
    found = look(tmp_path, made.read_bytes(), branch="draft")
    assert isinstance(found, frames.Outcome)
    assert (found.report.commits, found.authors, found.left_out, found.tags_made) == (2, 1, 1, 2)
    assert (found.branch, found.branches) == ("draft", ["draft", "main"])
    assert found.report.left_out[0].path == ".env"


BOMBS = {
    "folders in folders": lambda: packs.folders_in_folders(4, 30, leaf=True),
    "empty folders in folders": lambda: packs.folders_in_folders(5, 30, leaf=False),
    "very deep folders": lambda: packs.folders_in_folders(3000, 1, leaf=True),
}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("folders in folders", "commit_too_large"),
        ("empty folders in folders", "commit_too_large"),
        ("very deep folders", "bundle_too_large"),
    ],
)
def test_a_history_that_unfolds_without_end_is_refused_soon(tmp_path: Path, name: str, code: str) -> None:
    found = look(tmp_path, BOMBS[name]())  # and within the seconds that the process has
    assert isinstance(found, frames.Refused)
    assert found.code == code


def held_open(levels: int, size: int) -> bytes:
    """Deltas of deltas, each base of two of them: while one is unfolded, all above it are waited for."""
    entries = [packs.entry(packs.Said(packs.BLOB, bytes(size)))]
    base, end = 0, len(entries[0])
    for _ in range(levels):
        below = base
        for added in (b"\x01a", b"\x01b"):
            copied = [packs.copying(at, min(0xFFFFFF, size - at)) for at in range(0, size, 0xFFFFFF)]
            made = packs.delta(size, size + 1, *copied, added)
            entries.append(packs.entry(packs.Said(packs.OFFSET_DELTA, made, base=end - below)))
            base, end = end, end + len(entries[-1])
        size += 1
    return packs.bundle(packs.pack(*entries), main=bytes(20))


def test_what_needs_more_memory_than_it_may_is_refused_and_not_killed(tmp_path: Path) -> None:
    found = look(tmp_path, held_open(12, 40 * MIB), memory=500 * MIB)
    assert isinstance(found, frames.Refused)
    assert (found.code, "memory" in found.sentence) == ("bundle_too_large", True), found


def test_what_a_history_lacks_is_said(tmp_path: Path) -> None:
    tree = b"100644 a\0" + packs.object_id(packs.BLOB, b"x")
    cut = packs.commit(packs.object_id(packs.TREE, tree), b"\x12" * 20)
    objects = ((packs.COMMIT, cut), (packs.TREE, tree), (packs.BLOB, b"x"))
    sent = packs.bundle(
        packs.pack(*(packs.entry(packs.Said(*each)) for each in objects)),
        main=packs.object_id(packs.COMMIT, cut),
    )
    found = look(tmp_path, sent)
    assert (found.code, "shallow" in found.sentence) == ("bundle_incomplete", True)


@pytest.mark.parametrize(
    "sent",
    [
        packs.history(b"100644 a\0" + bytes(20)),  # a blob that isn't there
        packs.history(b"nonsense"),
        packs.history(b"100644 a"),
        packs.history(b"100644 a\0" + bytes(7)),
        packs.history(b"banana a\0" + bytes(20)),
        packs.bundle(
            packs.pack(packs.entry(packs.Said(packs.BLOB, b"x"))), main=packs.object_id(packs.BLOB, b"x")
        ),
        packs.bundle(
            packs.pack(packs.entry(packs.Said(packs.COMMIT, b"x"))), main=packs.object_id(packs.COMMIT, b"x")
        ),
        packs.bundle(packs.pack()),
    ],
    ids=["no blob", "no tree", "cut tree", "cut id", "no mode", "branch of a blob", "no commit", "nothing"],
)
def test_what_is_no_history_is_refused(tmp_path: Path, sent: bytes) -> None:
    found = look(tmp_path, sent)
    assert isinstance(found, frames.Refused)
    assert found.code in {"bundle_unreadable", "bundle_incomplete", "git_unreadable", "git_empty"}


@pytest.mark.parametrize("branch", [None, "main"])
@pytest.mark.parametrize("kind", [packs.COMMIT, packs.TAG, packs.BLOB])
def test_a_branch_whose_tip_cannot_be_read_is_not_said_to_be_missing(
    tmp_path: Path, kind: int, branch: str | None
) -> None:
    tip = packs.object_id(kind, b"x")
    sent = packs.bundle(packs.pack(packs.entry(packs.Said(kind, b"x"))), main=tip)
    found = look(tmp_path, sent, branch=branch)
    assert (found.code, f"main of sent.bundle names {tip.hex()}" in found.sentence) == (
        "git_unreadable",
        True,
    )


def test_a_head_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    tip = packs.object_id(packs.COMMIT, b"x")
    made = packs.bundle(packs.pack(packs.entry(packs.Said(packs.COMMIT, b"x"))), main=tip)
    found = look(tmp_path, made.replace(b" refs/heads/main", b" HEAD"))
    assert (found.code, tip.hex() in found.sentence) == ("bundle_unreadable", True)
