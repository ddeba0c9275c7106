"""Which document each path of a commit becomes: no document is at two paths, and none is lost for a wish."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from app.git.read.identities import Document, Identities
    from app.git.read.trees import PathChange


def assign(
    identities: Identities,
    changes: Sequence[PathChange],
    wanted: Mapping[str, Document],
    *,
    takeable: Collection[str] = (),
) -> dict[str, Document]:
    """The document of each path that has something new; `takeable` paths bring back a version that there was.

    In this order: a document that is where it is wanted stays; one that is elsewhere moves, if that path
    changes, too; one that is deleted comes back, if no other stays at the path. What is left keeps the path's
    document, or goes where the ledger lets content at a free path go.
    """
    assignment = _Assignment(identities, changes, takeable)
    for suits in (assignment.stays, assignment.moves, assignment.comes_back):
        for path, document in wanted.items():
            if assignment.is_open(path, document) and suits(path, document):
                assignment.give(path, document)
    for path in assignment.new:
        if path not in assignment.given:
            assignment.give(path, assignment.otherwise(path))
    return assignment.given


class _Assignment:
    """What is given so far."""

    def __init__(
        self, identities: Identities, changes: Sequence[PathChange], takeable: Collection[str]
    ) -> None:
        self._identities = identities
        self._takeable = takeable
        self._old = {each.path for each in changes if each.old}
        self.new = {each.path: None for each in changes if each.new}
        self.given: dict[str, Document] = {}
        self._claimed: set[Document] = set()

    def give(self, path: str, document: Document) -> None:
        if document in self._claimed:
            raise AssertionError(f"{path} would be given a document that is at another path")
        self.given[path] = document
        self._claimed.add(document)

    def is_open(self, path: str, document: Document) -> bool:
        return path in self.new and path not in self.given and document not in self._claimed

    def stays(self, path: str, document: Document) -> bool:
        return self._identities.place(document) == path

    def moves(self, path: str, document: Document) -> bool:
        place = self._identities.place(document)
        return place != path and place in self._old

    def comes_back(self, path: str, document: Document) -> bool:
        last = self._identities.last_path(document)
        here = self._identities.state.get(path)
        if last is None or (here is not None and here.document not in self._claimed):
            return False
        if path not in self._takeable:
            # Content goes to the document that was deleted last at its path, whichever that is.
            return self._identities.buried(path) == document
        # Content that is written at its last path in the same change would go to this very document.
        return last == path or last not in self.new

    def otherwise(self, path: str) -> Document:
        here = self._identities.state.get(path)
        if here is not None and here.document not in self._claimed:
            return here.document
        return self._identities.successor(path)
