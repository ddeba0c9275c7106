"""Which document each path is, as the ledger will have it: what is deleted and comes back is the same one.

The ledger gives no ids ahead of time, so documents have names of their own here; those that a project has
already bring their ids along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.git.read.trees import Leaf

Document = str | int
"""A document's id in the ledger, or a number for one that will be made."""


class Held(NamedTuple):
    """What a path has after a commit."""

    document: Document
    leaf: Leaf


State = dict[str, Held]
"""Every path of a project after a commit."""


class Identities:
    """The documents at the end of the line: where each one is, and which ones lie below which paths."""

    def __init__(self) -> None:
        self.state: State = {}
        self._places: dict[Document, str] = {}
        self._graves: dict[str, list[Document]] = {}
        self._last_paths: dict[Document, str] = {}
        self._made = 0

    @classmethod
    def at(cls, state: State, deleted: Iterable[tuple[str, Document]]) -> Self:
        """Where a project stands: what it has, and path and document of what was deleted, oldest first."""
        identities = cls()
        identities.state = dict(state)
        identities._places = {held.document: path for path, held in state.items()}
        for path, document in deleted:
            identities._graves.setdefault(path, []).append(document)
            identities._last_paths[document] = path
        return identities

    def place(self, document: Document) -> str | None:
        """Where a document is now; None when it is deleted."""
        return self._places.get(document)

    def last_path(self, document: Document) -> str | None:
        """Where a deleted document was; None when it isn't deleted."""
        return self._last_paths.get(document)

    def buried(self, path: str) -> Document | None:
        """The document that was deleted last at a path, of those that are still deleted."""
        return self._graves[path][-1] if path in self._graves else None

    def successor(self, path: str) -> Document:
        """The document that content at a free path goes to: the last one deleted there, or a new one."""
        buried = self.buried(path)
        if buried is not None:
            return buried
        self._made += 1
        return self._made

    def write(self, gone: Iterable[str], come: dict[str, Held], deleted: Iterable[str]) -> None:
        """Carry out a change: the paths that are left, then those that have something new.

        `deleted` are those of `gone` whose documents come back nowhere in this change.
        """
        buried = [(path, self.state[path].document) for path in deleted]
        for path in gone:
            del self.state[path]
        for path, document in buried:
            self._places.pop(document, None)
            self._graves.setdefault(path, []).append(document)
            self._last_paths[document] = path
        for path, held in come.items():
            self.state[path] = held
            self._places[held.document] = path
            last = self._last_paths.pop(held.document, None)
            if last is not None:
                self._graves[last].remove(held.document)
                if not self._graves[last]:
                    del self._graves[last]
