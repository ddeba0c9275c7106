"""The file's form: a plain tar, so that everybody can open it, in which no byte is free.

Names, order, headers and padding follow from the contents, so the same project at the same change is the
same file, and a reader that makes each header anew finds every flipped byte. The last member holds the
SHA-256 of all bytes before it.
"""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = tarfile.BLOCKSIZE
PIECE = 256 * 1024
CHECKSUM = "bundle.sha256"
_END = bytes(2 * BLOCK)


class Writer:
    """Writes members one after the other; `close` writes the checksum and the end. Memory stays flat."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def add(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        """A member of exactly `size` bytes. Raises ValueError when another number of bytes comes."""
        self._write(_header(name, size))
        written = 0
        for piece in pieces:
            written += len(piece)
            self._write(piece)
        if written != size:
            raise ValueError(f"{name} has {written} bytes, not {size}.")
        self._write(bytes(-size % BLOCK))

    def close(self) -> str:
        """The end of the file; the SHA-256 of what was written before its last member."""
        digest = self._digest.hexdigest()
        line = f"{digest}\n".encode()
        self.add(CHECKSUM, len(line), [line])
        self._write(_END)
        return digest

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


@dataclass(frozen=True)
class Member:
    """A member as it is reached; its bytes are to be read before the next one is asked for."""

    name: str
    size: int
    pieces: Iterator[bytes]


class Reader:
    """Reads a file from its start to its end, once. Raises VersoError `bundle_damaged` with the place."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0
        self._digest = hashlib.sha256()

    def members(self) -> Iterator[Member]:
        """The members; the checksum is compared when the last one is reached, and not handed out."""
        while True:
            before, start = self._digest.hexdigest(), self._at
            block = self._read(BLOCK)
            name, size = _read_header(block, start)
            if name == CHECKSUM:
                self._finish(size, before, start)
                return
            pieces = self._pieces(size)
            yield Member(name, size, pieces)
            for _ in pieces:
                pass
            start = self._at
            if any(self._read(-size % BLOCK)):
                raise damaged(start, "there are bytes between two members")

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._read(min(size, PIECE))
            size -= len(piece)
            yield piece

    def _finish(self, size: int, before: str, start: int) -> None:
        line = f"{before}\n".encode()
        held = self._read(size) if size == len(line) else b""
        rest = self._read(-size % BLOCK + len(_END))
        if any(rest) or self._file.read(1):
            raise damaged(self._at, "it doesn't end where it should")
        if held != line:
            raise damaged(start, "the checksum of the whole file is another one")

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise damaged(self._at + len(data), "it ends too early")
        self._at += size
        self._digest.update(data)
        return data


def damaged(offset: int, why: str) -> VersoError:
    """The refusal of a file that isn't whole."""
    return VersoError(
        "bundle_damaged",
        f"This is no bundle, or it was damaged: at byte {offset:,} {why}. Take another copy of it.",
        offset=offset,
    )


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    # GNU's form holds any size in one block; names here have less than 100 ASCII characters.
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def _read_header(block: bytes, offset: int) -> tuple[str, int]:
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        same = _header(info.name, info.size) == block
    except (tarfile.HeaderError, UnicodeError, ValueError):
        same = False
    if not same:
        raise damaged(offset, "there is no member's head as a bundle has them")
    return info.name, info.size
