"""One joined channel of one websocket: what its client may say on it, and what it is told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.local.realtime.frames import Broadcast, Encoded, Frame
from app.local.realtime.hub import PREFIX
from app.local.realtime.limits import Rate
from app.local.realtime.policies import Unavailable
from app.local.realtime.tokens import Refused, caller_by_token, expired, seconds_left

if TYPE_CHECKING:
    from app.local.caller import Caller
    from app.local.realtime.hub import Topic
    from app.local.realtime.shared import Shared
    from app.local.realtime.socket import Socket

CONFIRM_SECONDS = 300.0


class Stop(Exception):  # noqa: N818 - it says what is to be done
    """The channel ends; the message is told as a system message first."""


class _Ended(Exception):  # noqa: N818 - it says what is the matter
    """The channel ended while PostgreSQL was asked about it."""


@dataclass(frozen=True, slots=True)
class Joining:
    """What a join asked for."""

    name: str
    join_ref: str | None
    private: bool = False
    ack: bool = False
    hears_itself: bool = False
    presence: bool = False
    key: str = ""
    ready: bool = False
    postgres_changes: tuple[dict[str, Any], ...] = ()


class Channel:
    """A joined channel. It ends by leaving, by its token's end, or with its websocket."""

    def __init__(self, socket: Socket, shared: Shared, asked: Joining, caller: Caller, token: str) -> None:
        self.version = socket.version
        self.asked = asked
        self.reads_broadcasts = True
        # Public topics have no policies; private presence is asked for when a client wants it.
        self.reads_presence = not asked.private
        self._presence_on = asked.presence
        self._socket = socket
        self._shared = shared
        self._caller = caller
        self._token = token
        self._may_write: dict[str, bool] = {}
        self._presence_calls = Rate(shared.limits.presence_calls, shared.limits.presence_seconds)
        self._tracked: dict[str, Any] | None = None
        self._confirming: asyncio.TimerHandle | None = None
        self._topic: Topic | None = None

    async def open(self) -> None:
        """Ask the policies, and listen. Raises Refused for a topic that may not be read, Unavailable."""
        await self._ask_policies()
        self._topic = self._shared.hub.join(self.asked.name, self, private=self.asked.private)

    def began(self) -> None:
        """Say what a client is told right after the answer to its join, and watch over its token."""
        self._confirm_later()
        if self.asked.presence and self.reads_presence:
            self._push("presence_state", self._listened().presence.state())
        if self.asked.ready:
            self._system("system", "Replication connection established", status="ok")
        if self.asked.postgres_changes:
            self._system("postgres_changes", "The embedded Realtime doesn't serve Postgres Changes")

    def close(self) -> None:
        """Listen no more; says nothing to the client."""
        if self._confirming is not None:
            self._confirming.cancel()
        self._topic = None
        self._shared.hub.leave(self.asked.name, self, private=self.asked.private)

    def stop(self, sentence: str) -> None:
        """End the channel from this side, once: a system message says why, then it's closed."""
        if self._topic is None:
            return
        self._system("system", sentence)
        self._socket.end_channel(self)

    def deliver(self, encoded: Encoded) -> None:
        """Put a frame into the way to the client."""
        self._socket.send(encoded)

    async def handle(self, frame: Frame) -> None:
        """Do what the client says. Raises Stop when the channel must end."""
        try:
            if frame.event == "broadcast":
                await self._broadcast(frame)
            elif frame.event == "presence" and isinstance(frame.payload, dict):
                await self._presence(frame)
            elif frame.event == "access_token" and isinstance(frame.payload, dict):
                await self._take_token(frame.payload.get("access_token"))
        except Unavailable as error:
            raise Stop(str(error)) from None
        except _Ended:
            return

    async def _broadcast(self, frame: Frame) -> None:
        message = frame.payload
        if not isinstance(message, (Broadcast, dict)) or not await self._allowed("broadcast"):
            return  # nobody is told, neither the sender
        if not self._shared.messages.take():
            raise Stop("Too many messages per second")
        size = len(message.body) if isinstance(message, Broadcast) else len(json.dumps(message))
        if size > self._shared.limits.payload:
            if self.asked.ack:
                self._reply(frame, "error", "payload_size_exceeded")
            return
        sender = None if self.asked.hears_itself else self
        self._listened().broadcast(message, sender=sender)
        if self.asked.ack:
            self._reply(frame, "ok", {})

    async def _presence(self, frame: Frame) -> None:
        if not isinstance(frame.payload.get("event"), str):
            self._reply(frame, "ok", {})
            return
        if not self._presence_calls.take():
            raise Stop("Client presence rate limit exceeded")
        event = frame.payload["event"].lower()
        if event == "track":
            await self._track(frame)
        elif event == "untrack":
            self._tracked = None
            self._listened().untrack(self)
            self._reply(frame, "ok", {})
        else:
            self._reply(frame, "error", {})

    async def _track(self, frame: Frame) -> None:
        told = frame.payload.get("payload", {})
        if not await self._allowed("presence"):
            self._reply(frame, "error", {})
            return
        if not isinstance(told, dict):
            self._reply(frame, "error", {"reason": "Presence track payload must be a map"})
            return
        if len(json.dumps(told)) > self._shared.limits.payload:
            raise Stop("Track message size exceeded")
        if self.asked.private and not self._presence_on:
            # The first track switches presence on: from here on it's told, to whom may read it.
            self.reads_presence = "presence" in await self._readable(("presence",))
            self._presence_on = True
        if told != self._tracked:
            self._tracked = told
            self._listened().track(self, self.asked.key, told)
        self._reply(frame, "ok", {})

    async def _take_token(self, token: Any) -> None:
        """Go on with a new token: everything is asked again under it."""
        if not isinstance(token, str) or token.startswith("sb_") or token == self._token:
            return
        try:
            caller = caller_by_token(token, self._shared.keys)
        except Refused as refused:
            raise Stop(refused.sentence) from None
        before = self.reads_broadcasts, self.reads_presence
        self._caller, self._token = caller, token
        self._may_write.clear()
        try:
            await self._ask_policies()
        except Refused as refused:
            raise Stop(refused.sentence) from None
        after = self.reads_broadcasts, self.reads_presence
        if any(had and not has for had, has in zip(before, after, strict=True)):
            raise Stop(f"You no longer have permission to read from this Channel topic: {self.asked.name}")
        self._listened()
        self._confirm_later()

    async def _ask_policies(self) -> None:
        if not self.asked.private:
            return
        readable = await self._readable(("broadcast", "presence") if self._presence_on else ("broadcast",))
        if not readable:
            raise Refused(
                "Unauthorized",
                f"You do not have permissions to read from this Channel topic: {self.asked.name}",
            )
        self.reads_broadcasts = "broadcast" in readable
        self.reads_presence = "presence" in readable

    async def _readable(self, extensions: tuple[str, ...]) -> frozenset[str]:
        return await self._shared.policies.readable(self._caller, self.asked.name, extensions)

    async def _allowed(self, extension: str) -> bool:
        """Whether the client may write; asked once for each token."""
        if not self.asked.private:
            return True
        if extension not in self._may_write:
            self._may_write[extension] = await self._shared.policies.may_write(
                self._caller, self.asked.name, extension
            )
        return self._may_write[extension]

    def _confirm_later(self) -> None:
        """Look at the token again at its end, or in five minutes."""
        if self._confirming is not None:
            self._confirming.cancel()
        after = min(CONFIRM_SECONDS, max(0.0, seconds_left(self._caller)))
        self._confirming = asyncio.get_running_loop().call_later(after, self._confirm)

    def _confirm(self) -> None:
        if seconds_left(self._caller) > 0:
            self._confirm_later()
        else:
            self.stop(expired(float(self._caller.claims["exp"])))

    def _listened(self) -> Topic:
        if self._topic is None:
            raise _Ended
        return self._topic

    def _push(self, event: str, payload: Any) -> None:
        frame = Frame(PREFIX + self.asked.name, event, payload, None, self.asked.join_ref)
        self.deliver(self.version.encode(frame))

    def _system(self, extension: str, sentence: str, *, status: str = "error") -> None:
        told = {"extension": extension, "status": status, "message": sentence, "channel": self.asked.name}
        self._push("system", told)

    def _reply(self, frame: Frame, status: str, response: Any) -> None:
        self._socket.reply(frame, status, response)
