"""Which document each path of a commit becomes: no document is at two paths, and none is lost for a wish."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from app.git.read.identities import Document, Identities
    from app.git.read.trees import PathChange


def assign(
    identities: Identities,
    changes: Sequence[PathChange],
    wishes: Iterable[tuple[str, Document]],
    *,
    is_known: Callable[[Document], bool],
) -> dict[str, Document]:
    """The document of each path that has something after some changes.

    Wishes are granted in their order, each path and each document once, and no document that stays where
    nothing changes. What is left keeps the path's document, or goes to the last one that was deleted at the
    path, if `is_known` says that the commit's own history had it; else it is a new document.
    """
    given: dict[str, Document] = {}
    claimed: set[Document] = set()
    open_paths = {each.path for each in changes} | {None}
    for path, document in wishes:
        if path not in given and document not in claimed and identities.place(document) in open_paths:
            given[path] = document
            claimed.add(document)
    for path in (each.path for each in changes if each.new):
        if path in given:
            continue
        known = (each for each in _at(identities, path) if each not in claimed and is_known(each))
        found = next(known, None)
        given[path] = identities.make() if found is None else found
        claimed.add(given[path])
    return given


def _at(identities: Identities, path: str) -> Iterator[Document]:
    """The documents that are or were at a path."""
    here = identities.state.get(path)
    if here is not None:
        yield here.document
    yield from identities.buried(path)
