"""Bare repositories of projects on this machine's disk, for Git over HTTP. Nothing in them is needed.

    <directory>/<project id>.git     the repository
    <directory>/<project id>.lock    held by whoever writes to it: one process at a time
    <directory>/<project id>.use     held, shared, by whoever reads it, so that it isn't thrown away meanwhile

Any number of processes may share the directory. Any repository may be deleted at any time: it is made again
from the history. Locks are the kernel's (flock), so they end with the process that held them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import VersoError
from app.supabase.own_directory import OwnDirectory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_POLL_SECONDS = 0.05
_GONE = ".gone-"


class GitCache:
    """The repositories in `directory` (a temporary one of its own unless given), about `limit` bytes."""

    def __init__(self, directory: Path | None, *, limit: int) -> None:
        self._home = OwnDirectory("verso-git-", given=directory)
        self._directory = self._home.path
        self._limit = limit

    def path(self, project: str) -> Path:
        """Where a project's repository is, or will be."""
        return self._directory / f"{project}.git"

    @asynccontextmanager
    async def reading(self, project: str) -> AsyncIterator[Path]:
        """A project's repository, which stays where it is meanwhile."""
        async with self._locked(f"{project}.use", fcntl.LOCK_SH):
            path = self.path(project)
            with suppress(OSError):
                os.utime(path)  # so that the least recently used one is known
            yield path

    @asynccontextmanager
    async def writing(self, project: str, *, seconds: float) -> AsyncIterator[Path]:
        """A project's repository, which nobody else writes to meanwhile.

        Raises VersoError `git_busy` when another process has been at it for that long.
        """
        async with self._locked(f"{project}.lock", fcntl.LOCK_EX, seconds=seconds):
            yield self.path(project)

    def drop(self, project: str) -> None:
        """Throw a repository away, whoever reads it: it is damaged."""
        self._remove(self.path(project))

    def evict(self) -> None:
        """Throw away the repositories that nobody is at, least recently used first, until the limit holds.

        What can't be thrown away now (no room for its locks, say) stays: the fetch that asks has succeeded.
        """
        held = []
        for path in self._directory.glob("*.git"):
            with suppress(OSError):
                held.append((path.stat().st_mtime, _size(path), path))
        total = sum(size for _, size, _ in held)
        for _, size, path in sorted(held):
            if total <= self._limit:
                break
            with suppress(OSError):
                if self._remove_unused(path):
                    total -= size

    def expire(self, seconds: float) -> None:
        """Throw away the repositories that nobody has been at for that long.

        A request compares them with what was erased; those that nobody asks for would lie there for ever.
        """
        before = time.time() - seconds
        for path in self._directory.glob("*.git"):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    self._remove_unused(path)
        for path in self._directory.glob(f"{_GONE}*"):  # of processes that were killed while they removed one
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Remove what is this process's own."""
        self._home.remove()

    @asynccontextmanager
    async def _locked(self, name: str, kind: int, *, seconds: float = 10.0) -> AsyncIterator[None]:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            waited = 0.0
            while not _take(descriptor, kind):
                if waited >= seconds:
                    raise VersoError(
                        "git_busy",
                        "The repository of this project is being brought up to date. Try again in a moment.",
                    )
                await asyncio.sleep(_POLL_SECONDS)
                waited += _POLL_SECONDS
            yield
        finally:
            os.close(descriptor)

    def _remove_unused(self, path: Path) -> bool:
        descriptors = []
        try:
            for ending in (".use", ".lock"):
                name = path.with_suffix(ending)
                descriptors.append(os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                if not _take(descriptors[-1], fcntl.LOCK_EX):
                    return False
            self._remove(path)
            return True
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _remove(self, path: Path) -> None:
        # Renamed first, so that nobody finds half of it. Where that can't be (a full disk; a directory that
        # the first fetch will make) it goes as it is, if it is there: an erasure doesn't go on before.
        trash = path
        with suppress(OSError):
            trash = Path(tempfile.mkdtemp(prefix=_GONE, dir=self._directory))
            path.rename(trash / path.name)
        shutil.rmtree(trash, ignore_errors=True)


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
