"""What Verso's feed is measured against: a bare stream of Litestar, a queue for each client, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, get, post
from litestar.response import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def create_app() -> Litestar:
    """`GET /events` goes on for ever; `POST /events` gives its body to everybody."""
    queues: set[asyncio.Queue[bytes]] = set()

    async def frames(queue: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
        yield b"event: ready\n\n"
        while True:
            yield await queue.get()

    @get("/events")
    async def listen() -> Stream:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        queues.add(queue)
        return Stream(frames(queue), media_type="text/event-stream")

    @post("/events", status_code=204)
    async def tell(request: Request[Any, Any, Any]) -> None:
        body = await request.body()
        for queue in queues:
            queue.put_nowait(body)

    return Litestar([listen, tell], logging_config=None, openapi_config=None)
