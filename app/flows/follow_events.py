"""A project's events as they happen, read once for all of this process who follow it.

1  A follower a project asks for events after the newest that it has: when a signal says so (`live.py`), and
   every POLL_SECONDS without signals, every LATE_SECONDS with them. So a signal that is lost, doubled or out
   of order is a delay at most: numbers have no gaps, and only what follows the newest is taken.
2  It reads with the token of one of its subscribers. Each member may read each event, so the answer is right
   for all of them. When that token ends or is refused, it goes on with another's.
3  Each event is encoded once and put into each subscriber's queue (`subscribe.py`), which never waits.
4  Who may follow is looked at all the time: an event that ends a membership ends that person's streams, in
   order; each token is tried again within `recheck` seconds, and a stream ends with its token.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
import time
from typing import TYPE_CHECKING, Any

import structlog

from app.errors import VersoError
from app.flows.follow_presence import Board, follow_presence
from app.flows.happened import Happened
from app.flows.subscribe import Subscription

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from app.flows.event_filter import EventFilter
    from app.supabase.feed import Feed
    from app.supabase.identity import Actor
    from app.supabase.live import Live, Signals

log = structlog.get_logger(__name__)

POLL_SECONDS = 2.0
LATE_SECONDS = 15.0
CHECKS_AT_ONCE = 4
PAGE = 100
FIRST_DELAY, LONGEST_DELAY = 0.5, 15.0
_ENDS = {"project_not_found": "member_removed", "bad_cursor": "events_reset"}


class Follower:
    """What follows one project, for as long as it has subscribers."""

    def __init__(self, feed: Feed, live: Live | None, *, project: str, at: int) -> None:
        self.project = project
        self.at = at
        """Number of the newest event that was handed out."""
        self.subscribers: set[Subscription] = set()
        self.board = Board()
        """Who is present."""
        self._feed = feed
        self._live = live
        self._signals: Signals | None = None
        self._woken = asyncio.Event()
        self._presence_due = asyncio.Event()
        # A context of its own: what is bound to the request that came first (ids, counts) is not ours.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    @property
    def has_ended(self) -> bool:
        """Whether it follows no more: then the next to come need another one."""
        return self._task.done()

    @property
    def hears(self) -> bool:
        """Whether signals arrive at this moment."""
        return self._signals is not None and self._signals.connected

    def reader(self) -> Actor | None:
        """The subscriber with whose token to read. It lasts longest, so this one changes least often."""
        usable = [each.actor for each in self.subscribers if each.ended is None]
        return max(usable, key=lambda actor: (actor.expires_at, actor.token)) if usable else None

    def judge(self, subscription: Subscription, error: VersoError) -> bool:
        """End a subscriber's stream when an error says that it must; whether it did. Others may pass."""
        reason = _ENDS.get(error.code)
        if error.code == "unauthenticated":
            ended = subscription.actor.expires_at <= time.time()
            reason = "token_expired" if ended else "token_refused"
        if reason is not None:
            subscription.end(reason)
        return reason is not None

    async def check(self, token: str) -> None:
        """Ask the database whether a token may still read the project, and tell the streams that have it."""
        try:
            await self._feed.list_events(token, project=self.project, after=None)
        except VersoError as error:
            self._judge_all(token, error)
        else:
            self._note_checked(token)

    def wake(self) -> None:
        """Look for events now."""
        self._woken.set()

    async def close(self) -> None:
        """Follow no more."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        heard: asyncio.Task[None] | None = None
        present = asyncio.create_task(follow_presence(self._feed, self, self._presence_due))
        async with contextlib.AsyncExitStack() as stack:
            try:
                while True:
                    reader = await self._reader()
                    if self._live is not None and self._signals is None:
                        following = self._live.following(self.project, reader.token)
                        self._signals = await stack.enter_async_context(following)
                        heard = asyncio.create_task(self._listen(self._signals))
                    elif self._signals is not None and self._signals.token != reader.token:
                        self._signals.swap(reader.token)
                    await self._read(reader)
            except Exception:
                # Nobody awaits this. Streams go on by polling anew once somebody comes, or end with it.
                log.exception("events.follower", project=self.project)
                for each in list(self.subscribers):
                    each.end("server_stopping")
            finally:
                for task in (present, heard):
                    if task is not None:
                        task.cancel()

    async def _read(self, reader: Actor) -> None:
        """Read and hand out all that is new, then wait for more."""
        delay = FIRST_DELAY
        while True:
            self._woken.clear()  # before the read: what happens during it may be missing from the answer
            try:
                page = await self._feed.list_events(
                    reader.token, project=self.project, after=self.at, page_size=PAGE
                )
            except VersoError as error:
                # Of a token that nobody has any more nothing is to be learnt: who had it has left meanwhile.
                if self._judge_all(reader.token, error) or not self._having(reader.token):
                    return
                log.info("events.unreadable", project=self.project, code=error.code)
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                delay = min(2 * delay, LONGEST_DELAY)
                continue
            delay = FIRST_DELAY
            self._note_checked(reader.token)
            for row in page.events:
                await self._hand_out(Happened(row))
            self.at = max(self.at, page.scanned)
            if page.scanned < page.newest:
                continue
            await self._rest()
            if reader.token != (await self._reader()).token:
                return

    async def _hand_out(self, event: Happened) -> None:
        if event.sequence <= self.at:
            return
        self.at = event.sequence
        if event.ends is not None:
            self._presence_due.set()
        for each in list(self.subscribers):
            each.put(event)
        # Their turn: a burst must not fill queues that their streams could empty.
        await asyncio.sleep(0)

    async def _reader(self) -> Actor:
        """As `reader`, when there is one."""
        while True:
            if (found := self.reader()) is not None:
                return found
            self._woken.clear()
            await self._woken.wait()

    async def _rest(self) -> None:
        seconds = (LATE_SECONDS if self.hears else POLL_SECONDS) * random.uniform(0.9, 1.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _listen(self, signals: Signals) -> None:
        async for signal in signals:
            if signal.kind in {"presence", "back"}:
                self._presence_due.set()
            if signal.kind == "presence" or (signal.sequence is not None and signal.sequence <= self.at):
                continue
            self._woken.set()

    def _judge_all(self, token: str, error: VersoError) -> bool:
        return sum(self.judge(each, error) for each in self._having(token)) > 0

    def _note_checked(self, token: str) -> None:
        now = time.monotonic()
        for each in self._having(token):
            each.checked_at = now

    def _having(self, token: str) -> list[Subscription]:
        return [each for each in self.subscribers if each.actor.token == token]


class Hub:
    """The followers of this process and their subscribers."""

    def __init__(
        self,
        feed: Feed,
        live: Live | None,
        *,
        heartbeat: float,
        recheck: float,
        most_per_account: int,
        most: int,
    ) -> None:
        self._feed = feed
        self._live = live
        self._heartbeat = heartbeat
        self._recheck = recheck
        self._most_per_account = most_per_account
        self._most = most
        self._followers: dict[str, Follower] = {}
        self._accounts: dict[str, int] = {}
        self._checking: set[tuple[str, str]] = set()
        self._checks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._ticker: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.count = 0
        """Streams that are open."""

    def check_room(self, account: str) -> None:
        """Raise VersoError `too_many_streams` when an account, or this process, has as many as it may."""
        if self._accounts.get(account, 0) >= self._most_per_account:
            raise VersoError(
                "too_many_streams",
                f"Your account has {self._most_per_account} streams of events open here. End one, or poll.",
                limit=self._most_per_account,
            )
        if self.count >= self._most:
            raise VersoError(
                "too_many_streams",
                "This server has as many streams of events open as it may. Poll, or come back later.",
                limit=self._most,
            )

    @contextlib.contextmanager
    def subscribed(
        self,
        actor: Actor,
        *,
        project: str,
        wanted: EventFilter,
        after: int,
        newest: int,
        find_hunks: Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]] | None = None,
    ) -> Iterator[Subscription]:
        """A stream of a project's events after a number, for who has just been let in by the database.

        `project` is its id, `newest` the number of its newest event then. Raises VersoError
        `too_many_streams`.
        """
        self.check_room(actor.id)
        follower = self._followers.get(project)
        if follower is None or follower.has_ended:
            follower = self._followers[project] = Follower(self._feed, self._live, project=project, at=newest)
        if self._ticker is None:
            self._ticker = asyncio.create_task(self._tick(), context=contextvars.Context())
        subscription = Subscription(
            self._feed,
            follower,
            actor=actor,
            wanted=wanted,
            after=after,
            newest=newest,
            heartbeat=self._heartbeat,
            find_hunks=find_hunks,
        )
        follower.subscribers.add(subscription)
        follower.wake()
        self._accounts[actor.id] = self._accounts.get(actor.id, 0) + 1
        self.count += 1
        if self._stopping:
            subscription.end("server_stopping")
        try:
            yield subscription
        finally:
            self._leave(follower, subscription)

    def stop(self) -> None:
        """End every stream now: the server is told to stop, and waits for them."""
        self._stopping = True
        for follower in self._followers.values():
            for each in list(follower.subscribers):
                each.end("server_stopping")

    async def close(self) -> None:
        """End everything."""
        self.stop()
        for follower in list(self._followers.values()):
            await follower.close()
        for task in [*self._checks, *([self._ticker] if self._ticker else [])]:
            task.cancel()
            await asyncio.wait([task])

    def _leave(self, follower: Follower, subscription: Subscription) -> None:
        follower.subscribers.discard(subscription)
        account = subscription.actor.id
        self._accounts[account] -= 1
        if not self._accounts[account]:
            del self._accounts[account]
        self.count -= 1
        if not follower.subscribers and self._followers.get(follower.project) is follower:
            del self._followers[follower.project]
            closing = asyncio.create_task(follower.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _tick(self) -> None:
        """Every second: tokens that end, access that is to be looked at again, heartbeats."""
        while True:
            await asyncio.sleep(1)
            for follower in list(self._followers.values()):
                for each in list(follower.subscribers):
                    try:
                        self._look_after(follower, each)
                    except Exception:
                        # One stream's fault: without this task nobody's would end with its token.
                        log.exception("events.ticker", project=follower.project)

    def _look_after(self, follower: Follower, subscription: Subscription) -> None:
        now = time.monotonic()
        if subscription.actor.expires_at <= time.time():
            subscription.end("token_expired")
        elif now - subscription.checked_at > self._recheck * random.uniform(2 / 3, 0.9):
            self._check(follower, subscription.actor.token)
        subscription.tick(now)

    def _check(self, follower: Follower, token: str) -> None:
        key = follower.project, token
        if key in self._checking:
            return
        self._checking.add(key)

        async def check() -> None:
            async with self._room:
                await follower.check(token)

        def done(task: asyncio.Task[None]) -> None:
            self._checks.discard(task)
            self._checking.discard(key)
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("events.check", project=follower.project, exc_info=error)

        task = asyncio.create_task(check())
        self._checks.add(task)
        task.add_done_callback(done)
