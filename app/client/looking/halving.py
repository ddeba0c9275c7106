"""Which one broke it: halve what lies between the newest good and the oldest bad, but for what is skipped."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Verdict(StrEnum):
    """What something was found to be; skip: it can't be told."""

    good = "good"
    bad = "bad"
    skip = "skip"


class Halved(msgspec.Struct, frozen=True):
    """The answer: the first bad one, or, if skipped ones stand before it, one of `suspects` (with it)."""

    first_bad: int
    suspects: list[int]
    looked_at: int


def halve(numbers: Sequence[int], judge: Callable[[int, int], Verdict]) -> Halved:
    """Find the first bad one of ascending numbers, the first of which is good and the last bad.

    `judge` gets a number and how many may still have to be looked at. Raises VersoError `bad_usage` when
    there is nothing between.
    """
    if len(numbers) < 2:  # noqa: PLR2004 - a good one and a bad one
        raise VersoError("bad_usage", "The good one must come before the bad one.")
    low, high = 0, len(numbers) - 1
    skipped: set[int] = set()
    looked = 0
    while (place := _middle(low, high, skipped)) is not None:
        left = high - low - 1 - len([each for each in skipped if low < each < high])
        verdict = judge(numbers[place], left)
        looked += 1
        if verdict is Verdict.good:
            low = place
        elif verdict is Verdict.bad:
            high = place
        else:
            skipped.add(place)
    between = [numbers[each] for each in sorted(skipped) if low < each < high]
    return Halved(numbers[high], [*between, numbers[high]] if between else [], looked)


def _middle(low: int, high: int, skipped: set[int]) -> int | None:
    """The unskipped place nearest to the middle."""
    middle = (low + high) // 2
    for distance in range(high - low):
        for place in (middle - distance, middle + distance):
            if low < place < high and place not in skipped:
                return place
    return None
