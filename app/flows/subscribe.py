"""One subscriber of a project's events: reads up by its own means, then lives on what is shared.

1  Read pages with one's own token, from where the client stood to the newest event.
2  Join the follower (`follow_events.py`), and read what lies between, if anything.
3  Take events out of one's queue, in order; a comment now and then when there are none.
4  Who doesn't keep up loses the queue, never an event: back to 1. Who takes nothing at all is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from app.errors import VersoError
from app.flows.follow_presence import KIND
from app.flows.happened import HEARTBEAT, Happened, end_frame, ready_frame

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from app.flows.event_filter import EventFilter
    from app.flows.follow_events import Follower
    from app.supabase.feed import EventRows, Feed
    from app.supabase.identity import Actor

QUEUE_EVENTS = 512
"""Events that wait for a subscriber; they are shared, so this bounds references, not copies."""
PAGE = 100
JOINED_BYTES = 256 * 1024
"""Frames are sent together up to this."""
STALLED_SECONDS = 30.0
"""How long a client may take nothing before it is cut off. What it missed it gets when it comes back."""
RETRY_MS = 2000
_PASSING_SECONDS = 2.0
NOTHING_SEEN = -1
"""Of who doesn't want to know who is present."""

SENTENCES = {
    "member_removed": "You are no longer a member of this project.",
    "account_ended": "The account was deleted.",
    "token_expired": "The access token ended. Come back with a fresh one and Last-Event-ID.",
    "token_refused": "The access token is not accepted any more. Sign in again.",
    "events_reset": "The project's events are not those that were followed. Read it anew.",
    "server_stopping": "The server stops. Come back with Last-Event-ID.",
}
"""Why a stream ends, by `reason` of its last frame."""


class Subscription:
    """What one stream wants and where it is. Made by `Hub.subscribe`; iterate over `frames()`, once."""

    def __init__(
        self,
        feed: Feed,
        follower: Follower,
        *,
        actor: Actor,
        wanted: EventFilter,
        after: int,
        newest: int,
        heartbeat: float,
        find_hunks: Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]] | None,
    ) -> None:
        self.actor = actor
        self.checked_at = time.monotonic()
        """When the database last said that this person may read the project."""
        self.cut: Callable[[], object] | None = None
        """Ends the sending of what the client doesn't take; set by who sends."""
        self.ended: str | None = None
        self._feed = feed
        self._follower = follower
        self._wanted = wanted
        self._start = self._at = after
        self._heartbeat = heartbeat
        self._find_hunks = find_hunks
        self._queue: deque[Happened] = deque()
        self._board = follower.board
        self._seen: int | None = None if wanted.wants_kind(KIND) else NOTHING_SEEN
        # Who wants what comes from now on needn't read anything first.
        self._live = after >= max(newest, follower.at)
        self._closing = False
        self._waker: asyncio.Future[None] | None = None
        self._sending_since: float | None = None
        self._sent_at = time.monotonic()

    # What the follower does ----------------------------------------------------------------------------

    def put(self, event: Happened) -> None:
        """Hand an event over; never waits."""
        if not self._live or self._closing:
            return
        if len(self._queue) >= QUEUE_EVENTS:
            self._queue.clear()
            self._live = False  # reads for itself from where it is
        else:
            self._queue.append(event)
            # In order: what came before still goes out, and nothing after.
            self._closing = event.ends == self.actor.id
        self._wake()

    def end(self, reason: str) -> None:
        """End the stream for a reason of SENTENCES, as soon as its client takes what is being sent."""
        self.ended = self.ended or reason
        self._wake()

    def wake(self) -> None:
        """Look at who is present."""
        self._wake()

    def tick(self, now: float) -> None:
        """Look at the clock: wake up for a heartbeat, cut off who takes nothing."""
        if self._sending_since is not None:
            if now - self._sending_since > STALLED_SECONDS and self.cut is not None:
                self.cut()
        elif now - self._sent_at >= self._heartbeat:
            self._wake()

    # What the stream does ------------------------------------------------------------------------------

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Frames to send, one or more at a time, until the stream ends; the last one says why."""
        yield self._sending(ready_frame(self._start, retry_ms=RETRY_MS))
        while self.ended is None:
            self._taken()
            if not self._live:
                async for some in self._read_up():
                    yield self._sending(some)
                    self._taken()
                continue
            some = await self._next()
            if some:
                yield self._sending(some)
        if self.ended in SENTENCES:
            yield self._sending(end_frame(self.ended, SENTENCES[self.ended]))

    async def _read_up(self) -> AsyncIterator[bytes]:
        """Pages from where one is, until one has joined the follower with nothing missing in between."""
        while self.ended is None:
            page = await self._page()
            if page is None:
                continue
            # Joined before the answer is looked at: from here on the follower's events are in the queue.
            caught_up = page.scanned >= page.newest
            if caught_up and page.scanned >= self._follower.at:
                self._queue.clear()
                self._live = True
            frames = [await self._frame_of(Happened(row)) for row in page.events]
            self._at = page.scanned
            for some in _together(frames):
                yield some
            if self._live:
                return

    async def _page(self) -> EventRows | None:
        """The next page with one's own token; None when it can't be had now, or that ended the stream."""
        try:
            page = await self._feed.list_events(
                self.actor.token,
                project=self._follower.project,
                after=self._at,
                page_size=PAGE,
                kinds=sorted(self._wanted.kinds),
                prefix=self._wanted.prefix,
                session=self._wanted.session,
            )
        except VersoError as error:
            self._follower.judge(self, error)
            if self.ended is None:
                await self._wait(_PASSING_SECONDS)
            return None
        self.checked_at = time.monotonic()
        return page

    async def _next(self) -> bytes:
        """What is in the queue, together; a heartbeat when it is time for one."""
        if not self._queue and self.ended is None and not self._presence_changed():
            self._waker = asyncio.get_running_loop().create_future()
            await self._waker
            self._waker = None
        frames: list[bytes] = []
        size = 0
        while self._queue and size < JOINED_BYTES and self.ended is None:
            event = self._queue[0]
            if event.sequence > self._at:
                if event.ends == self.actor.id:
                    self.end("account_ended" if event.kind == "member.account_ended" else "member_removed")
                    break
                # Nothing is awaited that needn't be: a thousand streams do this at the same time.
                wanted = event.known(self._wanted)
                if wanted is None:
                    try:
                        wanted = await event.is_wanted(self._wanted, self._read_reach)
                    except VersoError as error:
                        self._follower.judge(self, error)
                        await self._wait(_PASSING_SECONDS)
                        break
                if wanted:
                    frame = event.frame if self._find_hunks is None else await self._frame_of(event)
                    frames.append(frame)
                    size += len(frame)
                self._at = event.sequence
            # What was awaited above may have cost the queue.
            if self._queue and self._queue[0] is event:
                self._queue.popleft()
        frames += self._present()
        if not frames and self.ended is None and time.monotonic() - self._sent_at >= self._heartbeat:
            return HEARTBEAT
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def _presence_changed(self) -> bool:
        version = self._board.version
        return version > 0 and self._seen not in {version, NOTHING_SEEN}

    def _present(self) -> list[bytes]:
        """Who came and went; after every event before it, for who is no longer a member hears of nobody."""
        if self._queue or self.ended is not None or not self._presence_changed():
            return []
        frame = self._board.since(self._seen)
        self._seen = self._board.version
        return [frame] if frame else []

    async def _frame_of(self, event: Happened) -> bytes:
        return event.frame if self._find_hunks is None else await event.with_hunks(self._find_hunks)

    async def _read_reach(self, change: int) -> Any:
        return await self._feed.read_event_reach(
            self.actor.token, project=self._follower.project, change=change
        )

    async def _wait(self, seconds: float) -> None:
        """Wait until something is put in or the stream is ended; at most so long."""
        self._waker = asyncio.get_running_loop().create_future()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._waker
        self._waker = None

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    def _sending(self, some: bytes) -> bytes:
        self._sending_since = time.monotonic()
        return some

    def _taken(self) -> None:
        if self._sending_since is not None:
            self._sent_at, self._sending_since = time.monotonic(), None


def _together(frames: list[bytes]) -> list[bytes]:
    joined: list[bytes] = []
    some: list[bytes] = []
    size = 0
    for frame in frames:
        some.append(frame)
        size += len(frame)
        if size >= JOINED_BYTES:
            joined.append(b"".join(some))
            some, size = [], 0
    if some:
        joined.append(b"".join(some))
    return joined
