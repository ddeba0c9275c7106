"""Verified bytes of blobs close at hand: small ones in memory, larger ones on disk, both bounded.

Blobs are immutable, so a cached one is never stale. Keys hold the project as well as the hash: who may
read a content in one project has no right to it by its hash in another. A file that was there before
this process started, or that somebody has touched since, is hashed before its next use; nothing on disk is
believed by its name.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from app.supabase.own_directory import OwnDirectory
from app.supabase.spool import clear_old

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

IN_MEMORY_SIZE = 256 * 1024
"""Blobs up to this many bytes are kept in memory."""
MEMORY_LIMIT = 32 * 1024 * 1024
CHUNK = 1024 * 1024

Key = tuple[str, str]
"""Project id and SHA-256."""
Mark = tuple[int, int, int]
"""A file's number, size and time of the last write."""


class Content:
    """Bytes to be read, in memory or in an open file; close it when done.

    An open file stays readable when the cache evicts it meanwhile. It is given back when nobody holds the
    content any more: who was cancelled while it was opened never got it, and couldn't close it.
    """

    def __init__(
        self, *, size: int, data: bytes | None = None, file: int | None = None, mark: Mark | None = None
    ) -> None:
        self.size = size
        self.data = data
        self._file = file
        self._mark = mark
        """Of the file when it was hashed."""

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes [start, stop) in pieces of at most 1 MiB; disk reads leave the event loop."""
        if self.data is not None:
            yield self.data[start:stop]
            return
        while start < stop:
            piece = await asyncio.to_thread(os.pread, self._descriptor(), min(CHUNK, stop - start), start)
            if not piece or _mark(self._descriptor()) != self._mark:
                raise OSError("A cached blob was written to since it was hashed.")
            start += len(piece)
            yield piece

    async def read(self) -> bytes:
        """All bytes."""
        return b"".join([chunk async for chunk in self.chunks(0, self.size)])

    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError("This content is closed.")
        return self._file

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BlobCache:
    """A bounded cache of verified blobs in `directory` (a temporary one of its own unless given).

    `limit` bounds the bytes on disk; the least recently used go first. Files from earlier runs in a
    given directory count and are used once their hash has been checked. What is counted is for the event loop
    alone; only work on the files themselves leaves it.
    """

    def __init__(self, directory: Path | None, *, limit: int) -> None:
        self._home = OwnDirectory("verso-cache-", given=directory)
        self.directory = self._home.path
        self.made_directory()
        self._limit = limit
        self._memory: OrderedDict[Key, bytes] = OrderedDict()
        self._memory_size = 0
        self._since: dict[Key, float] = {}
        self._files: OrderedDict[Key, int] = OrderedDict()
        self._verified: dict[Key, Mark] = {}
        self._size = 0
        # What killed processes were fetching: nothing else would count it.
        clear_old(self.directory, longest_use=0)
        for _, path, size in sorted(_found(self.directory)):
            self._count((path.parent.name, path.name), size)
        self._evict()

    def made_directory(self) -> Path:
        """The directory, made anew if somebody removed it: a place for what shall be added."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.directory

    async def get(self, key: Key) -> Content | None:
        """The blob's bytes, or None when they aren't here."""
        data = self._memory.get(key)
        if data is not None:
            self._memory.move_to_end(key)
            return Content(size=len(data), data=data)
        if key not in self._files:
            return None
        content = await asyncio.to_thread(self._open, key)
        if content is None:
            self._forget(key)
        elif key in self._files:
            self._files.move_to_end(key)
        return content

    def add_bytes(self, key: Key, data: bytes) -> Content:
        """Keep verified bytes in memory."""
        if key not in self._memory:
            self._memory[key] = data
            self._since[key] = time.time()
            self._memory_size += len(data)
            while self._memory_size > MEMORY_LIMIT:
                self._drop(next(iter(self._memory)))
        return Content(size=len(data), data=data)

    def add_file(self, key: Key, path: Path, *, size: int) -> Content:
        """Take in a file of verified bytes; it is the cache's from now on."""
        descriptor = os.open(path, os.O_RDONLY)
        if size > self._limit:
            path.unlink()  # too large to keep: it lives as long as its reader
            return Content(size=size, file=descriptor, mark=_mark(descriptor))
        target = self._path(key)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        path.replace(target)
        os.utime(descriptor)  # from here on it is old or new
        mark = self._verified[key] = _mark(descriptor)
        self._count(key, size)
        self._evict()
        return Content(size=size, file=descriptor, mark=mark)

    async def forget(self, key: Key) -> None:
        """Drop a blob; whoever reads it now goes on."""
        self._drop(key)
        self._forget(key)
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    async def forget_old(self, seconds: float) -> None:
        """Drop every blob that came longer ago, used or not."""
        before = time.time() - seconds
        for key in [each for each, since in self._since.items() if since < before]:
            self._drop(key)
        for key in await asyncio.to_thread(self._older, list(self._files), before):
            await self.forget(key)

    def close(self) -> None:
        """Remove what is this process's own."""
        self._home.remove()

    def _path(self, key: Key) -> Path:
        return self.directory / key[0] / key[1]

    def _open(self, key: Key) -> Content | None:
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY)
        except OSError:
            return None
        size = os.fstat(descriptor).st_size
        mark = _mark(descriptor)
        if self._verified.get(key) != mark:
            with os.fdopen(os.dup(descriptor), "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != key[1]:
                    os.close(descriptor)
                    self._path(key).unlink(missing_ok=True)
                    return None
            self._verified[key] = mark
        return Content(size=size, file=descriptor, mark=mark)

    def _older(self, keys: list[Key], before: float) -> list[Key]:
        older: list[Key] = []
        for key in keys:
            with suppress(FileNotFoundError):
                if self._path(key).stat().st_mtime < before:
                    older.append(key)
        return older

    def _count(self, key: Key, size: int) -> None:
        self._size += size - self._files.pop(key, 0)
        self._files[key] = size

    def _drop(self, key: Key) -> None:
        self._memory_size -= len(self._memory.pop(key, b""))
        self._since.pop(key, None)

    def _forget(self, key: Key) -> None:
        self._size -= self._files.pop(key, 0)
        self._verified.pop(key, None)

    def _evict(self) -> None:
        while self._size > self._limit and self._files:
            key = next(iter(self._files))
            self._forget(key)
            self._path(key).unlink(missing_ok=True)


def _found(directory: Path) -> Iterator[tuple[float, Path, int]]:
    """When each blob was last written, where it is, its size; others may share the directory, and evict."""
    for path in directory.glob("*-*/*"):
        with suppress(FileNotFoundError):
            known = path.stat()
            yield known.st_mtime, path, known.st_size


def _mark(descriptor: int) -> Mark:
    """What tells that a file is another one, or was written to."""
    found = os.fstat(descriptor)
    return found.st_ino, found.st_size, found.st_mtime_ns
