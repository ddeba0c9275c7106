"""What a process holds of contents, and when it lets go of it.

Nothing here is ever given to anybody before the database has said where the content's objects are, and of an
erased content it says that there are none. But bytes that were erased must not lie about either: the process
that erases drops them at once, one that is asked for them drops them then, and every other within a day.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from app.flows.attribute import Memory
    from app.flows.diff_cache import DiffCache
    from app.flows.git_cache import GitCache
    from app.supabase.blobs import Blobs

log = structlog.get_logger(__name__)

DAY = 24 * 3600.0
_HOUR = 3600.0


class Forgetter:
    """Everything in this process that holds bytes of documents, or what was made of them."""

    def __init__(
        self,
        blobs: Blobs,
        diffs: DiffCache,
        memory: Memory,
        repositories: GitCache,
        *,
        pause: float = _HOUR,
    ) -> None:
        self._blobs = blobs
        self._diffs = diffs
        self._memory = memory
        self._repositories = repositories
        self._pause = pause

    async def content(self, project: str, sha256: str) -> None:
        """Drop a content, and what may have been made of it."""
        self._memory.forget()
        self._diffs.clear()
        await self._blobs.forget((project, sha256))
        await asyncio.to_thread(self._repositories.drop, project)

    async def old(self, *, seconds: float) -> None:
        """Drop what has been here for longer than that, and everything whose age isn't known."""
        self._memory.forget()
        self._diffs.clear()
        await self._blobs.forget_old(seconds)
        await asyncio.to_thread(self._repositories.expire, seconds)

    async def keep_forgetting(self) -> None:
        """Until it is cancelled: nothing stays for longer than about a day."""
        while True:
            await asyncio.sleep(self._pause)
            try:
                await self.old(seconds=DAY - _HOUR)
            except Exception:
                # Nobody awaits this: a disk that fails once must not end it for good.
                log.exception("forget.fault")
