"""Bytes that have arrived and wait to be stored."""

from __future__ import annotations

import hashlib
from pathlib import Path  # msgspec reads the annotation

import msgspec


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that have been hashed on their way in, waiting in memory or in a file."""

    sha256: str
    md5: str
    """What storage answers for the object when it stored the same bytes in one piece."""
    size: int
    data: bytes | None = None
    path: Path | None = None

    @classmethod
    def of(cls, data: bytes) -> Upload:
        """An upload of bytes in memory."""
        return cls(
            sha256=hashlib.sha256(data).hexdigest(),
            md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
            size=len(data),
            data=data,
        )

    def read(self) -> bytes:
        """All bytes; from a file when there is one."""
        if self.data is not None:
            return self.data
        return self.path.read_bytes() if self.path is not None else b""

    def discard(self) -> None:
        """Remove the file, if there is one."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
