"""A large body on its way to disk: hashed and written by threads in batches, with flat memory.

One batch is written while the next arrives, so at most two batches are held, whatever the body's size.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from app.local.storage import faults

if TYPE_CHECKING:
    from app.local.storage.files import Draft

BATCH_BYTES = 1024 * 1024


class Spool:
    """Bytes going into a draft, up to `limit`."""

    def __init__(self, draft: Draft, *, limit: int) -> None:
        self._draft = draft
        self._limit = limit
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._batch: list[bytes] = []
        self._batched = 0
        self._writing: asyncio.Future[None] | None = None
        self.size = 0

    async def add(self, chunks: list[bytes]) -> None:
        """Take chunks in.

        Raises
        ------
            StorageFault: 413 as soon as the limit is passed.
            OSError: the disk is full or broken.

        """
        for chunk in chunks:
            self._batch.append(chunk)
            self._batched += len(chunk)
        if self.size + self._batched > self._limit:
            raise faults.too_large()
        if self._batched >= BATCH_BYTES:
            await self._flush()

    async def keep(self, path: str) -> str:
        """Make the bytes the file at `path`, durably; return their md5 in hexadecimal."""
        await self._flush()
        await self._written()
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._draft.keep, path)
        await self._written()
        return self._md5.hexdigest()

    async def discard(self) -> None:
        """Delete what was written, after the thread that writes is done: it needs its descriptor."""
        if self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])
        await asyncio.get_running_loop().run_in_executor(None, self._draft.discard)

    async def _flush(self) -> None:
        await self._written()
        batch = self._batch
        self._batch = []
        self.size += self._batched
        self._batched = 0
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._write, batch)

    async def _written(self) -> None:
        if self._writing is not None:
            # Who is cancelled leaves; the thread goes on all the same, and `discard` waits for it.
            await asyncio.shield(self._writing)

    def _write(self, batch: list[bytes]) -> None:
        for chunk in batch:
            self._md5.update(chunk)
        self._draft.write(batch)
