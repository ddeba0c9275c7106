"""Temporary directories of one process each. What killed processes left goes when the next makes its own.

    <the system's temporary directory>/<prefix>…/in-use     locked for as long as its process lives

The kernel's lock ends with the process that held it, however that ended: where nobody holds it, nobody is.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_MARK = "in-use"


class OwnDirectory:
    """A new directory at `path`, which others leave alone until it is removed or this process has ended.

    Or the one that is `given`, which stays as it is.
    """

    def __init__(self, prefix: str, *, given: Path | None = None) -> None:
        self._lock: int | None = None
        if given is not None:
            self.path = given
            return
        for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            _remove_unused(left)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=prefix))
            with suppress(FileNotFoundError):
                self._lock = os.open(self.path / _MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                if (self.path / _MARK).exists():
                    return
                # Another process that starts came between, and took it for one that was left.
                os.close(self._lock)

    def remove(self) -> None:
        """Remove it with all that is in it, unless it was given."""
        if self._lock is None:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_unused(path: Path) -> None:
    with suppress(OSError):  # held, another user's, gone meanwhile, or none of ours
        descriptor = os.open(path / _MARK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat(follow_symlinks=False).st_uid == os.getuid():
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)
