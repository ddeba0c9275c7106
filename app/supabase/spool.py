"""Where bytes wait on disk: how such files and folders are named, and how those of killed processes go.

Each is removed by who made it. Who is killed leaves them, and nobody else can know whose they were; so at its
start a process removes what bears our name and is older than anything may be that is still in use.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

PREFIX = ".verso-arriving-"
"""Of every file and folder that waits. Nothing else is named so."""
OLD_SECONDS = 86_400.0


def clear_old(directory: Path | None, *, longest_use: float, now: float | None = None) -> int:
    """Remove what was left in a spool directory (the system's temporary one when None); how many there were.

    Others may work in the directory: what was touched in the last day, or within twice `longest_use` seconds,
    stays, and so does whatever has another name or belongs to another user. Never raises OSError: what can't
    be removed stays.
    """
    before = (time.time() if now is None else now) - max(OLD_SECONDS, 2 * longest_use)
    gone = 0
    with suppress(OSError), os.scandir(directory or tempfile.gettempdir()) as found:
        for each in found:
            if each.name.startswith(PREFIX) and _is_left(each, before):
                gone += _removed(Path(each.path))
    if gone:
        log.info("spool.cleared", removed=gone)
    return gone


def _is_left(entry: os.DirEntry[str], before: float) -> bool:
    try:
        known = entry.stat(follow_symlinks=False)
    except OSError:
        return False  # another process was faster
    return known.st_uid == os.getuid() and known.st_mtime < before


def _removed(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
    return not path.exists()
