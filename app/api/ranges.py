"""Range requests (RFC 9110, 14): one range of bytes; several are answered with the whole, as allowed."""

from __future__ import annotations

import re

from app.errors import VersoError

_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*\Z", re.IGNORECASE)  # unit names have no case
_DIGITS = 4000
"""Python reads no longer number at once; no content is nearly so long, so these are all one."""


def range_of(field: str | None, *, size: int) -> tuple[int, int] | None:
    """The bytes [start, stop) that a Range field asks for, or None for the whole.

    Unknown units, several ranges and malformed fields mean the whole (RFC 9110, 14.2). Raises VersoError
    `range_not_satisfiable` when the range begins after the end.
    """
    found = _RANGE.match(field.strip()) if field else None
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        length = _position(found[2])
        if size == 0 and length > 0:
            return None  # all of nothing: satisfiable, but no Content-Range can say so
        start, stop = (max(size - length, 0) if length else size), size
    else:
        start = _position(found[1])
        last = _position(found[2]) if found[2] else size
        if last < start and found[2]:
            return None
        stop = min(last + 1, size)
    if start >= size:
        raise VersoError(
            "range_not_satisfiable", f"The content has {size} bytes. Ask for some of these.", size=size
        )
    return start, stop


def _position(digits: str) -> int:
    significant = digits.lstrip("0") or "0"
    return int(significant) if len(significant) <= _DIGITS else 10**_DIGITS
