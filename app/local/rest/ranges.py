"""Rows asked for (`limit`, `offset`, `Range`) and rows answered (`Content-Range`, 200, 206, 416)."""

from __future__ import annotations

import re

from app.local.rest.errors import bad_range
from app.local.rest.syntax import Range

ALL = Range()
_HEADER = re.compile(r"([0-9]+)-([0-9]*)")
_WHOLE = re.compile(r"-?[0-9]{1,18}")


def number(text: str) -> int | None:
    """Read a whole number that bigint holds; anything else counts as not given, as in PostgREST."""
    return int(text) if _WHOLE.fullmatch(text.strip()) else None


def requested(asked: Range | None, header: str | None) -> Range:
    """Give the root's range: `limit`/`offset` cut by the Range header.

    Raises RestError 416 for a negative limit and for a header whose start lies behind its end.
    """
    span = asked or ALL
    if (span.offset, span.limit) == (0, 0):
        return span
    # An offset makes a limit of nothing an empty range: refused, as in PostgREST.
    if span.limit is not None and span.limit <= 0:
        raise bad_range("Limit should be greater than or equal to zero.")
    found = _HEADER.fullmatch(header.strip()) if header else None
    if not found:
        return _cut(span, first=0, last=None)
    first = number(found[1]) or 0
    last = number(found[2]) if found[2] else None
    if last is not None and last < first:
        raise bad_range(
            "The lower boundary must be lower than or equal to the upper boundary in the Range header."
        )
    return _cut(span, first=first, last=last)


def _cut(span: Range, *, first: int, last: int | None) -> Range:
    offset = max(span.offset, first)
    ends = [
        end for end in (last, None if span.limit is None else span.offset + span.limit - 1) if end is not None
    ]
    if not ends:
        return Range(offset)
    if min(ends) < offset:
        raise bad_range("Limit should be greater than or equal to zero.")
    return Range(offset, min(ends) - offset + 1)


def at_most(span: Range, rows: int) -> Range:
    """Cut the range to `rows`, the server's own limit."""
    return Range(span.offset, rows if span.limit is None else min(span.limit, rows))


def content_range(*, first: int, last: int, total: int | None) -> str:
    """Write the header's value: `0-9/20`, `*/0`, `0-9/*` (RFC 9110 §14.4, but without the unit)."""
    span = f"{first}-{last}" if total != 0 and first <= last else "*"
    return f"{span}/{'*' if total is None else total}"


def status_of(*, first: int, last: int, total: int | None) -> int:
    """Give 200 for everything there is, 206 for a part, 416 for a start behind the end."""
    if total is None:
        return 200
    if first > total:
        return 416
    return 206 if 1 + last - first < total else 200
