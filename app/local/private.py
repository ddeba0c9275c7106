"""Files and directories that only we may read."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from app.local.binaries import PostgresError

if TYPE_CHECKING:
    from pathlib import Path


def private_dir(path: Path) -> None:
    """Make a directory that only we may enter. Raises PostgresError when it is somebody else's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.getuid() not in {0, path.lstat().st_uid}:
        raise PostgresError(f"{path} belongs to somebody else; choose another data directory.")
    path.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Write a file (0600) whole or not at all: synced beside its place, then moved there."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
