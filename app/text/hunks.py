"""The difference of two texts as data: hunks, numbered lines, changed words, and a summary.

The text form is `app.text.unified`; both come from the same edits, and a test parses one back into the other.
"""

from __future__ import annotations

import hashlib
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import msgspec

from app.text.lines import Edit, Ignoring, line_count, line_diff, split_lines
from app.text.similarity import MovedBlock, moved_blocks, similarity
from app.text.unified import hunk_groups, is_binary, section_before
from app.text.words import Granularity, Refinement, Spans, refine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


Kind = Literal["context", "removed", "added"]


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a hunk.

    `text` is without its newline; bytes that are not UTF-8 show as U+FFFD and make it `lossy`. `spans` are
    the changed parts in characters (code points), start included, end excluded; None means the whole line.
    `newline` is False for a last line without one.
    """

    kind: Kind
    text: str
    old: int | None = None
    new: int | None = None
    spans: tuple[tuple[int, int], ...] | None = None
    newline: bool = True
    lossy: bool = False


class Hunk(msgspec.Struct, frozen=True):
    """Changed lines with those around them; starts count from 1, an empty side has the line before it."""

    old_start: int
    old_lines: int
    new_start: int
    new_lines: int
    section: str
    lines: tuple[Line, ...]


class Side(msgspec.Struct, frozen=True):
    """One of the compared texts: bytes, lines, SHA-256 in hex, and whether git would call it binary."""

    size: int
    lines: int
    sha256: str
    binary: bool


class Summary(msgspec.Struct, frozen=True):
    """Added and removed lines, blocks that only moved (counted in both), and similarity from 0 to 1."""

    added: int
    removed: int
    moved: tuple[MovedBlock, ...]
    similarity: float


class DiffResult(msgspec.Struct, frozen=True):
    """What changed: hunks and a summary.

    There are no hunks if a side is `binary` or they are `too_different`, and no summary either where finding
    it would take too long: then the two sides are the answer.
    """

    old: Side
    new: Side
    binary: bool
    too_different: bool
    hunks: tuple[Hunk, ...]
    summary: Summary | None


def diff_hunks(
    old: bytes,
    new: bytes,
    *,
    context: int = 3,
    ignoring: Ignoring = Ignoring.NOTHING,
    granularity: Granularity = Granularity.WORD,
    text: bool = False,
    max_lines: int = 20_000,
) -> DiffResult:
    """Compare two texts; `text` compares bytes with NULs as text too.

    With more than `max_lines` added and removed lines the result is `too_different`: a summary without hunks.
    """
    sides = side_of(old), side_of(new)
    if old != new and not text and (sides[0].binary or sides[1].binary):
        return DiffResult(*sides, binary=True, too_different=False, hunks=(), summary=None)
    old_lines, new_lines = split_lines(old), split_lines(new)
    edits = line_diff(old_lines, new_lines, ignoring=ignoring)
    added = sum(edit.new_end - edit.new_start for edit in edits)
    removed = sum(edit.old_end - edit.old_start for edit in edits)
    refinements: list[Refinement | None] = []
    hunks = []
    section, searched = "", 0
    too_different = added + removed > max_lines
    for group in () if too_different else hunk_groups(edits, context=context):
        start = max(0, group[0].old_start - context)
        section = section_before(old_lines, start, searched).decode() or section
        searched = start
        marked = list(_marked_lines(old_lines, new_lines, group, context=context))
        first = start, group[0].new_start - (group[0].old_start - start)
        lines = number_lines(marked, first=first, granularity=granularity, refinements=refinements)
        hunks.append(hunk_of(lines, first=first, section=section))
    summary = Summary(
        added=added,
        removed=removed,
        moved=moved_blocks(old_lines, new_lines, edits),
        similarity=round(similarity(old_lines, new_lines, edits, refinements), 4),
    )
    return DiffResult(*sides, binary=False, too_different=too_different, hunks=tuple(hunks), summary=summary)


def side_of(data: bytes) -> Side:
    """Describe one text."""
    return Side(len(data), line_count(data), hashlib.sha256(data).hexdigest(), is_binary(data))


def number_lines(
    marked: Iterable[tuple[Kind, bytes]],
    *,
    first: tuple[int, int],
    granularity: Granularity,
    refinements: list[Refinement | None],
) -> tuple[Line, ...]:
    """Return a hunk's lines with numbers and changed words; `first` are the lines before it on each side.

    Appends what was found out about each block of changed lines to `refinements`.
    """
    old_at, new_at = first
    lines: list[Line] = []
    for is_context, block in groupby(marked, key=lambda mark: mark[0] == "context"):
        decoded = [(kind, *_decoded(line)) for kind, line in block]
        if is_context:
            for _, text, lossy in decoded:
                old_at, new_at = old_at + 1, new_at + 1
                lines.append(_line("context", text, old=old_at, new=new_at, lossy=lossy))
            continue
        removed = [text for kind, text, _ in decoded if kind == "removed"]
        added = [text for kind, text, _ in decoded if kind == "added"]
        found = refine(removed, added, granularity=granularity)
        refinements.append(found)
        spans: Iterator[Spans | None] = iter(
            (*found.removed, *found.added) if found else (None,) * len(decoded)
        )
        for kind, text, lossy in decoded:
            if kind == "removed":
                old_at += 1
                lines.append(_line(kind, text, old=old_at, spans=next(spans), lossy=lossy))
            else:
                new_at += 1
                lines.append(_line(kind, text, new=new_at, spans=next(spans), lossy=lossy))
    return tuple(lines)


def hunk_of(lines: tuple[Line, ...], *, first: tuple[int, int], section: str) -> Hunk:
    """Count the lines of a hunk that begins after so many lines of each side."""
    old_lines = sum(1 for line in lines if line.old is not None)
    new_lines = sum(1 for line in lines if line.new is not None)
    return Hunk(
        first[0] + (old_lines > 0),
        old_lines,
        first[1] + (new_lines > 0),
        new_lines,
        section=section,
        lines=lines,
    )


def _marked_lines(
    old: Sequence[bytes], new: Sequence[bytes], group: Sequence[Edit], *, context: int
) -> Iterator[tuple[Kind, bytes]]:
    at = max(0, group[0].old_start - context)
    for edit in group:
        for line in old[at : edit.old_start]:
            yield "context", line
        for line in old[edit.old_start : edit.old_end]:
            yield "removed", line
        for line in new[edit.new_start : edit.new_end]:
            yield "added", line
        at = edit.old_end
    for line in old[at : at + context]:
        yield "context", line


def _decoded(line: bytes) -> tuple[str, bool]:
    try:
        return line.decode("utf-8"), False
    except UnicodeDecodeError:
        return line.decode("utf-8", errors="replace"), True


def _line(
    kind: Kind,
    text: str,
    *,
    lossy: bool,
    old: int | None = None,
    new: int | None = None,
    spans: Spans | None = None,
) -> Line:
    visible = text.removesuffix("\n")
    return Line(kind, visible, old, new, spans=spans, newline=visible is not text, lossy=lossy)
