"""Which document each path is, as the ledger will have it: what is deleted and comes back is the same one.

"Comes back" is said of a commit's own history: what another branch deleted at a path is another document.

The ledger gives no ids ahead of time, so documents have names of their own here; those that a project has
already bring their ids along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
        self._births: dict[Document, tuple[str, str]] = {}
        self._made = 0

    @classmethod
    def at(
        cls,
        state: State,
        deleted: Iterable[tuple[str, Document]],
        births: Mapping[str, tuple[str, str]],
    ) -> Self:
        """Where a project stands: what it has, and path and document of what was deleted, oldest first.

        `births`: the commit that made each document, and the path at which it did.
        """
        identities = cls()
        identities.state = dict(state)
        identities._places = {held.document: path for path, held in state.items()}
        for path, document in deleted:
            identities._graves.setdefault(path, []).append(document)
            identities._last_paths[document] = path
        identities._births.update(births)
        return identities

    def place(self, document: Document) -> str | None:
        """Where a document is now; None when it is deleted."""
        return self._places.get(document)

    def last_path(self, document: Document) -> str | None:
        """Where a deleted document was; None when it isn't deleted."""
        return self._last_paths.get(document)

    def birth(self, document: Document) -> tuple[str, str] | None:
        """The commit that made a document, and the path at which it did; None when none has yet."""
        return self._births.get(document)

    def buried(self, path: str) -> Iterator[Document]:
        """The documents that were deleted at a path and still are, the last one first."""
        return reversed(self._graves.get(path, []))

    def make(self) -> Document:
        """A document that isn't anywhere yet."""
        self._made += 1
        return self._made

    def write(
        self, commit: str, gone: Iterable[str], come: dict[str, Held], *, deleted: Iterable[str]
    ) -> None:
        """Carry out a commit: the paths that are left, then those that have something new.

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
            self._births.setdefault(held.document, (commit, path))
            last = self._last_paths.pop(held.document, None)
            if last is not None:
                self._graves[last].remove(held.document)
                if not self._graves[last]:
                    del self._graves[last]
