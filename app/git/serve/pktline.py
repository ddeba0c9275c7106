"""Git's pkt-lines: a length in four hexadecimal digits, and that many bytes (gitprotocol-common)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FLUSH = b"0000"
MOST = 65516
"""The most bytes that one line carries."""
_HEAD = 4


class BadRequestError(Exception):
    """A client sent what it mustn't; the message is for its user."""


def pkt(data: bytes) -> bytes:
    """One line."""
    return b"%04x" % (len(data) + _HEAD) + data


def lines_of(data: bytes) -> Iterator[bytes | None]:
    """The lines of a request; None for a flush. Raises BadRequestError."""
    at = 0
    while at < len(data):
        try:
            length = int(data[at : at + _HEAD], 16)
        except ValueError:
            raise BadRequestError("This is not a request of Git.") from None
        if length == 0:
            yield None
            at += _HEAD
            continue
        if length < _HEAD or at + length > len(data):
            raise BadRequestError("The request ends too early.")
        yield data[at + _HEAD : at + length].removesuffix(b"\n")
        at += length
