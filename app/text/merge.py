"""Three-way merge by lines, with the verdicts of ``git merge-file``.

Two edits of the base conflict if they overlap or touch and do not say the same. Everything else is taken
over, so merging is symmetric: who came first makes no difference to the verdict or to a clean text.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from app.text.ends import common_ends
from app.text.errors import BinaryMergeError
from app.text.lines import Algorithm, Edit, line_diff, split_lines
from app.text.unified import is_binary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MARKER_WIDTH = 7


class Style(Enum):
    """What a conflict shows between its markers."""

    MERGE = "merge"  # yours and theirs, without the lines that both begin or end with
    DIFF3 = "diff3"  # yours, the base and theirs, whole


class Labels(msgspec.Struct, frozen=True):
    """The names behind the markers."""

    yours: str = "yours"
    base: str = "base"
    theirs: str = "theirs"


class Passage(msgspec.Struct, frozen=True):
    """Lines of one side: the first one's number from 1 (of the next line if there are none), and text.

    Bytes that are not UTF-8 show as U+FFFD.
    """

    start: int
    lines: int
    text: str


class Conflict(msgspec.Struct, frozen=True):
    """One place that both sides changed, differently; `line` is its first marker's in the merged text."""

    line: int
    base: Passage
    theirs: Passage
    yours: Passage


class Choice(Enum):
    """What becomes of a conflict."""

    YOURS = "yours"
    THEIRS = "theirs"
    BOTH = "both"  # yours first, as `git merge-file --union` has it


class MergeResult(msgspec.Struct, frozen=True):
    """The merged text, with markers where there are conflicts."""

    text: bytes
    conflicts: tuple[Conflict, ...]

    @property
    def clean(self) -> bool:
        """Whether there is nothing left to decide."""
        return not self.conflicts


class Region(NamedTuple):
    """A part of the base that at least one side changed, and what it became on each (ranges of lines).

    If it is `undecided` it conflicts even where only one side differs from the base.
    """

    base: tuple[int, int]
    theirs: tuple[int, int]
    yours: tuple[int, int]
    undecided: bool = False


def merge(
    base: bytes, theirs: bytes, yours: bytes, *, style: Style = Style.MERGE, labels: Labels | None = None
) -> MergeResult:
    """Merge two texts that were both made from base.

    Raises BinaryMergeError if both sides changed and one of the texts is binary.
    """
    if yours in (base, theirs):
        return MergeResult(theirs, ())
    if theirs == base:
        return MergeResult(yours, ())
    if is_binary(base) or is_binary(theirs) or is_binary(yours):
        raise BinaryMergeError
    texts = split_lines(base), split_lines(theirs), split_lines(yours)
    their_edits = line_diff(texts[0], texts[1], algorithm=Algorithm.PLAIN)
    your_edits = line_diff(texts[0], texts[2], algorithm=Algorithm.PLAIN)
    return assemble(texts, _regions(their_edits, your_edits), style=style, labels=labels or Labels())


def decide(text: str, conflicts: Sequence[Conflict], choices: Sequence[Choice]) -> str:
    r"""The text of a merge in the style MERGE, with each conflict decided as chosen.

    Only `\n` ends a line. Passages come as they were, also without a newline at the end of the text.
    """
    lines = [each + "\n" for each in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    parts: list[str] = []
    at = 0
    for conflict, choice in zip(conflicts, choices, strict=True):
        parts += lines[at : conflict.line - 1]
        yours, theirs = conflict.yours.text, conflict.theirs.text
        if choice is Choice.BOTH:
            between = "\n" if yours and theirs and not yours.endswith("\n") else ""
            parts.append(f"{yours}{between}{theirs}")
        else:
            parts.append(yours if choice is Choice.YOURS else theirs)
        at = conflict.line - 1 + conflict.yours.lines + conflict.theirs.lines + 3  # and the three markers
    return "".join((*parts, *lines[at:]))


def _regions(theirs: Sequence[Edit], yours: Sequence[Edit]) -> Iterator[Region]:
    edits = sorted([(edit, 0) for edit in theirs] + [(edit, 1) for edit in yours])
    # How far each side's numbers have run ahead of the base's by the end of the last region.
    shifts = [0, 0]
    at = 0
    while at < len(edits):
        start, end = edits[at][0].old_start, edits[at][0].old_end
        grown = [0, 0]
        while at < len(edits) and edits[at][0].old_start <= end:
            edit, side = edits[at]
            end = max(end, edit.old_end)
            grown[side] += (edit.new_end - edit.new_start) - (edit.old_end - edit.old_start)
            at += 1
        their_range, your_range = (
            (start + shift, end + shift + growth) for shift, growth in zip(shifts, grown, strict=True)
        )
        yield Region((start, end), their_range, your_range)
        shifts = [shift + growth for shift, growth in zip(shifts, grown, strict=True)]


def assemble(
    texts: tuple[list[bytes], list[bytes], list[bytes]],
    regions: Iterable[Region],
    *,
    style: Style,
    labels: Labels,
) -> MergeResult:
    """Put a merged text together from base, theirs and yours, and what was found out about their regions."""
    base, theirs, yours = texts
    merged: list[bytes] = []
    conflicts: list[Conflict] = []
    at = 0
    for region in regions:
        merged += base[at : region.base[0]]
        at = region.base[1]
        original = base[slice(*region.base)]
        their_lines, your_lines = theirs[slice(*region.theirs)], yours[slice(*region.yours)]
        if their_lines == your_lines or (their_lines == original and not region.undecided):
            merged += your_lines
        elif your_lines == original and not region.undecided:
            merged += their_lines
        else:
            start, end = common_ends(your_lines, their_lines) if style is Style.MERGE else (0, 0)
            merged += your_lines[:start]
            conflicts.append(
                Conflict(
                    line=len(merged) + 1,
                    base=_passage(base, region.base),
                    theirs=_passage(theirs, (region.theirs[0] + start, region.theirs[1] - end)),
                    yours=_passage(yours, (region.yours[0] + start, region.yours[1] - end)),
                )
            )
            sides = (
                (b"<", labels.yours, your_lines[start : len(your_lines) - end]),
                (b"|", labels.base, original if style is Style.DIFF3 else None),
                (b"=", "", their_lines[start : len(their_lines) - end]),
            )
            merged += _marked(sides, labels.theirs)
            merged += your_lines[len(your_lines) - end :]
    merged += base[at:]
    return MergeResult(b"".join(merged), tuple(conflicts))


def _marked(sides: Sequence[tuple[bytes, str, list[bytes] | None]], last: str) -> Iterator[bytes]:
    first_line = next((lines[0] for _, _, lines in sides if lines), b"")
    newline = b"\r\n" if first_line.endswith(b"\r\n") else b"\n"
    for mark, label, lines in sides:
        if lines is None:
            continue
        yield _marker(mark, label) + newline
        yield from lines
        if lines and not lines[-1].endswith(b"\n"):
            yield newline
    yield _marker(b">", last) + newline


def _marker(mark: bytes, label: str) -> bytes:
    return mark * _MARKER_WIDTH + (b" " + label.encode() if label else b"")


def _passage(lines: Sequence[bytes], place: tuple[int, int]) -> Passage:
    start, end = place
    return Passage(start + 1, end - start, b"".join(lines[start:end]).decode("utf-8", errors="replace"))
