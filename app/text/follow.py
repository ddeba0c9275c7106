"""Where lines of one text are in another: what a remark on them needs to stay beside them.

Lines count from 1, as people count them, and a range includes its last line.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import msgspec

from app.text.lines import line_diff, split_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.text.lines import Edit


class LineRange(msgspec.Struct, frozen=True):
    """Lines from `first` to `last`, both included, counted from 1."""

    first: int
    last: int


class Place(msgspec.Struct, frozen=True):
    """Where lines are now. `lines` is null when they changed; `near` is then the line where they were.

    `near` is null when the text has no lines at all.
    """

    lines: LineRange | None
    near: int | None


def follow_lines(old: bytes, new: bytes, ranges: Sequence[LineRange]) -> tuple[Place, ...]:
    """Find each range of old lines in the new text.

    A range is found when every line of it is kept, with nothing put in between. What comes to stand right
    before or after it doesn't matter. A range beyond the end of the old text counts as changed.
    """
    old_lines, new_lines = split_lines(old), split_lines(new)
    edits = line_diff(old_lines, new_lines)
    return tuple(_place(each, edits, (len(old_lines), len(new_lines))) for each in ranges)


def _place(wanted: LineRange, edits: Sequence[Edit], lengths: tuple[int, int]) -> Place:
    start, end = wanted.first - 1, wanted.last
    old_length, new_length = lengths
    at = bisect_right(edits, start, key=lambda edit: edit.old_end)
    shift = edits[at - 1].new_end - edits[at - 1].old_end if at else 0
    after = edits[at] if at < len(edits) else None
    # An insertion at the very end of the range is no part of it: it starts where the range ends.
    if end <= old_length and (after is None or after.old_start >= end):
        return Place(LineRange(wanted.first + shift, wanted.last + shift), near=wanted.first + shift)
    start_of_change = start + shift if after is None else max(start + shift, after.new_start)
    return Place(None, near=min(start_of_change + 1, new_length) or None)
