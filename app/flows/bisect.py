"""Which version broke it: the next one to look at, from the verdicts so far; nothing is kept."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.model import Version  # msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger

_DELETES = 50
"""How many deletes are passed over in one call."""


class Verdict(StrEnum):
    """What someone found a version to be; skip: it can't be told."""

    good = "good"
    bad = "bad"
    skip = "skip"


class Bisection(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at next, or the answer.

    `next` is null when there is nothing left to look at. Then the first bad version is `first_bad`, or, if
    skipped ones stand before it, one of those or `first_bad`: `suspects` has their numbers.
    """

    next: Version | None
    first_bad: Version | None
    suspects: list[int]
    left: int
    """How many versions may still be looked at."""


async def bisect_versions(
    ledger: Ledger, *, actor: Actor, document: str, good: int, bad: int, verdicts: Mapping[int, Verdict]
) -> Bisection:
    """Half the versions between the newest good and the oldest bad one. Raises VersoError.

    `bad_value` when a good version is not older than a bad one. One round trip, and one more for each delete
    that is met: a delete has nothing to look at, and is passed over.
    """
    low = max([good, *(number for number, verdict in verdicts.items() if verdict is Verdict.good)])
    high = min([bad, *(number for number, verdict in verdicts.items() if verdict is Verdict.bad)])
    if low >= high:
        raise VersoError(
            "bad_value",
            f"Version {low} is good and version {high} bad, but a good version comes before all bad ones.",
            good=low,
            bad=high,
        )
    skipped = {
        number for number, verdict in verdicts.items() if verdict is Verdict.skip and low < number < high
    }
    for _ in range(_DELETES):
        left = high - low - 1 - len(skipped)
        if left == 0:
            break
        number = _middle(low, high, skipped)
        read = await ledger.read_version(actor.token, document=document, at=f"v{number}")
        if read.version.sha256 is not None:
            return Bisection(next=read.version, first_bad=None, suspects=[], left=left)
        skipped.add(number)
    first = await ledger.read_version(actor.token, document=document, at=f"v{high}")
    # Deletes that nobody spoke of are no suspects: they had nothing in them.
    told = sorted(number for number in skipped if verdicts.get(number) is Verdict.skip)
    return Bisection(next=None, first_bad=first.version, suspects=[*told, high] if told else [], left=0)


def _middle(low: int, high: int, skipped: set[int]) -> int:
    middle = (low + high) // 2
    # Outwards from the middle; as many steps as there are skipped versions at most.
    for distance in range(high - low):
        for number in (middle - distance, middle + distance):
            if low < number < high and number not in skipped:
                return number
    raise AssertionError("unreachable")
