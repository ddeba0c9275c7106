"""How much of one text is in another: kept lines, kept words, and blocks that moved."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from app.text.lines import Edit
    from app.text.words import Refinement

# git's --color-moved looks for as much text before it calls a block moved.
_MIN_MOVED_LETTERS = 20
_ASCII_END = 0x80


class MovedBlock(msgspec.Struct, frozen=True):
    """Lines that went away in one place and came back in another; numbers count from 1."""

    old_start: int
    new_start: int
    lines: int


def similarity(
    old: Sequence[bytes],
    new: Sequence[bytes],
    edits: Sequence[Edit],
    refinements: Iterable[Refinement | None] = (),
) -> float:
    """Return the share of bytes that both have, of the larger text, from 0 to 1: 1.0 if equal, also if empty.

    Counts whole lines, and of changed lines the equal words where `refinements` (one for each edit) has them.
    """
    if not edits:
        return 1.0
    old_size, new_size = sum(map(len, old)), sum(map(len, new))
    gone = [sum(map(len, old[edit.old_start : edit.old_end])) for edit in edits]
    kept = old_size - sum(gone)
    kept_words = sum(
        size * refined.shared for size, refined in zip(gone, refinements, strict=False) if refined is not None
    )
    return min((kept + kept_words) / max(old_size, new_size), 1.0)


def moved_blocks(old: Sequence[bytes], new: Sequence[bytes], edits: Sequence[Edit]) -> tuple[MovedBlock, ...]:
    """Return the blocks of removed lines that were added elsewhere unchanged, in the order of the new text.

    A block grows from a line that was removed once and added once, so the time is linear whatever the text.
    It counts from 20 letters or digits on: moved braces and blank lines are no news.
    """
    removed = {at: old[at] for edit in edits for at in range(edit.old_start, edit.old_end)}
    added = {at: new[at] for edit in edits for at in range(edit.new_start, edit.new_end)}
    times_removed, times_added = Counter(removed.values()), Counter(added.values())
    places = {line: at for at, line in removed.items() if times_removed[line] == 1}
    blocks: list[MovedBlock] = []
    done = -1
    for new_at, line in added.items():
        old_at = places.get(line)
        if new_at <= done or old_at is None or times_added[line] != 1:
            continue
        start, end = new_at, new_at + 1
        shift = old_at - new_at
        while start - 1 > done and added.get(start - 1, b"") == removed.get(start - 1 + shift, b"\n\n"):
            start -= 1
        while end in added and added[end] == removed.get(end + shift):
            end += 1
        done = end - 1
        if sum(map(_letters, new[start:end])) >= _MIN_MOVED_LETTERS:
            blocks.append(MovedBlock(start + shift + 1, start + 1, end - start))
    return tuple(blocks)


def _letters(line: bytes) -> int:
    # Every byte of a character beyond ASCII counts: the limit is a rule of thumb.
    return sum(1 for byte in line[: 4 * _MIN_MOVED_LETTERS] if byte >= _ASCII_END or chr(byte).isalnum())
