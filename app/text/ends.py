"""What two sequences begin and end with alike: lines, tokens, characters or bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def common_ends(
    old: Sequence[object], new: Sequence[object], *, steps: tuple[int, ...] = (4096, 512, 64, 8, 1)
) -> tuple[int, int]:
    """Return how many items both begin with, and how many of the others both end with.

    Goes in ever smaller steps, so that the comparing is done in C; a last step above 1 gives a lower bound.
    """
    shorter = min(len(old), len(new))
    start = end = 0
    for step in steps:
        while start + step <= shorter and old[start : start + step] == new[start : start + step]:
            start += step
    for step in steps:
        while end + step <= shorter - start and _from_end(old, end, step) == _from_end(new, end, step):
            end += step
    return start, end


def _from_end(items: Sequence[object], end: int, step: int) -> Sequence[object]:
    return items[len(items) - end - step : len(items) - end]
