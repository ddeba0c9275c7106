"""Where the bytes are: one file for each version of an object, below the server's data directory.

    <root>/tmp/<version>                       being written; swept when the server starts
    <root>/objects/<2 hex>/<key hash>-<version>

A file's name is made of the hash of its bucket and key and of a version that this server invented. So nothing
a client says becomes part of a path, and a row inserted by plain SQL can only ever name bytes of its own key.
Files never change, so a copy and a move are hard links.

Order of a write: the temporary file is written and fsynced, renamed, its directory fsynced; only then the row
is committed and 200 sent. A crash in between leaves at worst a file that no row names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_VERSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MODE = 0o600


class Files:
    """The files of one server. All methods block; the big ones belong into a thread."""

    def __init__(self, root: Path) -> None:
        """Make the directories, and sweep what an earlier process left half-written."""
        self._objects = str(root / "objects")
        self._tmp = str(root / "tmp")
        shutil.rmtree(self._tmp, ignore_errors=True)
        os.makedirs(self._tmp, mode=0o700, exist_ok=True)  # noqa: PTH103 - paths are plain strings here: speed
        for number in range(256):
            os.makedirs(f"{self._objects}/{number:02x}", mode=0o700, exist_ok=True)  # noqa: PTH103
        for made in (self._objects, self._tmp, str(root)):  # each makes the entry in its parent durable
            _sync_directory(made)
        _sync_directory(f"{self._objects}/00")

    def path(self, bucket: str, name: str, version: str | None) -> str | None:
        """The file of a version, or None when no such file can exist: the version isn't one of ours."""
        if version is None or not _VERSION.fullmatch(version):
            return None
        return self.place(bucket, name, version)

    def place(self, bucket: str, name: str, version: str) -> str:
        """The file for a version that this server has just invented."""
        key = hashlib.sha256(f"{bucket}/{name}".encode()).hexdigest()
        return f"{self._objects}/{key[:2]}/{key}-{version}"

    def draft(self, version: str) -> Draft:
        """A new temporary file for the bytes of a version that is to be."""
        return Draft(f"{self._tmp}/{version}")

    def write(self, data: bytes, path: str, version: str) -> None:
        """Store a small object whole: what Draft does in steps.

        Raises
        ------
            OSError: the disk is full or broken; nothing is left behind.

        """
        draft = self.draft(version)
        try:
            draft.write([data])
            draft.keep(path)
        except BaseException:
            draft.discard()
            raise

    def link(self, source: str, target: str) -> None:
        """Give the bytes of `source` a second name, durably; copies them where links aren't possible.

        Raises
        ------
            FileNotFoundError: the source is gone.

        """
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(source, target)
            with open(target, "rb") as copy:  # noqa: PTH123
                os.fsync(copy.fileno())
        _sync_directory(target)

    def remove(self, paths: list[str]) -> None:
        """Delete files; those already gone are no error. A crash before it leaves files that nobody names."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108


class Draft:
    """A temporary file that becomes an object's file by `keep`, or nothing by `discard`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)

    def write(self, chunks: list[bytes]) -> None:
        """Append chunks."""
        if self._descriptor is None:
            raise ValueError("The draft was closed; write to a new one.")
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def keep(self, path: str) -> None:
        """Make it the file at `path`, durably."""
        if self._descriptor is None:
            raise ValueError("The draft was closed; keep a new one.")
        os.fsync(self._descriptor)
        self._close()
        os.rename(self._path, path)  # noqa: PTH104
        _sync_directory(path)

    def discard(self) -> None:
        """Delete it, if it is still a draft."""
        self._close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)  # noqa: PTH108

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _sync_directory(path: str) -> None:
    """Without this a crash may take the new name away again, though not the bytes (fsync(2))."""
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY)  # noqa: PTH120
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
