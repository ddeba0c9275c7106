"""A websocket of the test's own, frame by frame, in either serialisation: what the official clients hide."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import websockets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stack import Stack

SECONDS = 20.0


class Talk:
    """One websocket. Frames are (join_ref, ref, topic, event, payload), whichever serialisation carries them."""

    def __init__(self, socket: Any, vsn: str) -> None:
        self.socket = socket
        self.vsn = vsn
        self._ref = 0

    async def say(self, topic: str, event: str, payload: Any, *, join_ref: str | None = None) -> str:
        self._ref += 1
        ref = str(self._ref)
        join_ref = ref if event == "phx_join" else join_ref
        if self.vsn.startswith("2"):
            await self.socket.send(json.dumps([join_ref, ref, topic, event, payload]))
        else:
            frame = {"topic": topic, "event": event, "payload": payload, "ref": ref, "join_ref": join_ref}
            await self.socket.send(json.dumps(frame))
        return ref

    async def hear(self, seconds: float = SECONDS) -> tuple[Any, ...]:
        raw = await asyncio.wait_for(self.socket.recv(), seconds)
        if isinstance(raw, bytes):
            topic, event, meta = raw[1], raw[2], raw[3]
            at = 5 + topic + event + meta
            payload: dict[str, Any] = {
                "event": raw[5 + topic : 5 + topic + event].decode(),
                "payload": json.loads(raw[at:]) if raw[4] else raw[at:],
                "type": "broadcast",
            }
            assert raw[0] == 4
            if meta:
                payload["meta"] = json.loads(raw[5 + topic + event : at])
            return (None, None, raw[5 : 5 + topic].decode(), "broadcast", payload)
        frame = json.loads(raw)
        if isinstance(frame, list):
            assert self.vsn.startswith("2")
            return tuple(frame)
        assert set(frame) == {"topic", "event", "payload", "ref"}
        return (None, frame["ref"], frame["topic"], frame["event"], frame["payload"])

    async def answer(self, ref: str) -> dict[str, Any]:
        """The answer to what was said with this ref; anything else that comes first is dropped."""
        while True:
            _, heard, _, event, payload = await self.hear()
            if (heard, event) == (ref, "phx_reply"):
                return dict(payload)

    async def join(self, name: str, token: str | None = None, **config: Any) -> dict[str, Any]:
        payload = {"config": config} | ({"access_token": token} if token else {})
        return await self.answer(await self.say(f"realtime:{name}", "phx_join", payload))

    async def silence(self, seconds: float = 0.3) -> None:
        with contextlib.suppress(TimeoutError):
            raise AssertionError(await self.hear(seconds))


@contextlib.asynccontextmanager
async def talking(stack: Stack, vsn: str = "1.0.0", *, key: str | None = None) -> AsyncIterator[Talk]:
    query = urlencode({"apikey": key or stack.publishable_key, "vsn": vsn})
    url = f"{stack.supabase_url.replace('http', 'ws', 1)}/realtime/v1/websocket?{query}"
    async with websockets.connect(url, open_timeout=10, max_size=None) as socket:
        yield Talk(socket, vsn)
