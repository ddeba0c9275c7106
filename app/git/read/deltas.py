"""Objects of a pack as they are stored, and deltas applied: never more bytes than were said before.

A few bytes of a pack can say that they are gigabytes, deflated or as a delta of a delta. So each object says
its size first (gitformat-pack), that is looked at, and what comes is counted.
"""

from __future__ import annotations

import zlib
from typing import IO, TYPE_CHECKING, NamedTuple

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable

OFFSET_DELTA = 6
REF_DELTA = 7
KINDS = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_ID = 20
_LONGEST_HEAD = 64
_PIECE = 256 * 1024


class Head(NamedTuple):
    """What a pack says of an object ahead of its data."""

    kind: int
    size: int
    """Bytes of the object; of a delta, those of the delta."""
    data_at: int
    """Where the deflated data begins in the file."""
    base: int | bytes | None
    """Of a delta: where its base begins, or the base's id."""


class BadPackError(Exception):
    """The bytes are no pack, or a damaged one; the message says of what it is so."""


def too_large(what: str) -> VersoError:
    """The refusal of a pack that asks for too much."""
    return VersoError(
        "bundle_too_large",
        f"This history is too large to be read here: {what}. "
        "Import it from your own machine, with `verso import git`.",
    )


class PackReader:
    """A pack, read object by object from an open file. Raises BadPackError, VersoError `bundle_too_large`."""

    def __init__(self, file: IO[bytes], size: int, *, most: int) -> None:
        """`size` is the file's without its last 20 bytes, `most` the most bytes of one object."""
        self._file = file
        self._size = size
        self._most = most

    def head(self, start: int) -> Head:
        """What is said of the object that begins at a place."""
        head = self.bytes_at(start, _LONGEST_HEAD)
        at, kind, size = _kind_and_size(head)
        if size > self._most:
            raise too_large(f"one of its objects has {size:,} bytes")
        base: int | bytes | None = None
        if kind == OFFSET_DELTA:
            at, back = _offset(head, at)
            base = start - back
        elif kind == REF_DELTA:
            base, at = head[at : at + _ID], at + _ID
        elif kind not in KINDS:
            raise BadPackError("an object is of no kind that Git knows")
        return Head(kind, size, start + at, base)

    def read(self, data_at: int, size: int) -> bytes:
        """The unpacked bytes of which there are so many at a place."""
        pieces: list[bytes] = []
        self.inflate(data_at, size, pieces.append)
        return b"".join(pieces)

    def inflate(self, at: int, size: int, take: Callable[[bytes], object]) -> int:
        """Unpack so many bytes, and not one more; where their deflated form ends."""
        unpacker = zlib.decompressobj()
        left = size
        length = min(_PIECE, size + (size >> 8) + _LONGEST_HEAD)
        try:
            while not unpacker.eof:
                packed = unpacker.unconsumed_tail or self.bytes_at(at, length)
                if not packed:
                    raise BadPackError("it ends too early")
                if not unpacker.unconsumed_tail:
                    at += len(packed)
                data = unpacker.decompress(packed, min(left, _PIECE) + 1)
                left -= len(data)
                if left < 0:
                    raise BadPackError("an object has more bytes than it says")
                take(data)
        except zlib.error:
            raise BadPackError("an object can't be unpacked") from None
        if left:
            raise BadPackError("an object has fewer bytes than it says")
        return at - len(unpacker.unused_data)

    def checksum(self, start: int, end: int) -> int:
        """CRC-32 of the bytes as they are in the file."""
        crc = 0
        while start < end and (piece := self.bytes_at(start, min(_PIECE, end - start))):
            crc = zlib.crc32(piece, crc)
            start += len(piece)
        return crc

    def bytes_at(self, start: int, length: int) -> bytes:
        """The bytes at a place as they are in the file: so many, or as many as there are."""
        self._file.seek(start)
        return self._file.read(max(0, min(length, self._size - start)))


def apply_delta(base: bytes, delta: bytes, *, most: int) -> bytes:
    """What a delta makes of its base. Raises BadPackError, and VersoError `bundle_too_large`."""
    at, of = _size(delta, 0)
    at, size = _size(delta, at)
    if size > most:
        raise too_large(f"one of its objects has {size:,} bytes")
    if of != len(base):
        raise BadPackError("a delta is of another object")
    whole = memoryview(base)
    pieces: list[bytes | memoryview] = []
    made, end = 0, len(delta)
    while at < end:
        code = delta[at]
        at += 1
        if code & 0x80:
            at, start, length = _copied(delta, at, code)
            if start + length > of:
                raise BadPackError("a delta copies what isn't there")
            pieces.append(whole[start : start + length])
        else:
            length = code
            pieces.append(delta[at : at + length])
            if not code or at + length > end:
                raise BadPackError("a delta is cut")
            at += length
        made += length
        if made > size:
            raise BadPackError("a delta makes more bytes than it says")
    if made != size:
        raise BadPackError("a delta makes fewer bytes than it says")
    return b"".join(pieces)


def _copied(delta: bytes, at: int, code: int) -> tuple[int, int, int]:
    start = length = 0
    try:
        for bit in range(4):
            if code >> bit & 1:
                start |= delta[at] << 8 * bit
                at += 1
        for bit in range(3):
            if code >> 4 + bit & 1:
                length |= delta[at] << 8 * bit
                at += 1
    except IndexError:
        raise BadPackError("a delta is cut") from None
    return at, start, length or 0x10000


def _kind_and_size(head: bytes) -> tuple[int, int, int]:
    at, shift = 1, 4
    if not head:
        raise BadPackError("it ends too early")
    size = head[0] & 0x0F
    byte = head[0]
    while byte & 0x80:
        if at >= min(len(head), 10):
            raise BadPackError("the size of an object is cut")
        byte = head[at]
        size |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return at, head[0] >> 4 & 7, size


def _offset(head: bytes, at: int) -> tuple[int, int]:
    back = -1
    byte = 0x80
    while byte & 0x80:
        if at >= min(len(head), 20):
            raise BadPackError("the place of a delta's base is cut")
        byte = head[at]
        back = (back + 1 << 7) | byte & 0x7F
        at += 1
    return at, back


def _size(delta: bytes, at: int) -> tuple[int, int]:
    size = shift = 0
    byte = 0x80
    while byte & 0x80:
        if at >= len(delta) or shift > _LONGEST_HEAD:
            raise BadPackError("a delta is cut")
        byte = delta[at]
        size |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return at, size
