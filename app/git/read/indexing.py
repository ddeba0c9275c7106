"""A pack that somebody sent, gone through object by object within limits, and the index that libgit2 needs.

libgit2 can do that, too, but pygit2 doesn't offer it, and `git index-pack` would need Git on the server.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections import Counter
from itertools import accumulate
from typing import IO, TYPE_CHECKING, Any

import msgspec

from app.git.read.deltas import KINDS, BadPackError, PackReader, apply_delta, too_large

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_HEAD = 12
_ID = 20
_PIECE = 1 << 20
_DEEPEST = 4096
"""Deltas of deltas: Git makes no longer chains (`pack.depth`), and each read goes along the whole chain."""
_LARGE = 1 << 31


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one pack may ask for."""

    objects: int = 1 << 32
    object_size: int = 1 << 48
    """The most bytes of one object."""
    total_size: int = 1 << 62
    """The most bytes of all objects together."""


NO_LIMITS = Limits()
"""For a file of one's own."""


def index_pack(
    pack: Path, *, limits: Limits = NO_LIMITS, watch: Callable[[int, int], object] = lambda *_: None
) -> int:
    """Write the index (version 2) beside a pack; how many objects there are. `watch`: done, of how many.

    Raises BadPackError, VersoError `bundle_too_large`; KeyError when deltas are of objects that it lacks.
    """
    with pack.open("rb") as file:
        return _Indexing(file, pack.stat().st_size, limits, watch).run(pack)


class _Indexing:
    def __init__(
        self, file: IO[bytes], size: int, limits: Limits, watch: Callable[[int, int], object]
    ) -> None:
        self._file = file
        self._size = size - _ID
        self._limits = limits
        self._watch = watch
        self._reader = PackReader(file, self._size, most=limits.object_size)
        self._count = 0
        self._known = 0
        self._total = 0
        # By the objects' positions in the pack; an id of zeros is not known yet.
        self._starts = array("Q")
        self._checksums = array("I")
        self._ids = bytearray()
        self._deltas: dict[int | bytes, list[tuple[int, int, int]]] = {}
        """By their base (where it begins, or its id): position, where the data begins, and its size."""

    def run(self, pack: Path) -> int:
        head = self._reader.bytes_at(0, _HEAD)
        if self._size < _HEAD or head[:4] != b"PACK" or head[4:8] not in {b"\0\0\0\2", b"\0\0\0\3"}:
            raise BadPackError("there is no pack in it")
        self._count = int.from_bytes(head[8:], "big")
        if self._count > self._limits.objects:
            raise too_large(f"it has {self._count:,} objects")
        self._file.seek(self._size)
        trailer = self._file.read(_ID)
        if self._digest() != trailer:
            raise BadPackError("its checksum is wrong, so it came damaged or not whole")
        self._scan()
        self._resolve()
        if self._known != self._count:
            raise KeyError(self._count - self._known)
        pack.with_suffix(".idx").write_bytes(self._index(trailer))
        return self._count

    def _digest(self) -> bytes:
        digest = hashlib.sha1(usedforsecurity=False)
        at = 0
        while piece := self._reader.bytes_at(at, _PIECE):
            digest.update(piece)
            at += len(piece)
        return digest.digest()

    def _scan(self) -> None:
        """Go through all entries. Those that aren't deltas are known then."""
        reader, at = self._reader, _HEAD
        for position in range(self._count):
            head = reader.head(at)
            digest = _digest_of(head.kind, head.size) if head.base is None else None
            end = reader.inflate(head.data_at, head.size, _nothing if digest is None else digest.update)
            self._starts.append(at)
            self._checksums.append(reader.checksum(at, end))
            if digest is None:
                self._ids += bytes(_ID)
                self._deltas.setdefault(head.base or b"", []).append((position, head.data_at, head.size))
            else:
                self._ids += digest.digest()
                self._counted(head.size)
            at = end
        if at != self._size:
            raise BadPackError("something follows its last object")

    def _resolve(self) -> None:
        """Make of each delta its object, bases first; only those on the way to it are in memory."""
        if not self._deltas:
            return
        for position in range(self._count):
            if not any(self._id(position)):
                continue  # a delta that waits for its base
            waiting = self._based_on(position)
            if not waiting:
                continue  # also a delta that was resolved: nothing waits for it any more
            head = self._reader.head(self._starts[position])
            self._unfold(head.kind, self._reader.read(head.data_at, head.size), waiting)

    def _unfold(self, kind: int, data: bytes, waiting: list[tuple[int, int, int]]) -> None:
        stack = [(data, waiting, 1)]
        while stack:
            data, waiting, depth = stack[-1]
            position, data_at, size = waiting.pop()
            if not waiting:
                stack.pop()  # a long chain needs no more than two of its objects
            made = apply_delta(data, self._reader.read(data_at, size), most=self._limits.object_size)
            digest = _digest_of(kind, len(made))
            digest.update(made)
            self._ids[position * _ID : (position + 1) * _ID] = digest.digest()
            self._counted(len(made))
            below = self._based_on(position)
            if below:
                if depth >= _DEEPEST:
                    raise too_large(f"one of its objects is a delta of more than {_DEEPEST:,} others")
                stack.append((made, below, depth + 1))

    def _based_on(self, position: int) -> list[tuple[int, int, int]]:
        by_place = self._deltas.pop(self._starts[position], [])
        return by_place + self._deltas.pop(self._id(position), [])

    def _counted(self, size: int) -> None:
        self._total += size
        self._known += 1
        if self._total > self._limits.total_size:
            raise too_large(f"its objects have more than {self._limits.total_size:,} bytes unpacked")
        self._watch(self._known, self._count)

    def _id(self, position: int) -> bytes:
        return bytes(self._ids[position * _ID : (position + 1) * _ID])

    def _index(self, trailer: bytes) -> bytes:
        order = sorted(range(self._count), key=self._id)
        ids = b"".join(map(self._id, order))
        starts = [self._starts[each] for each in order]
        far = [start for start in starts if start >= _LARGE]
        places = {start: _LARGE | number for number, start in enumerate(far)}
        seen = Counter(ids[::_ID])
        fanout = list(accumulate(seen[first] for first in range(256)))
        body = b"".join(
            (
                b"\xfftOc\0\0\0\2",
                _big("I", fanout),
                ids,
                _big("I", [self._checksums[each] for each in order]),
                _big("I", [places.get(start, start) for start in starts]),
                _big("Q", far),
                trailer,
            )
        )
        return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _digest_of(kind: int, size: int) -> Any:
    return hashlib.sha1(b"%s %d\0" % (KINDS[kind], size), usedforsecurity=False)


def _nothing(_: bytes) -> None:
    """Let the bytes of a delta go by: they are read when its base is there."""


def _big(kind: str, numbers: list[int]) -> bytes:
    made = array(kind, numbers)
    if sys.byteorder == "little":
        made.byteswap()
    return made.tobytes()
