"""Bundles made byte by byte, so that they can lie."""

from __future__ import annotations

import hashlib
import zlib
from typing import NamedTuple

COMMIT, TREE, BLOB, TAG, OFFSET_DELTA, REF_DELTA = 1, 2, 3, 4, 6, 7
NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}
HEAD = b"# v2 git bundle\n"


class Said(NamedTuple):
    """An object as a pack has it; `size` is what it says, whatever it has."""

    kind: int
    data: bytes
    size: int | None = None
    base: bytes | int = b""
    """Of a delta: the base's id, or how many bytes back it begins."""


def object_id(kind: int, data: bytes) -> bytes:
    return hashlib.sha1(b"%s %d\0" % (NAMES[kind], len(data)) + data).digest()


def entry(said: Said) -> bytes:
    size = len(said.data) if said.size is None else said.size
    head = bytearray([said.kind << 4 | size & 0x0F])
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    if isinstance(said.base, int):
        back, rest = [said.base & 0x7F], said.base >> 7
        while rest:
            rest -= 1
            back.append(0x80 | rest & 0x7F)
            rest >>= 7
        head += bytes(reversed(back))
    return bytes(head) + (said.base if isinstance(said.base, bytes) else b"") + zlib.compress(said.data, 9)


def pack(*entries: bytes, count: int | None = None) -> bytes:
    number = len(entries) if count is None else count
    body = b"PACK" + (2).to_bytes(4, "big") + number.to_bytes(4, "big") + b"".join(entries)
    return body + hashlib.sha1(body).digest()


def bundle(packed: bytes, **refs: bytes) -> bytes:
    """Refs are branches and their ids in 20 bytes."""
    lines = [oid.hex().encode() + b" refs/heads/" + name.encode() + b"\n" for name, oid in refs.items()]
    return HEAD + b"".join(lines) + b"\n" + packed


def commit(
    tree: bytes, *parents: bytes, message: bytes = b"a commit\n", author: bytes = b"A <a@x> 1 +0000"
) -> bytes:
    lines = [b"tree " + tree.hex().encode(), *(b"parent " + each.hex().encode() for each in parents)]
    return b"\n".join([*lines, b"author " + author, b"committer A <a@x> 1 +0000", b"", message])


def number(value: int) -> bytes:
    """A size as deltas have it."""
    made = bytearray()
    while True:
        made.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(made)


def copying(start: int, length: int) -> bytes:
    """A delta's order to copy from its base."""
    return b"\xff" + start.to_bytes(4, "little") + length.to_bytes(3, "little")


def delta(of: int, size: int, *orders: bytes) -> bytes:
    return number(of) + number(size) + b"".join(orders)


def history(tree: bytes, *others: tuple[int, bytes]) -> bytes:
    """A bundle of one commit of a tree, with other objects."""
    made = commit(object_id(TREE, tree))
    objects = [(COMMIT, made), (TREE, tree), *others]
    return bundle(pack(*(entry(Said(*each)) for each in objects)), main=object_id(COMMIT, made))


def folders_in_folders(depth: int, width: int, *, leaf: bool) -> bytes:
    """A bundle of a few trees that hold one another: width to the power of depth folders."""
    blob = b"x"
    below = b"100644 a\0" + object_id(BLOB, blob) if leaf else b""
    others: list[tuple[int, bytes]] = [(BLOB, blob)]
    for _ in range(depth):
        others.append((TREE, below))
        oid = object_id(TREE, below)
        below = b"".join(b"40000 %03d\0" % n + oid for n in range(width))
    return history(below, *others)
