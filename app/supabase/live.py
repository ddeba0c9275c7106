"""The signal that something happened in a project, over Supabase Realtime; the only user of `realtime`.

    live = Live(url, publishable_key)
    async with live.following(project_id, token) as signals:
        async for signal in signals:      # or: await asyncio.wait_for(anext(signals), 2)
            ...
    await live.close()

A signal is a hint and never the truth: it can be late, twice, out of order or missing, and there may be no
Realtime at all. Whoever follows reads the events themselves, and polls when nothing comes. So nothing here
ever raises towards a request.

The projects of a process share a websocket (LINE_CHANNELS on each: servers allow 100), each channel joined
with its own follower's token. The library's own reconnecting gives up after a while and keeps old tokens, so
it's switched off: a connection that ends is thrown away whole, and a new one joins what is wanted then.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

import structlog
from realtime import AsyncRealtimeClient, ChannelEvents, RealtimeSubscribeStates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from realtime import AsyncRealtimeChannel
    from realtime.types import BroadcastPayload

LINE_CHANNELS = 90
"""Projects on one websocket; hosted servers refuse the 101st channel."""
WAITING_SIGNALS = 256
"""Signals that wait for a follower; the oldest go first."""
LOOK_SECONDS = 1.0
"""How often a connection is looked at when nothing happens on it."""
FIRST_DELAY, LONGEST_DELAY = 0.5, 10.0
"""Seconds before a connection or a channel is tried again: doubled each time, up to the longest."""
OPEN_SECONDS = 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Signal:
    """One hint.

    `event`: events up to `sequence` were written. `presence`: who is there changed, as `payload` says.
    `lost`: broadcasts don't arrive for now. `back`: they do (again); what was written in between wasn't told.
    """

    kind: Literal["event", "presence", "lost", "back"]
    sequence: int | None = None
    payload: dict[str, Any] = field(default_factory=dict)


class Signals:
    """The hints about one project, to iterate over; it never ends by itself. Taken by one reader."""

    def __init__(self, topic: str, token: str, line: _Line) -> None:
        self.topic = topic
        self.token = token
        self.connected = False
        """Whether broadcasts arrive at this moment."""
        self._line = line
        self._waiting: deque[Signal] = deque(maxlen=WAITING_SIGNALS)
        self._woken = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Signal:
        while not self._waiting:
            self._woken.clear()
            await self._woken.wait()
        return self._waiting.popleft()

    def swap(self, token: str) -> None:
        """Go on with another token, of the same person or of another one who may follow the project."""
        self.token = token
        self._line.wake()

    def tell(self, signal: Signal) -> None:
        """Put a signal in; of several events that wait, the newest says all."""
        if signal.kind == "event" and self._waiting and self._waiting[-1].kind == "event":
            signal = max(signal, self._waiting.pop(), key=lambda each: each.sequence or 0)
        self._waiting.append(signal)
        self._woken.set()

    def tell_state(self, state: Literal["back", "lost"]) -> None:
        """Tell that broadcasts arrive, or no longer do; saying it twice says it once."""
        if self.connected != (state == "back"):
            self.connected = state == "back"
            self.tell(Signal(state))


class Live:
    """What the process follows. `url` is the Supabase project's, `key` its publishable key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url.rstrip('/')}/realtime/v1"
        self._key = key
        self._lines: list[_Line] = []

    @contextlib.asynccontextmanager
    async def following(self, project_id: str, token: str) -> AsyncIterator[Signals]:
        """Follow a project with a member's token. The first signal is `back` when its channel is joined.

        Nothing is raised: a token that may not follow, or no Realtime, is silence.
        """
        topic = f"project:{project_id}"
        line = self._line_for(topic)
        signals = line.add(Signals(topic, token, line))
        try:
            yield signals
        finally:
            line.remove(signals)
            if not line.followed and line in self._lines:
                self._lines.remove(line)
                await line.close()

    async def close(self) -> None:
        """Close every connection; followers hear nothing more."""
        lines, self._lines = self._lines, []
        for line in lines:
            await line.close()

    def _line_for(self, topic: str) -> _Line:
        for line in self._lines:
            if len(line.followed) < LINE_CHANNELS and topic not in line.followed:
                return line
        line = _Line(self._url, self._key)
        self._lines.append(line)
        return line


class _Line:
    """One websocket at a time, and the channels that are wanted on it: made, swapped and left by one task."""

    def __init__(self, url: str, key: str) -> None:
        self.followed: dict[str, Signals] = {}
        self._url = url
        self._key = key
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, signals: Signals) -> Signals:
        self.followed[signals.topic] = signals
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="realtime")
        self.wake()
        return signals

    def remove(self, signals: Signals) -> None:
        self.followed.pop(signals.topic, None)
        self.wake()

    def wake(self) -> None:
        self._woken.set()

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _keep(self) -> None:
        """Keep a connection: one after the other, with growing pauses between those that fail."""
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            connection = _Connection(self._url, self._key, self.wake)
            try:
                await connection.open()
                while connection.is_open:
                    await connection.match(self.followed)
                    await self._look()
            except Exception as error:  # noqa: BLE001 - whatever a library raises, hints are only missing
                log.info("realtime_unreachable", error=type(error).__name__)
            finally:
                await connection.close()
                for signals in self.followed.values():
                    signals.tell_state("lost")
            if time.monotonic() - began > LONGEST_DELAY:
                delay = FIRST_DELAY
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, LONGEST_DELAY)

    async def _look(self) -> None:
        """Wait until something is to be done, or a moment."""
        # Not wait_for: Python 3.11's loses a cancellation that comes together with the result.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._woken.wait()
        self._woken.clear()


@dataclass(slots=True)
class _Joined:
    """A channel, whom it tells, the token that it has, and when it may be made anew after it closed."""

    channel: AsyncRealtimeChannel
    signals: Signals
    token: str
    again_at: float
    delay: float


class _Connection:
    """One websocket of the library, from its opening to its end."""

    def __init__(self, url: str, key: str, wake: Any) -> None:
        # Without a token of its own: each channel's join carries its follower's.
        self._client = AsyncRealtimeClient(
            url, params={"apikey": key}, auto_reconnect=False, max_retries=1, timeout=OPEN_SECONDS
        )
        self._wake = wake
        self._joined: dict[str, _Joined] = {}
        self._joining: set[asyncio.Task[Any]] = set()

    @property
    def is_open(self) -> bool:
        # The client takes itself for connected for ever when its reading ends by an error of its own.
        reading: asyncio.Task[None] | None = getattr(self._client, "_listen_task", None)
        return self._client.is_connected and not (reading is not None and reading.done())

    async def open(self) -> None:
        await self._client.connect()

    async def match(self, followed: dict[str, Signals]) -> None:
        """Make the channels what is wanted now: leave, join, hand over new tokens."""
        for topic, joined in list(self._joined.items()):
            if followed.get(topic) is not joined.signals:
                del self._joined[topic]
                if not joined.channel.is_closed:
                    await joined.channel.unsubscribe()
        for topic, signals in list(followed.items()):
            if (known := self._joined.get(topic)) is None:
                self._join(signals, delay=FIRST_DELAY)
            elif known.token != signals.token:
                await self._hand_over(known, signals)
            elif known.channel.is_closed and time.monotonic() >= known.again_at:
                self._join(signals, delay=min(known.delay * 2, LONGEST_DELAY))

    def _join(self, signals: Signals, *, delay: float) -> None:
        channel = self._client.channel(
            signals.topic,
            {
                "config": {
                    "broadcast": {"ack": False, "self": False},
                    "presence": {"key": "", "enabled": False},
                    "private": True,
                }
            },
        )
        channel.join_push.update_payload({"access_token": signals.token})
        channel.on_broadcast("event", lambda message: signals.tell(_event(message)))
        channel.on_broadcast(
            "presence", lambda message: signals.tell(Signal("presence", payload=dict(message["payload"])))
        )
        joined = _Joined(channel, signals, signals.token, time.monotonic() + delay, delay)
        self._joined[signals.topic] = joined

        def told(state: RealtimeSubscribeStates, _error: Exception | None) -> None:
            joined.again_at = time.monotonic() + joined.delay
            signals.tell_state("back" if state is RealtimeSubscribeStates.SUBSCRIBED else "lost")
            self._wake()

        task = asyncio.create_task(channel.subscribe(told))
        self._joining.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._joining.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody reports it: the channel isn't joined, which is all

    async def _hand_over(self, joined: _Joined, signals: Signals) -> None:
        if joined.channel.is_closed:
            self._join(signals, delay=FIRST_DELAY)
            return
        joined.token = signals.token
        # A channel that is refused just now is joined again by the library, with this.
        joined.channel.join_push.update_payload({"access_token": signals.token})
        if joined.channel.is_joined:
            await joined.channel.push(ChannelEvents.access_token, {"access_token": signals.token})

    async def close(self) -> None:
        """Close the socket and end every timer that the library has on it."""
        for task in list(self._joining):
            task.cancel()
        with contextlib.suppress(Exception):
            await self._client.close()
        for channel in self._client.get_channels():
            channel.rejoin_timer.reset()
            channel.join_push.destroy()
            for push in list(channel.messages_waiting_for_ack.values()):
                push.destroy()


def _event(message: BroadcastPayload) -> Signal:
    sequence = message["payload"].get("sequence")
    return Signal("event", sequence=sequence if isinstance(sequence, int) else None)
