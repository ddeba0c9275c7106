"""Many files in one request (RFC 7578), read while they are sent: memory stays flat whatever their size."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_PIECE = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part. `read` gives its bytes anew whenever it is called, exactly `size` of them."""

    name: str
    size: int
    read: Callable[[], Iterator[bytes]]
    filename: str | None = None
    media_type: str | None = None
    sha256: str | None = None
    """What the bytes must hash to: sent as Content-Digest (RFC 9530), so that others are refused."""

    @classmethod
    def of(
        cls, name: str, data: bytes, *, filename: str | None = None, media_type: str | None = None
    ) -> Part:
        """A part whose bytes are in memory."""
        return cls(
            name=name, size=len(data), read=lambda: iter((data,)), filename=filename, media_type=media_type
        )


class Multipart:
    """A body of parts: give `pieces` and `headers` to `Api.ask`, which may call for them again."""

    def __init__(self, parts: Sequence[Part]) -> None:
        # 128 random bits: no file holds its boundary by chance, nor by a stranger's will.
        self._boundary = secrets.token_hex(16)
        self._parts = parts

    @property
    def headers(self) -> Mapping[str, str]:
        """Content-Type and Content-Length."""
        length = sum(len(self._head(part)) + part.size + 2 for part in self._parts) + len(self._end)
        return {
            "Content-Type": f"multipart/form-data; boundary={self._boundary}",
            "Content-Length": str(length),
        }

    def pieces(self) -> Iterator[bytes]:
        """The body, a piece at a time; small pieces come joined."""
        joined = bytearray()
        for part in self._parts:
            joined += self._head(part)
            for piece in part.read():
                joined += piece
                if len(joined) >= _PIECE:
                    yield bytes(joined)
                    joined.clear()
            joined += b"\r\n"
        joined += self._end
        yield bytes(joined)

    @property
    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()

    def _head(self, part: Part) -> bytes:
        filename = "" if part.filename is None else f'; filename="{_quoted(part.filename)}"'
        kind = "" if part.media_type is None else f"Content-Type: {part.media_type}\r\n"
        if part.sha256 is not None:
            digest = base64.b64encode(bytes.fromhex(part.sha256)).decode()
            kind += f"Content-Digest: sha-256=:{digest}:\r\n"
        disposition = f'Content-Disposition: form-data; name="{_quoted(part.name)}"{filename}\r\n'
        return f"--{self._boundary}\r\n{disposition}{kind}\r\n".encode()


def read_file(path: Path) -> Iterator[bytes]:
    """A file's bytes, a piece at a time."""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _quoted(name: str) -> str:
    # As browsers do (HTML, "multipart form data"): these three can't stand in a quoted name.
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
