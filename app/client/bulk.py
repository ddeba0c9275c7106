"""Many contents in one request: what a mirror, an export, a bundle and a proof all ask for.

The bytes are as the server sent them. Whoever takes them proves them by their hash, and says what it means
that one was left out: the server has its bytes no more.
"""

from __future__ import annotations

import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from app.client.api import Api

MOST_CONTENTS = 1000
"""Contents of one request; the server takes no more."""
MOST_BYTES = 256 * 1024 * 1024
"""About how many bytes one request asks for: what breaks off has not far to go again."""
_END = bytes(2 * 512)
"""Two empty blocks (POSIX.1-2017, pax)."""
TRIES = 4
"""How often contents are asked for when answers break off."""


def batches(wanted: Iterable[tuple[str, int]]) -> Iterator[dict[str, int]]:
    """Contents (SHA-256 and size) in lots that one request takes: by number, and by their sizes."""
    batch: dict[str, int] = {}
    held = 0
    for sha256, size in wanted:
        if batch and (len(batch) >= MOST_CONTENTS or held + size > MOST_BYTES):
            yield batch
            batch, held = {}, 0
        batch[sha256] = size
        held += size
    if batch:
        yield batch


@contextmanager
def asked_contents(
    api: Api, home: str, wanted: Iterable[str]
) -> Iterator[Iterator[tuple[str, int, Iterator[bytes]]]]:
    """The answer to one request for contents of the project at `home`, in the order asked; see `members_of`.

    Raises VersoError: the server's refusals, `unreachable` when the answer breaks off, `not_verso`.
    """
    body = msgspec.json.encode({"sha256": list(wanted)})
    headers = {"Content-Type": "application/json"}
    with api.stream("POST", f"{home}/contents", content=body, headers=headers, again=True) as answer:
        yield members_of(api.pieces(answer))


def members_of(pieces: Iterator[bytes]) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """The files of a tar as it streams in: name, size, and the bytes, to be read before the next one.

    Raises VersoError `not_verso` when it is no tar, `unreachable` when it hasn't its end: whoever cuts an
    answer off may say that it is whole, and what isn't in it would pass for erased.
    """
    stream = _Stream(pieces)
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=64 * 1024) as tar:  # type: ignore[call-overload]
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    yield member.name, member.size, iter(lambda: file.read(256 * 1024), b"")  # noqa: B023
    except tarfile.TarError as error:
        raise VersoError("not_verso", f"The server's contents can't be read ({error}).") from None
    if not stream.has_end():
        raise VersoError(
            "unreachable", "The server's contents broke off. Nothing is lost: run the same command again."
        )


class _Stream:
    """Pieces as something that can be read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = bytearray()
        self._last = b""

    def read(self, size: int) -> bytes:
        while len(self._held) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._held += piece
        given = bytes(self._held[:size])
        del self._held[:size]
        self._last = (self._last + given)[-len(_END) :]
        return given

    def has_end(self) -> bool:
        """Read what is left, and see whether it ends as a tar does."""
        while self.read(64 * 1024):
            pass
        return self._last == _END
