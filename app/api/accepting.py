"""Which of an answer's forms a client wants (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from litestar import Request

from app.api.conditions import field_of

_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z", re.IGNORECASE)
_MOST_RANGES = 100


def wanted_type(request: Request[Any, Any, Any], offered: Sequence[str]) -> str | None:
    """The one of the offered media types that Accept likes best, None when it takes none of them.

    The first one without the field. For each type the range that names it most closely counts, and a weight
    of 0 refuses it. Of types that are liked as much the more closely named one is taken, then the one that
    was named first. A weight that is none counts as 1.
    """
    field = field_of(request, "accept")
    if field is None or not field.strip():
        return offered[0]
    ranges = [_range_of(each) for each in field.split(",", _MOST_RANGES)[:_MOST_RANGES]]
    best: tuple[float, int, int] = (0.0, 0, 0)
    wanted = None
    for kind in offered:
        names = (kind, f"{kind.partition('/')[0]}/*", "*/*")
        found = [
            (2 - names.index(named), weight, -place)
            for place, (named, weight) in enumerate(ranges)
            if named in names
        ]
        if not found:
            continue
        closeness, weight, place = max(found)
        if weight > 0 and (weight, closeness, place) > best:
            best, wanted = (weight, closeness, place), kind
    return wanted


def _range_of(text: str) -> tuple[str, float]:
    """A media range without its parameters, and its weight."""
    named, *parameters = (each.strip() for each in text.split(";"))
    weights = [float(found[1]) for each in parameters if (found := _WEIGHT.match(each))]
    return named.lower(), weights[0] if weights else 1.0
