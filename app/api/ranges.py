"""Range requests (RFC 9110, 14): one range of bytes; several are answered with the whole, as allowed."""

from __future__ import annotations

import re

from app.errors import VersoError

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*\Z")


def range_of(field: str | None, *, size: int) -> tuple[int, int] | None:
    """The bytes [start, stop) that a Range field asks for, or None for the whole.

    Unknown units, several ranges and malformed fields mean the whole (RFC 9110, 14.2). Raises VersoError
    `range_not_satisfiable` when the range begins after the end.
    """
    found = _RANGE.match(field.strip()) if field else None
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        length = int(found[2])
        start, stop = max(size - length, 0), size
        if length == 0:
            start = size
    else:
        start = int(found[1])
        stop = min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= size:
        raise VersoError("range_not_satisfiable", f"The content has {size} bytes.", size=size)
    return start, stop
