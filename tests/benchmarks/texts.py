"""What is measured of the comparing itself, on the real history of a changelog."""

from __future__ import annotations

import statistics
import subprocess
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pygit2

from app.text.blame import Run, Source, attribute
from app.text.lineage import follow, runs_in
from app.text.lines import line_diff, split_lines
from app.text.unified import unified_diff
from app.text.words import refine
from tests.benchmarks.cases import Row, milliseconds
from tests.benchmarks.interleaved import interleave
from tests.benchmarks.real import PATH, History, changelog

if TYPE_CHECKING:
    from pathlib import Path


def diffs(directory: Path, *, turns: int) -> list[Row]:
    """A unified diff of each pair of consecutive versions, against the library's and against git's."""
    history = changelog(directory / "diffs")
    pairs = list(pairwise(history.versions))
    every = max(1, len(pairs) // turns)
    ratios, ours, bare = [], [], []
    for old, new in pairs[::every]:
        pair = interleave(lambda: _unified(old, new), lambda: _bare(old, new), turns=5)  # noqa: B023 - called at once
        ratios.append(pair.ratio)
        ours.append(pair.ours)
        bare.append(pair.peer)
    sides = [directory / "old.md", directory / "new.md"]
    spawned = []
    for old, new in pairs[:: max(1, len(pairs) // 20)]:
        for path, text in zip(sides, (old, new), strict=True):
            path.write_bytes(text)
        started = time.perf_counter()
        subprocess.run(["git", "diff", "--no-index", *sides], capture_output=True, check=False)
        spawned.append(time.perf_counter() - started)
    middle = statistics.median(ours)
    git = statistics.median(spawned)
    return [
        Row(
            f"diff of two versions of a real changelog, {len(ratios)} pairs",
            milliseconds(middle),
            f"{milliseconds(statistics.median(bare))}: pygit2, the bare call",
            statistics.median(ratios),
            2.0,
        ),
        Row(
            "the same",
            milliseconds(middle),
            f"{milliseconds(git)}: git diff, a process a pair",
            git / middle,
            1.0,
            at_least=True,
            unit="x as fast",
        ),
    ]


def words(directory: Path, *, turns: int) -> list[Row]:
    """Which words changed in the paragraphs that a version of the changelog rewords, against finding the lines."""
    history = changelog(directory / "words")
    ratios, ours, peer = [], [], []
    for old, new in list(pairwise(history.versions))[:: max(1, 4 * 790 // turns)]:
        before, after = split_lines(old), split_lines(new)
        blocks = [
            (_decoded(before[edit.old_start : edit.old_end]), _decoded(after[edit.new_start : edit.new_end]))
            for edit in line_diff(before, after)
            if edit.old_start < edit.old_end and edit.new_start < edit.new_end
        ]
        if not blocks:
            continue
        pair = interleave(
            lambda: [refine(*block) for block in blocks],  # noqa: B023 - called at once
            lambda: line_diff(split_lines(old), split_lines(new)),  # noqa: B023 - called at once
            turns=5,
        )
        ratios.append(pair.ratio)
        ours.append(pair.ours)
        peer.append(pair.peer)
    return [
        Row(
            f"which words changed, {len(ratios)} of those pairs that reword something",
            milliseconds(statistics.median(ours)),
            f"{milliseconds(statistics.median(peer))}: the diff of the lines",
            statistics.median(ratios),
            2.0,
        )
    ]


def rebuild(directory: Path, *, turns: int) -> list[Row]:
    """Who wrote each line of a real changelog's newest version, from the bytes of all of them, against git."""
    history = changelog(directory / "rebuild")
    assert _blamed(history) == _blamed_by_git(history)
    pair = interleave(
        lambda: _blamed(history),
        lambda: history.git("blame", "--porcelain", "HEAD", "--", PATH),
        turns=turns,
        warm_up=1,
    )
    return [
        Row(
            f"attribution of {len(history.versions)} versions, from their bytes",
            milliseconds(pair.ours),
            f"{milliseconds(pair.peer)}: git blame of the newest",
            pair.ratio,
            3.0,
        )
    ]


def _unified(old: bytes, new: bytes) -> bytes:
    return unified_diff(old, new, old_path=PATH, new_path=PATH)


def _bare(old: bytes, new: bytes) -> bytes:
    patch = pygit2.Patch.create_from(old, new, old_as_path=PATH, new_as_path=PATH)
    return bytes(patch.data)


def _decoded(lines: list[bytes]) -> list[str]:
    return [line.decode(errors="replace") for line in lines]


def _blamed(history: History) -> list[int]:
    lines: list[int] = []
    before = b""
    for number, text in enumerate(history.versions, 1):
        sources = [Source(before, (Run("0", 1, len(lines)),))] if lines else []
        runs = attribute(text, version=str(number), sources=sources)
        triples = [each for run in runs for each in (int(run.origin) or number - 1, run.line, run.lines)]
        lines = follow(triples, number=number, held={number - 1: lines})
        before = text
    assert runs_in(lines)
    return [line >> 32 for line in lines]


def _blamed_by_git(history: History) -> list[int]:
    commits = history.git("log", "--first-parent", "--reverse", "--format=%H", "--", PATH).decode().split()
    numbers = {commit: number for number, commit in enumerate(commits, 1)}
    answer = history.git("blame", "--porcelain", "HEAD", "--", PATH).decode(errors="replace").split("\n")
    heads = (line.split(" ") for line in answer if not line.startswith("\t"))
    return [numbers[head[0]] for head in heads if head[0] in numbers]
