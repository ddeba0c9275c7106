"""Tree ids computed from what a server says it holds, to be compared with those that Git has.

A tree's id is the hash of its entries' names, modes and ids, and a blob's that of its bytes: equal ids mean
that every path, every mode and every byte is equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.git.read.trees import TREE, Leaf, id_of_tree

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Folder:
    __slots__ = ("entries", "known_id")

    def __init__(self) -> None:
        self.entries: dict[str, Leaf | _Folder] = {}
        self.known_id: bytes | None = None


class GrowingTree:
    """A tree that changes path by path; its id costs only what changed since it was asked for last."""

    def __init__(self) -> None:
        self._root = _Folder()

    def apply(self, gone: Iterable[str], come: Iterable[tuple[str, Leaf]]) -> None:
        """Take paths away, then put others in their place."""
        for path in gone:
            self._remove(path)
        for path, leaf in come:
            self._folders(path)[-1].entries[path.rpartition("/")[2]] = leaf

    def id(self) -> bytes:
        """The id (20 bytes) that Git gives to a tree like this."""
        return _id(self._root)

    def _folders(self, path: str) -> list[_Folder]:
        """The folders that a path lies in, from the root, made where they lack; their ids are forgotten."""
        at = self._root
        at.known_id = None
        way = [at]
        for name in path.split("/")[:-1]:
            below = at.entries.get(name)
            if not isinstance(below, _Folder):
                below = at.entries[name] = _Folder()
            below.known_id = None
            at = below
            way.append(at)
        return way

    def _remove(self, path: str) -> None:
        *names, last = path.split("/")
        way = self._folders(path)
        way[-1].entries.pop(last, None)
        # Git has no empty folders.
        for above, name, folder in reversed(list(zip(way, names, way[1:], strict=False))):
            if not folder.entries:
                del above.entries[name]


def _id(folder: _Folder) -> bytes:
    if folder.known_id is None:
        folder.known_id = id_of_tree(
            [
                (name, Leaf(TREE, _id(entry)) if isinstance(entry, _Folder) else entry)
                for name, entry in folder.entries.items()
            ]
        )
    return folder.known_id
