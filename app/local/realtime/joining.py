"""The answer to a join: what it asks for, and every reason to refuse it."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg

from app.local.realtime.channel import Channel, Joining
from app.local.realtime.hub import PREFIX
from app.local.realtime.policies import NO_DATABASE, Unavailable
from app.local.realtime.tokens import Refused, caller_by_token

if TYPE_CHECKING:
    from app.local.caller import Caller
    from app.local.realtime.frames import Frame
    from app.local.realtime.shared import Shared
    from app.local.realtime.socket import Socket

TOO_MANY_CHANNELS = "ChannelRateLimitReached: Too many channels"
TOO_MANY_JOINS = "ClientJoinRateLimitReached: Too many joins per second"
UNREACHABLE = "UnableToConnectToProject: Realtime was unable to connect to the project database"
LISTEN_SECONDS = 5.0


class NotJoined(Exception):  # noqa: N818 - it says what is the matter
    """The join is refused; the message is the reason that is answered. `hang_up` ends the websocket, too."""

    def __init__(self, reason: str, *, hang_up: bool = False) -> None:
        super().__init__(reason)
        self.hang_up = hang_up


async def join(socket: Socket, shared: Shared, frame: Frame, *, channels: int) -> Channel:
    """Join a channel, of which the websocket has `channels` others. Raises NotJoined."""
    name = frame.topic.removeprefix(PREFIX)
    if not name:
        raise NotJoined("TopicNameRequired: You must provide a topic name")
    if not shared.joins.take():
        raise NotJoined(TOO_MANY_JOINS, hang_up=True)
    if channels >= shared.limits.channels:
        raise NotJoined(TOO_MANY_CHANNELS)
    payload = frame.payload if isinstance(frame.payload, dict) else {}
    asked = _asked(name, frame.join_ref or frame.ref, payload)
    try:
        caller, token = _caller(socket, shared, payload)
        channel = Channel(socket, shared, asked, caller, token)
        await channel.open()
    except Refused as refused:
        raise NotJoined(f"{refused.code}: {refused.sentence}") from None
    except Unavailable:
        raise NotJoined(UNREACHABLE) from None
    try:
        # A commit right after the answer is to be heard.
        async with asyncio.timeout(LISTEN_SECONDS):
            await shared.told.note(name)
    except (*NO_DATABASE, asyncpg.PostgresError, TimeoutError):
        channel.close()
        raise NotJoined(UNREACHABLE) from None
    except BaseException:
        # The client left meanwhile: nobody else knows of the channel yet.
        channel.close()
        raise
    return channel


def _caller(socket: Socket, shared: Shared, payload: dict[str, Any]) -> tuple[Caller, str]:
    """Who joins: the join's own token, else who connected."""
    for field in ("user_token", "access_token"):
        token = payload.get(field)
        if isinstance(token, str) and not token.startswith("sb_"):
            return caller_by_token(token, shared.keys), token
    return socket.caller, ""


def _asked(name: str, join_ref: str | None, payload: dict[str, Any]) -> Joining:
    """What is asked for; what isn't in the form that it should be counts as not given."""
    config = _object(payload.get("config"))
    broadcast, presence = _object(config.get("broadcast")), _object(config.get("presence"))
    changes = config.get("postgres_changes")
    key = presence.get("key")
    return Joining(
        name=name,
        join_ref=join_ref,
        private=_flag(config.get("private")),
        ack=_flag(broadcast.get("ack")),
        hears_itself=_flag(broadcast.get("self")),
        presence=_flag(presence.get("enabled")),
        key=str(key) if key not in {None, ""} else str(uuid.uuid4()),
        ready=_flag(broadcast.get("replication_ready")),
        postgres_changes=tuple(
            {**each, "id": number} for number, each in enumerate(_list(changes), 1) if isinstance(each, dict)
        ),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flag(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")
