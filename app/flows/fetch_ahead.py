"""Contents one after the other, a few of them fetched before their turn."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from app.supabase.cache import Content

T = TypeVar("T")


async def fetch_ahead(
    wanted: AsyncIterator[T], fetch: Callable[[T], Coroutine[Any, Any, Content]], *, ahead: int
) -> AsyncIterator[tuple[T, Content]]:
    """Each wanted thing with its content, in order; the caller closes it. At most `ahead` wait at a time.

    Raises what `fetch` raises, at its turn. Whatever waits when the caller stops is closed.
    """
    waiting: deque[tuple[T, asyncio.Task[Content]]] = deque()
    try:
        async for each in wanted:
            waiting.append((each, asyncio.create_task(fetch(each))))
            if len(waiting) > ahead:
                first, task = waiting.popleft()
                yield first, await task
        while waiting:
            first, task = waiting.popleft()
            yield first, await task
    finally:
        for _, task in waiting:
            task.add_done_callback(_discard)
            task.cancel()


def _discard(task: asyncio.Task[Content]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
