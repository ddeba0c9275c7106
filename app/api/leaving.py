"""Work that ends when the client goes: nobody computes for someone who has left."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from litestar import Request

T = TypeVar("T")


async def while_connected(request: Request[Any, Any, Any], work: Coroutine[Any, Any, T]) -> T:
    """Do the work; when the client disconnects first, cancel it (which kills a busy text worker).

    The request's body must have been read, or be none. Raises what the work raises, and VersoError
    `client_left`, which nobody gets.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise VersoError("client_left", "The client left before the answer was ready.")
    finally:
        for each in (task, gone):
            each.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await gone
        if not task.done():
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _gone(request: Request[Any, Any, Any]) -> None:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
