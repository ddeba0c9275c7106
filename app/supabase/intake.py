"""Bytes as they arrive: counted, hashed and kept, in memory while they are few and in a file beyond.

A gigabyte passes through about two megabytes of memory: pieces are gathered into 1 MiB batches, and
each batch is hashed and written in a thread (measured: event loop p99 42 ms instead of 269 ms inline).
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from app.errors import VersoError
from app.supabase.cache import CHUNK, IN_MEMORY_SIZE
from app.supabase.spool import PREFIX
from app.supabase.upload import Upload

if TYPE_CHECKING:
    from typing import Self


class LimitExceededError(Exception):
    """More bytes came than are allowed; the message is the limit."""


class Intake:
    """Takes bytes in until `finish`; `close` removes the file unless `finish` has handed it over.

    `limit` is the most bytes taken in; one more raises LimitExceededError. Up to `in_memory` bytes never
    touch the disk. A full disk raises VersoError `disk_full`.
    """

    def __init__(self, directory: Path | None, *, limit: int, in_memory: int = IN_MEMORY_SIZE) -> None:
        self._directory = directory
        self._limit = limit
        self._in_memory = in_memory
        self._buffer = bytearray()
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._closed = False
        # A thread goes on when whoever waits for it is cancelled: what it made after `close` would stay.
        self._keeping = threading.Lock()
        self.size = 0

    async def write(self, chunk: bytes) -> None:
        """Take in the next bytes."""
        self.size += len(chunk)
        if self.size > self._limit:
            raise LimitExceededError(self._limit)
        self._buffer += chunk
        if len(self._buffer) >= CHUNK or (
            self._file is None and self.size > self._in_memory and self._in_memory
        ):
            await self._flush()

    async def finish(self) -> Upload:
        """What came in. Its file, if there is one, is the caller's to remove from now on."""
        if self._file is None and self.size <= self._in_memory:
            data = bytes(self._buffer)
            self._sha256.update(data)
            self._md5.update(data)
            return Upload(
                sha256=self._sha256.hexdigest(), md5=self._md5.hexdigest(), size=self.size, data=data
            )
        await self._flush()
        if self._file is not None:
            await asyncio.to_thread(self._file.close)
        path, self._path, self._file = self._path, None, None
        return Upload(sha256=self._sha256.hexdigest(), md5=self._md5.hexdigest(), size=self.size, path=path)

    def close(self) -> None:
        """Remove what finish has not handed over."""
        with self._keeping:
            self._closed = True
            if self._file is not None:
                self._file.close()
            if self._path is not None:
                self._path.unlink(missing_ok=True)
                self._path = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _flush(self) -> None:
        batch, self._buffer = self._buffer, bytearray()
        try:
            await asyncio.to_thread(self._keep, batch)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise VersoError(
                    "disk_full",
                    "This server's disk is full. Nothing was changed; try again later.",
                ) from error
            raise

    def _keep(self, batch: bytearray) -> None:
        with self._keeping:
            if self._closed:
                return
            self._sha256.update(batch)
            self._md5.update(batch)
            if self._file is None:
                descriptor, name = tempfile.mkstemp(dir=self._directory, prefix=PREFIX)
                self._path = Path(name)
                self._file = os.fdopen(descriptor, "wb", buffering=0)
            self._file.write(batch)
