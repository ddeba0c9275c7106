"""The same work on several things at once: as soon as one fails nobody works on the others any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

S = TypeVar("S")
T = TypeVar("T")


async def side_by_side(
    work: Callable[[S], Awaitable[T]], things: Iterable[S], *, most: int | None = None
) -> list[T]:
    """What work gives of each thing, in their order, `most` of them at a time.

    The first failure cancels the others, waits for their end, and is raised as it is, not in a group.
    """
    given = list(things)
    room = asyncio.Semaphore(len(given) if most is None else most)

    async def one(thing: S) -> T:
        await room.acquire()
        done = await work(thing)
        room.release()  # not when it failed: nobody begins in its place
        return done

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(each)) for each in given]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
