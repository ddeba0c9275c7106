"""Where the lines of each version came from, followed to who wrote them.

What is kept of a version names only versions that it was made from (`blame.attribute` with sources that
claim all their lines): triples of version number, first line there, how many. Following them needs no text
and costs what copying lists of lines costs: 5 µs a version at 1,000 lines.

A line is one number here: its version's in the upper half, its own in the lower. So a run counts up by one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HALF = 32
_LOWER = (1 << _HALF) - 1

Triples = tuple[int, ...]
"""Version number, first line there from 1, how many; one after the other."""


def lines_in(runs: Sequence[int]) -> list[int]:
    """Return the lines that triples stand for, one by one."""
    lines: list[int] = []
    for at in range(0, len(runs), 3):
        first = (runs[at] << _HALF) + runs[at + 1]
        lines += range(first, first + runs[at + 2])
    return lines


def runs_in(lines: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Return lines as runs: place from 1, version number, first line there, how many."""
    if not lines:
        return []
    starts = [0, *(at for at, (line, following) in enumerate(pairwise(lines), 1) if following != line + 1)]
    ends = [*starts[1:], len(lines)]
    return [
        (start + 1, lines[start] >> _HALF, lines[start] & _LOWER, end - start)
        for start, end in zip(starts, ends, strict=True)
    ]


def follow(runs: Sequence[int], *, number: int, held: Mapping[int, Sequence[int]]) -> list[int]:
    """Return who wrote each line of version `number`, given the same of each version that its triples name.

    Raises ValueError when a triple names lines that its version doesn't have.
    """
    lines: list[int] = []
    for at in range(0, len(runs), 3):
        origin, first, count = runs[at : at + 3]
        if origin == number:
            lines += range((number << _HALF) + first, (number << _HALF) + first + count)
            continue
        source = held[origin]
        if first < 1 or first + count - 1 > len(source):
            raise ValueError(f"Version {origin} has {len(source)} lines.")
        lines += source[first - 1 : first - 1 + count]
    return lines


def sources_in(runs: Sequence[int], *, number: int) -> set[int]:
    """Return the versions other than `number` itself that triples name."""
    return set(runs[0::3]) - {number}
