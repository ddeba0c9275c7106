"""How much is allowed: the limits of a hosted project on a paid plan, and the counters that hold to them."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one project. Sizes are bytes."""

    connections: int = 500
    """Websockets at a time."""
    channels: int = 100
    """Channels of one websocket."""
    joins: int = 500
    """Joins a second, of all together."""
    messages: int = 500
    """Broadcasts a second that clients send, of all together."""
    presence_calls: int = 5
    """How often one channel may track or untrack in `presence_seconds`."""
    presence_seconds: float = 30.0
    payload: int = 3_000_500
    """Of a broadcast's or a presence's payload: 3,000 KB and some padding."""
    frame: int = 5_000_000
    """Of one frame; a larger one ends the connection (1009)."""
    waiting: int = 8_000_000
    """That wait for a client who doesn't read; then the connection ends."""
    idle_seconds: float = 60.0
    """Without any frame from the client; heartbeats come every 25."""


class Rate:
    """At most `limit` in any window of `seconds`, counted from the first after a pause."""

    def __init__(self, limit: int, seconds: float = 1.0) -> None:
        self._limit = limit
        self._seconds = seconds
        self._since = float("-inf")
        self._count = 0

    def take(self, count: int = 1) -> bool:
        """Count some more; False when they are too many, and then they aren't counted."""
        now = time.monotonic()
        if now - self._since >= self._seconds:
            self._since, self._count = now, 0
        if self._count + count > self._limit:
            return False
        self._count += count
        return True
