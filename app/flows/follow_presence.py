"""Who is present in a project, as its streams are told: who came or does something else, and who is gone.

Read for all subscribers of a process at once, like events: when a signal says that something changed, when an
entry's time is over, and now and then besides. Frames are differences; who is new or fell behind gets
everything (`complete`). They have no id, for they are no events: a stream that is resumed begins with
everything.

What is read is told only after every event before it was handed out, so that somebody whose membership has
ended hears of nobody any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec
import structlog

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.flows.follow_events import Follower
    from app.model.presence import Presence
    from app.supabase.feed import Feed

log = structlog.get_logger(__name__)

KIND = "presence.changed"
"""What filters call these frames."""
KEPT_CHANGES = 64
SOON_SECONDS = 0.2
"""Between two reads, however many signals come."""
OVER_SECONDS = 5.0
"""Between two reads because an entry's time is over."""
POLL_SECONDS, LATE_SECONDS = 10.0, 60.0
"""Between two reads without signals, and with them."""
WAIT_SECONDS, LOOK_SECONDS = 5.0, 0.02
"""How long, and how often, events are waited for."""
_encoder = msgspec.json.Encoder()


class Board:
    """Who is present, and the last changes of it, encoded once for everybody."""

    def __init__(self) -> None:
        self.version = 0
        """Counts the changes; 0 is an empty project that nobody need be told of."""
        self.ends_at: float | None = None
        """When the first entry's time is over, as time.time() counts."""
        self._entries: dict[tuple[str, str], Presence] = {}
        self._changes: deque[tuple[int, bytes]] = deque(maxlen=KEPT_CHANGES)
        self._complete: tuple[int, bytes] | None = None

    def take(self, found: Sequence[Presence]) -> bool:
        """Take over who is present now; whether anything changed that is told. Saying it again isn't."""
        entries = {(each.person.id, each.device): each for each in found}
        came = [each for key, each in entries.items() if _told(self._entries.get(key)) != _told(each)]
        gone = [key for key in self._entries if key not in entries]
        self._entries = entries
        self.ends_at = min((each.until.timestamp() for each in found), default=None)
        if not came and not gone:
            return False
        self.version += 1
        names = [{"person": person, "device": device} for person, device in gone]
        self._changes.append((self.version, _frame({"complete": False, "present": came, "gone": names})))
        return True

    def since(self, version: int | None) -> bytes:
        """The frames after a version; one with everything for who has none, or one that is too old."""
        if version == self.version:
            return b""
        if version is None and not self._entries:
            return b""
        if version is None or not self._changes or self._changes[0][0] > version + 1:
            if self._complete is None or self._complete[0] != self.version:
                everybody = {"complete": True, "present": list(self._entries.values()), "gone": []}
                self._complete = (self.version, _frame(everybody))
            return self._complete[1]
        return b"".join(frame for number, frame in self._changes if number > version)


async def follow_presence(feed: Feed, follower: Follower, due: asyncio.Event) -> None:
    """Keep a follower's board for as long as this runs. `due` is set when something may have changed."""
    while True:
        due.clear()
        reader = follower.reader()
        if reader is not None:
            try:
                found = await feed.list_presence(reader.token, project=follower.project)
                if await _are_handed_out(follower, found.newest) and follower.board.take(found.items):
                    for each in list(follower.subscribers):
                        each.wake()
            except VersoError as error:
                # Whether the token may read is for the events to find out.
                log.info("presence.unreadable", project=follower.project, code=error.code)
            except Exception:
                # Nobody awaits this: without it nobody would be told of anybody any more.
                log.exception("presence.follower", project=follower.project)
        await asyncio.sleep(SOON_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_rest(follower)):
                await due.wait()


async def _are_handed_out(follower: Follower, newest: int) -> bool:
    """Wait until the events up to a number were handed out; False when they can't be had just now."""
    if follower.at < newest:
        follower.wake()
    deadline = time.monotonic() + WAIT_SECONDS
    while follower.at < newest and time.monotonic() < deadline:  # noqa: ASYNC110 - rare, and over at once
        await asyncio.sleep(LOOK_SECONDS)
    return follower.at >= newest


def _rest(follower: Follower) -> float:
    seconds = LATE_SECONDS if follower.hears else POLL_SECONDS
    over = follower.board.ends_at
    return seconds if over is None else min(seconds, max(over - time.time(), OVER_SECONDS))


def _told(entry: Presence | None) -> Presence | None:
    """An entry without how long it holds: that is said again and again."""
    return None if entry is None else msgspec.structs.replace(entry, until=entry.since)


def _frame(data: object) -> bytes:
    return b"event: presence\ndata: %s\n\n" % _encoder.encode(data)
