"""An event on its way out: its row, encoded once for everybody, and what some ask about it, found out once.

Frames are those of server-sent events (WHATWG HTML, 9.2): `id` is the event's number, so that a client which
comes back says with Last-Event-ID exactly where it stood.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.flows.event_filter import EventFilter
    from app.supabase.feed import Reach

_encoder = msgspec.json.Encoder()
_ENDING = frozenset({"member.removed", "member.account_ended"})


class Happened:
    """One event, shared by all who get it. Nothing of it changes but what was found out about it."""

    __slots__ = (
        "_finding", "_frame", "_hunks_frame", "_places", "_reach", "ends", "kind", "row", "sequence",
    )  # fmt: skip

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.sequence: int = row["sequence"]
        self.kind: str = row["kind"]
        self.ends: str | None = row["person"]["id"] if self.kind in _ENDING else None
        """Whose place in the project ends with this event."""
        self._frame: bytes | None = None
        self._hunks_frame: bytes | None = None
        self._reach: tuple[list[str], list[str]] | None = None
        self._places: dict[EventFilter, bool | None] = {}
        self._finding: asyncio.Lock | None = None

    @property
    def frame(self) -> bytes:
        """The event as everybody gets it."""
        if self._frame is None:
            self._frame = event_frame(self.row)
        return self._frame

    def known(self, wanted: EventFilter) -> bool | None:
        """Whether a filter lets it through by its row alone; None when that can't say. Found once."""
        try:
            return self._places[wanted]
        except KeyError:
            found = wanted.wants_kind(self.kind) and wanted.wants_place(self.row)
            return self._places.setdefault(wanted, found)

    async def is_wanted(self, wanted: EventFilter, read_reach: Callable[[int], Awaitable[Reach]]) -> bool:
        """Whether a filter lets it through. What a large change touches is read once, by who asks first.

        Raises VersoError when it can't be read; the next one to ask tries again.
        """
        known = self.known(wanted)
        if known is not None:
            return known
        if self._reach is None:
            async with self._lock():
                if self._reach is None:
                    reach = await read_reach(self.row["change"]["sequence"])
                    self._reach = sorted(reach.paths), reach.sessions
        return wanted.wants_reach(self.row, paths=self._reach[0], sessions=self._reach[1])

    async def with_hunks(self, find: Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]) -> bytes:
        """The event with the hunks of its change's texts, found once, by who asks first.

        `find` gives the row that has them, or None when it couldn't: then this one goes without, and the next
        to ask tries again.
        """
        if self.row["change"] is None:
            return self.frame
        if self._hunks_frame is None:
            async with self._lock():
                if self._hunks_frame is None:
                    row = await find(self.row)
                    if row is None:
                        return self.frame
                    self._hunks_frame = event_frame(row)
        return self._hunks_frame

    def _lock(self) -> asyncio.Lock:
        # Most events are never asked anything.
        if self._finding is None:
            self._finding = asyncio.Lock()
        return self._finding


def event_frame(row: dict[str, Any]) -> bytes:
    """An event as a frame. JSON has no line ends in it, so `data` is one line."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (row["sequence"], row["kind"].encode(), _encoder.encode(row))


def ready_frame(sequence: int, *, retry_ms: int) -> bytes:
    """The first frame: from where on events follow. Its id lets a client resume that got nothing yet."""
    data = _encoder.encode({"sequence": sequence})
    return b"retry: %d\nid: %d\nevent: ready\ndata: %s\n\n" % (retry_ms, sequence, data)


def end_frame(reason: str, sentence: str) -> bytes:
    """The last frame. Without an id: what the client has seen is what it has seen."""
    return b"event: end\ndata: %s\n\n" % _encoder.encode({"reason": reason, "detail": sentence})


HEARTBEAT = b": heartbeat\n\n"
"""A comment, for proxies that close what is silent and for clients that want to know."""
