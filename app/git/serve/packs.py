"""Objects as one pack, copied as they lie in the repository's own packs (gitformat-pack).

An entry is compressed already, and most are deltas: it is copied as it is, its base named by id, whenever
the receiver gets or has the base. Anything else is compressed anew. So a clone costs what reading costs.
"""

from __future__ import annotations

import hashlib
import mmap
import sys
import zlib
from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from app.git.serve.selection import Selection

_ID = 20
_FANOUT = 8
_IDS = _FANOUT + 256 * 4
_LARGE = 1 << 31
_OFFSET_DELTA = 6
_REF_DELTA = 7
_KINDS = {1: 1, 2: 2, 3: 3, 4: 4}
"""libgit2's numbers for commit, tree, blob and tag are those of packs."""


class PackFile:
    """One pack with its index (version 2), mapped into memory."""

    def __init__(self, pack: Path) -> None:
        self._index = _mapped(pack.with_suffix(".idx"))
        self._data = _mapped(pack)
        if self._index[:8] != b"\xfftOc\x00\x00\x00\x02":
            raise ValueError(f"{pack} has an index of another form.")
        self._fanout = _numbers("I", self._index[_FANOUT:_IDS])
        self.count = count = self._fanout[-1]
        crc = _IDS + count * _ID
        small = _numbers("I", self._index[crc + 4 * count : crc + 8 * count])
        large = _numbers("Q", self._index[crc + 8 * count : len(self._index) - 2 * _ID])
        self._offsets = array("Q", (each if each < _LARGE else large[each - _LARGE] for each in small))
        self._order = array("I", sorted(range(count), key=self._offsets.__getitem__))
        self._starts = array("Q", (self._offsets[each] for each in self._order))

    def find(self, oid: bytes) -> int | None:
        """Where an object's entry begins, or None."""
        low = self._fanout[oid[0] - 1] if oid[0] else 0
        at = bisect_left(_Ids(self._index), oid, low, self._fanout[oid[0]])
        return self._offsets[at] if at < self.count and self._id(at) == oid else None

    def entry(self, start: int) -> tuple[bytes, bytes | None, memoryview]:
        """An entry: its kind and size as they are written, its base's id if it is a delta, its data."""
        at = bisect_right(self._starts, start)
        end = self._starts[at] if at < self.count else len(self._data) - _ID
        byte = self._data[start]
        kind, position = byte >> 4 & 7, start + 1
        while byte & 0x80:
            byte = self._data[position]
            position += 1
        size = bytes(self._data[start:position])
        base: bytes | None = None
        if kind == _REF_DELTA:
            base = bytes(self._data[position : position + _ID])
            position += _ID
        elif kind == _OFFSET_DELTA:
            byte = self._data[position]
            back, position = byte & 0x7F, position + 1
            while byte & 0x80:
                byte = self._data[position]
                back, position = (back + 1 << 7) | byte & 0x7F, position + 1
            base = self._id(self._order[bisect_left(self._starts, start - back)])
        return size, base, memoryview(self._data)[position:end]

    def _id(self, number: int) -> bytes:
        return bytes(self._index[_IDS + number * _ID : _IDS + (number + 1) * _ID])


class _Ids:
    """The sorted ids of an index, as bisect takes them."""

    def __init__(self, index: mmap.mmap) -> None:
        self._index = index

    def __len__(self) -> int:
        return (len(self._index) - _IDS) // _ID

    def __getitem__(self, number: int) -> bytes:
        return bytes(self._index[_IDS + number * _ID : _IDS + (number + 1) * _ID])


def write_pack(
    repository: Any, objects: Path, selection: Selection, write: Callable[[bytes], object]
) -> None:
    """Write a pack of the selected objects; deltas may be based on what the client has (a thin pack)."""
    packs = [PackFile(path) for path in sorted((objects / "pack").glob("*.pack"))]
    digest = hashlib.sha1(usedforsecurity=False)

    def out(data: bytes) -> None:
        digest.update(data)
        write(data)

    out(b"PACK" + (2).to_bytes(4, "big") + len(selection.missing).to_bytes(4, "big"))
    for oid in selection.missing:
        for piece in _entry(repository, packs, oid, selection):
            out(piece)
    write(digest.digest())


def _entry(repository: Any, packs: list[PackFile], oid: bytes, selection: Selection) -> Iterator[bytes]:
    # Always the first pack that has it: bases are in the same pack or an earlier one, so no circle can arise.
    for pack in packs:
        start = pack.find(oid)
        if start is None:
            continue
        size, base, data = pack.entry(start)
        if base is None:
            yield size
            yield bytes(data)
            return
        if base in selection.missing or base in selection.known:
            yield bytes([size[0] & 0x8F | _REF_DELTA << 4]) + size[1:] + base
            yield bytes(data)
            return
        break
    number, content = repository.read(oid.hex())
    yield _size(_KINDS[int(number)], len(content))
    yield zlib.compress(content, 1)


def _size(kind: int, size: int) -> bytes:
    head = bytearray([kind << 4 | size & 0x0F])
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head)


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _numbers(kind: str, data: bytes) -> array[int]:
    numbers = array(kind, data)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
