"""The server: its routes below /realtime/v1, and the task that listens to the database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute

from app.local.realtime.database import Told
from app.local.realtime.frames import version
from app.local.realtime.hub import Hub
from app.local.realtime.limits import Limits, Rate
from app.local.realtime.over_http import OverHttp
from app.local.realtime.policies import Policies
from app.local.realtime.shared import Shared
from app.local.realtime.socket import Socket
from app.local.realtime.tokens import Refused, caller_by_key

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from app.local.database import Database
    from app.local.keys import Keys

UNAUTHORIZED, FORBIDDEN, TOO_MANY = 401, 403, 429


class Realtime:
    """One server on one database. `start` and `stop` belong to its event loop."""

    def __init__(self, database: Database, keys: Keys, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        hub = Hub()
        self._shared = Shared(
            keys=keys,
            hub=hub,
            policies=Policies(database),
            told=Told(database, hub, payload_limit=limits.payload),
            limits=limits,
            joins=Rate(limits.joins),
            messages=Rate(limits.messages),
        )
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen to the database."""
        self._listening = asyncio.create_task(self._shared.told.run(), name="realtime-database")

    async def stop(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    def routes(self) -> list[BaseRoute]:
        """The routes below /realtime/v1."""
        over_http = OverHttp(self._shared)
        return [
            WebSocketRoute("/websocket", self._serve),
            Route("/api/broadcast", over_http.batch, methods=["POST"]),
            Route("/api/broadcast/{topic:path}/events/{event}", over_http.single, methods=["POST"]),
        ]

    async def _serve(self, websocket: WebSocket) -> None:
        key = websocket.headers.get("x-api-key") or websocket.query_params.get("apikey")
        try:
            caller = caller_by_key(key, self._shared.keys)
        except Refused as refused:
            await websocket.send_denial_response(JSONResponse({"error": refused.sentence}, UNAUTHORIZED))
            return
        if len(self._shared.sockets) >= self._shared.limits.connections:
            await websocket.send_denial_response(
                JSONResponse({"error": "Too many connected users"}, TOO_MANY)
            )
            return
        wire = version(websocket.query_params.get("vsn"))
        if wire is None:
            await websocket.send_denial_response(JSONResponse({"error": "Unknown vsn"}, FORBIDDEN))
            return
        await websocket.accept()
        socket = Socket(websocket, self._shared, wire, caller)
        self._shared.sockets.add(socket)
        try:
            await socket.run()
        finally:
            self._shared.sockets.discard(socket)
