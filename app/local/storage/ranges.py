"""The Range header as Storage reads it: one range of bytes, or 416 (wire/storage.md, section 6).

Unlike RFC 9110, section 14.2, a header that can't be understood isn't ignored.
"""

from __future__ import annotations

import re

from app.local.storage import faults

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_SAFE = 2**53 - 1
"""The largest integer JavaScript counts to; the real server refuses what is beyond."""
_SAFE_DIGITS = 400
"""Beyond this many digits a number is refused unread: int() takes quadratic time."""


def parse_range(header: str, size: int) -> tuple[int, int]:
    """The first and the last byte asked for of an object of `size` bytes, clamped at its end.

    Raises
    ------
        StorageFault: InvalidRange (416) for several ranges, other units, nonsense, and what lies outside.

    """
    match = _RANGE.fullmatch(header)
    if match is None or size <= 0 or len(header) > _SAFE_DIGITS:
        raise faults.invalid_range()
    first, last = match[1], match[2]
    if not first:
        suffix = int(last) if last else 0
        if not 0 < suffix <= _SAFE:
            raise faults.invalid_range()
        return max(size - suffix, 0), size - 1
    start = int(first)
    end = int(last) if last else size - 1
    if max(start, end) > _SAFE or end < start or start >= size:
        raise faults.invalid_range()
    return start, min(end, size - 1)
