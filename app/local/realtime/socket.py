"""One websocket: reads its frames in order, keeps its channels, and writes what they are told.

Nobody waits for a client: what it is told is queued, and a client that leaves too much there is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect

from app.local.realtime.channel import Stop
from app.local.realtime.frames import Encoded, Frame, Malformed, Version
from app.local.realtime.hub import PREFIX
from app.local.realtime.joining import NotJoined, join

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from app.local.caller import Caller
    from app.local.realtime.channel import Channel
    from app.local.realtime.shared import Shared

NORMAL, TOO_SLOW = 1000, 1013
CLOSE_SECONDS = 1.0
GONE = (WebSocketDisconnect, TimeoutError)
_log = logging.getLogger(__name__)


class Socket:
    """A connected client. `caller` is who connected; each channel may have a token of its own."""

    def __init__(self, websocket: WebSocket, shared: Shared, version: Version, caller: Caller) -> None:
        self.version = version
        self.caller = caller
        self._websocket = websocket
        self._shared = shared
        self._channels: dict[str, Channel] = {}
        self._out: deque[Encoded] = deque()
        self._out_bytes = 0
        self._woken = asyncio.Event()
        self._ending: int | None = None
        self._cut_off = asyncio.Event()

    async def run(self) -> None:
        """Serve the client until either side ends."""
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._write())
        cutting = asyncio.create_task(self._cut_off.wait())
        tasks = (reading, writing, cutting)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(ended, GONE):
                    _log.error("A websocket ended by a fault of this server", exc_info=ended)
            for channel in list(self._channels.values()):
                channel.close()
            self._channels.clear()
            # A client that doesn't read doesn't take the goodbye either.
            with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._websocket.close(self._ending or NORMAL)

    def send(self, encoded: Encoded) -> None:
        """Put a frame into the queue; one that was given up takes no more."""
        if self._cut_off.is_set():
            return
        self._out.append(encoded)
        self._out_bytes += len(encoded)
        if self._out_bytes > self._shared.limits.waiting:
            self._ending = TOO_SLOW
            self._cut_off.set()
        self._woken.set()

    def reply(self, frame: Frame, status: str, response: Any) -> None:
        """Answer a frame."""
        payload = {"status": status, "response": response}
        self.send(self.version.encode(Frame(frame.topic, "phx_reply", payload, frame.ref, frame.join_ref)))

    def end_channel(self, channel: Channel) -> None:
        """Close a channel and say so."""
        topic = PREFIX + channel.asked.name
        if self._channels.get(topic) is channel:
            del self._channels[topic]
        channel.close()
        ref = channel.asked.join_ref
        self.send(self.version.encode(Frame(topic, "phx_close", {}, ref, ref)))

    async def _read(self) -> None:
        while True:
            async with asyncio.timeout(self._shared.limits.idle_seconds):
                message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            try:
                frame = self.version.decode(text if text is not None else message["bytes"])
            except Malformed:
                continue
            await self._handle(frame)

    async def _handle(self, frame: Frame) -> None:
        if frame.topic == "phoenix":
            if frame.event == "heartbeat":
                self.reply(frame, "ok", {})
            return
        channel = self._channels.get(frame.topic)
        if frame.event == "phx_join":
            await self._join(frame)
        elif frame.event == "phx_leave":
            self.reply(frame, "ok", {})
            # A late goodbye to an earlier join of the topic leaves the present one alone.
            if channel is not None and frame.join_ref in {None, channel.asked.join_ref}:
                self.end_channel(channel)
        elif channel is None:
            self.reply(frame, "error", {"reason": "unmatched topic"})
        else:
            try:
                await channel.handle(frame)
            except Stop as stop:
                channel.stop(str(stop))

    async def _join(self, frame: Frame) -> None:
        if not frame.topic.startswith(PREFIX):
            self.reply(frame, "error", {"reason": "unmatched topic"})
            return
        if (before := self._channels.get(frame.topic)) is not None:
            # A client that joins twice means the later one.
            self.end_channel(before)
        answered = Frame(frame.topic, frame.event, None, frame.ref, frame.join_ref or frame.ref)
        try:
            channel = await join(self, self._shared, frame, channels=len(self._channels))
        except NotJoined as refused:
            self.reply(answered, "error", {"reason": str(refused)})
            if refused.hang_up:
                self._ending = NORMAL
                self._woken.set()
            return
        self._channels[frame.topic] = channel
        self.reply(answered, "ok", {"postgres_changes": list(channel.asked.postgres_changes)})
        channel.began()

    async def _write(self) -> None:
        while True:
            while self._out:
                encoded = self._out.popleft()
                self._out_bytes -= len(encoded)
                if isinstance(encoded, str):
                    await self._websocket.send_text(encoded)
                else:
                    await self._websocket.send_bytes(encoded)
            if self._ending is not None:
                return
            self._woken.clear()
            await self._woken.wait()
