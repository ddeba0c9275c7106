"""Broadcasts by POST: a batch, or one message. Private topics ask the policies, as a channel does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from app.local.caller import InvalidToken, caller_of
from app.local.realtime.frames import Broadcast, Malformed, parsed
from app.local.realtime.policies import Unavailable

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.local.caller import Caller
    from app.local.realtime.shared import Shared

ACCEPTED, UNAUTHORIZED, FORBIDDEN, UNPROCESSABLE, TOO_MANY = 202, 401, 403, 422, 429


class OverHttp:
    """The two routes below /realtime/v1/api/broadcast."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def batch(self, request: Request) -> Response:
        """POST {"messages": [{topic, event, payload, private?}]}; what may not be said is left out."""
        caller = self._caller(request)
        if caller is None:
            return JSONResponse({"message": "Unauthorized"}, UNAUTHORIZED)
        messages = _messages(await _body(request))
        if messages is None:
            return JSONResponse({"errors": {"messages": ["is invalid"]}}, UNPROCESSABLE)
        if not self._shared.messages.take(len(messages)):
            return JSONResponse(
                {"message": "Too many messages to broadcast, please reduce the batch size"}, TOO_MANY
            )
        for message in messages:
            private = message.get("private") is True
            body = json.dumps(message["payload"], separators=(",", ":"), ensure_ascii=False).encode()
            if len(body) > self._shared.limits.payload:
                return JSONResponse(
                    {"errors": {"messages": [{"payload": ["Payload size exceeds tenant limit"]}]}},
                    UNPROCESSABLE,
                )
            if not private or await self._may_write(caller, message["topic"]):
                self._say(message["topic"], Broadcast(message["event"], body), private=private)
        return Response(status_code=ACCEPTED)

    async def single(self, request: Request) -> Response:
        """POST a JSON or binary payload to /{topic}/events/{event}, with ?private=true for private topics."""
        caller = self._caller(request)
        if caller is None:
            return JSONResponse({"message": "Unauthorized"}, UNAUTHORIZED)
        topic, event = request.path_params["topic"], request.path_params["event"]
        private = request.query_params.get("private") == "true"
        is_json = not request.headers.get("content-type", "").startswith("application/octet-stream")
        body = await request.body()
        if is_json and await _body(request) is None:
            return JSONResponse({"errors": {"payload": ["can't be blank"]}}, UNPROCESSABLE)
        if len(body) > self._shared.limits.payload:
            return JSONResponse({"errors": {"payload": ["Payload size exceeds tenant limit"]}}, UNPROCESSABLE)
        if not self._shared.messages.take():
            return JSONResponse({"message": "You have exceeded your rate limit"}, TOO_MANY)
        if private and not await self._may_write(caller, topic):
            return JSONResponse({"message": "Unauthorized"}, FORBIDDEN)
        self._say(topic, Broadcast(event, body, is_json), private=private)
        return Response(status_code=ACCEPTED)

    def _caller(self, request: Request) -> Caller | None:
        try:
            return caller_of(request.headers, self._shared.keys)
        except InvalidToken:
            return None

    async def _may_write(self, caller: Caller, topic: str) -> bool:
        try:
            return await self._shared.policies.may_write(caller, topic, "broadcast")
        except Unavailable:
            return False

    def _say(self, name: str, message: Broadcast, *, private: bool) -> None:
        if (topic := self._shared.hub.find(name, private=private)) is not None:
            topic.broadcast(message)


async def _body(request: Request) -> Any:
    try:
        return parsed(await request.body())
    except Malformed:
        return None


def _messages(body: Any) -> list[dict[str, Any]] | None:
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list) or not messages:
        return None
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("payload"), dict):
            return None
        if not all(isinstance(message.get(name), str) and message[name] for name in ("topic", "event")):
            return None
    return messages
