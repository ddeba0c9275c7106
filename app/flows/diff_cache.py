"""Finished differences, kept as bytes: both sides are immutable, so what was found once stays true.

Who may see one is never decided here: callers have just been given both versions by the database.
"""

from __future__ import annotations

from collections import OrderedDict

Key = tuple[str | int | None, ...]
_ENTRY_COST = 500
"""Bytes that an entry costs besides its content, about."""


class DiffCache:
    """The least recently used differences go first once they are more than `limit` bytes."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self.size = 0

    def get(self, key: Key) -> bytes | None:
        """The difference of that key, if it is kept."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def clear(self) -> None:
        """Drop everything: which contents a difference is of can't be told from its key."""
        self._kept.clear()
        self.size = 0

    def put(self, key: Key, value: bytes) -> None:
        """Keep a difference, unless it is more than an eighth of everything."""
        if _ENTRY_COST + len(value) > self._limit // 8:
            return
        before = self._kept.pop(key, None)
        if before is not None:
            self.size -= _ENTRY_COST + len(before)
        self._kept[key] = value
        self.size += _ENTRY_COST + len(value)
        while self.size > self._limit:
            _, gone = self._kept.popitem(last=False)
            self.size -= _ENTRY_COST + len(gone)
