"""The "Perhaps you meant" of errors: the name most like one that wasn't found.

Candidates that share the most letter groups (cosine of their 3-gram, else 2-gram counts) are ranked by edit
distance, as PostgREST's FuzzySet does it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAST = 0.33
# Tables and functions are suggested only when nearly named, so that a guess doesn't list what there is.
CLOSE = 0.75
_COMPARED = 50
_IGNORED = re.compile(r"[^\w, ]+")
# A suggestion isn't worth the time that a hostile name of thousands of letters would take.
_LONGEST = 256


def most_similar(name: str, candidates: Iterable[str], *, least: float = LEAST) -> str | None:
    """Give the candidate most like the name, or None when none is alike by `least` (0 to 1)."""
    if len(name) > _LONGEST:
        return None
    known = {one.lower(): one for one in candidates}
    wanted = name.lower()
    if wanted in known:
        return known[wanted]
    for size in (3, 2):
        grams = _grams(wanted, size)
        ranked = sorted(((_cosine(grams, _grams(one, size)), one) for one in known), reverse=True)
        shared = [one for score, one in ranked[:_COMPARED] if score > 0]
        scored = [(1 - _distance(wanted, one) / max(len(wanted), len(one), 1), one) for one in shared]
        best = max(scored, default=(0.0, ""), key=lambda pair: pair[0])
        if best[0] >= least:
            return known[best[1]]
    return None


def _grams(text: str, size: int) -> Counter[str]:
    framed = f"-{_IGNORED.sub('', text)}-".ljust(size, "-")
    return Counter(framed[at : at + size] for at in range(len(framed) - size + 1))


def _cosine(one: Counter[str], two: Counter[str]) -> float:
    product = sum(count * two[gram] for gram, count in one.items())
    return product / (math.hypot(*one.values()) * math.hypot(*two.values())) if product else 0.0


def _distance(one: str, two: str) -> int:
    """Levenshtein's, one row at a time."""
    row = list(range(len(two) + 1))
    for above, first in enumerate(one, 1):
        corner, row[0] = row[0], above
        for at, second in enumerate(two, 1):
            corner, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, corner + (first != second))
    return row[-1]
