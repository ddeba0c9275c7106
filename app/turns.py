"""Turns at what takes long: so many at one time, and never all of them for one account."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ASKED_BY: ContextVar[str | None] = ContextVar("asked_by", default=None)
"""For which account this task works, as far as that is known."""


class Turns:
    """So many turns at one time, in the order of those who wait.

    One account has all but one of them at most, where there are several: else one with much that takes long
    would keep everybody else waiting.
    """

    def __init__(self, at_once: int) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._most_of_one = max(1, at_once - 1)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def are_taken(self) -> bool:
        """Whether there is none just now, whoever asks."""
        return self._turns.locked()

    @asynccontextmanager
    async def one(self, *, wait_s: float | None = None) -> AsyncIterator[None]:
        """Have a turn. Raises TimeoutError when there is none within `wait_s` seconds."""
        whose = ASKED_BY.get()
        async with AsyncExitStack() as held:
            async with asyncio.timeout(wait_s):
                if whose is not None:
                    share = self._shares.setdefault(whose, asyncio.Semaphore(self._most_of_one))
                    await held.enter_async_context(share)
                await held.enter_async_context(self._turns)
            yield
