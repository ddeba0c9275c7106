"""Work on what requests leave behind, after they were answered: none waits for it, and none fails by it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars

GRACE_S = 2.0
"""How long the end of the process waits for what is pending."""


class Afterwards:
    """Works on what was noted, again and again. Whoever extends this keeps it, and says how in `work`."""

    def __init__(self) -> None:
        self._noted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    async def rest(self) -> None:
        """Wait while more is gathered."""
        raise NotImplementedError

    async def work(self) -> None:
        """Do all that was noted by now. Raises nothing: nobody awaits it, and the next must still be done."""
        raise NotImplementedError

    async def close(self) -> None:
        """Finish what is pending, within GRACE_S, and stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), GRACE_S)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _wake(self) -> None:
        """Say that something was noted."""
        self._idle.clear()
        self._noted.set()
        if self._task is None:
            # A context of its own: what is bound to the request that came first (ids, counts) is not ours.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def _run(self) -> None:
        while True:
            await self._noted.wait()
            await self.rest()
            self._noted.clear()
            await self.work()
            if not self._noted.is_set():
                self._idle.set()
