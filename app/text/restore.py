"""Bring a section of an old version back into a newer text, and leave the rest as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.text.lines import Edit, line_diff, split_lines
from app.text.merge import Labels, MergeResult, Region, Style, assemble

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def restore_lines(
    head: bytes, old: bytes, *, first: int, last: int, labels: Labels | None = None
) -> MergeResult:
    """Return head with the lines from `first` to `last` of old as they were (counted from 1, both included).

    What was rewritten across an edge of the section is a conflict: the old lines are `yours`, those of head
    are `theirs` and the base. What was inserted at an edge stays.

    Raises ValueError if old does not have these lines.
    """
    old_lines, head_lines = split_lines(old), split_lines(head)
    if not 1 <= first <= last <= len(old_lines):
        raise ValueError(f"The old version has lines 1 to {len(old_lines)}: choose from these.")
    regions = _regions(line_diff(old_lines, head_lines), first - 1, last)
    texts = head_lines, head_lines, old_lines
    return assemble(texts, regions, style=Style.MERGE, labels=labels or Labels())


def _regions(edits: Sequence[Edit], start: int, end: int) -> Iterator[Region]:
    for edit in edits:
        here = edit.new_start, edit.new_end
        if edit.old_end <= start or edit.old_start >= end:
            continue
        if start <= edit.old_start and edit.old_end <= end:
            yield Region(here, here, (edit.old_start, edit.old_end))
        elif edit.new_start == edit.new_end:
            # Only deleted: then it is clear which of the lines are wanted back.
            yield Region(here, here, (max(edit.old_start, start), min(edit.old_end, end)))
        else:
            yield Region(here, here, (edit.old_start, edit.old_end), undecided=True)
