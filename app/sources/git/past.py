"""What a project holds of a history already: its imported commits, and which documents the paths were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.git.read.history import Past

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from app.model import Change
    from app.sources.git.target import Target


class Replay:
    """A project's paths, change by change."""

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}
        """The document at each path."""
        self.deleted: dict[str, str] = {}
        """The last path of each deleted document, in the order in which they were."""
        self.births: dict[str, tuple[str, str]] = {}
        """The Git commit that made each document, and the path at which it did."""
        self._places: dict[str, str] = {}

    def follow(self, change: Change) -> list[str]:
        """Carry out a change; the paths that its documents were at before."""
        left = []
        for version in change.versions:
            place = self._places.pop(version.document, None)
            if place is not None:
                left.append(place)
                self.paths.pop(place, None)
        origin = change.origin.id if change.origin else ""
        for version in change.versions:
            self.births.setdefault(version.document, (origin, version.path))
            self.deleted.pop(version.document, None)
            if version.sha256 is None:
                self.deleted[version.document] = version.path
            else:
                self.paths[version.path] = version.document
                self._places[version.document] = version.path
        return left


def whole_history(target: Target, *, upto: int) -> Iterator[Change]:
    """Changes with their versions, oldest first, up to a number."""
    after: int | None = 0
    while after is not None and after < upto:
        page = target.history(after)
        for change in page.items:
            if change.sequence <= upto:
                yield change
        after = page.next


def read_past(target: Target, *, upto: int, needed: Collection[str]) -> Past:
    """Which documents the paths were after the needed commits, and which ones are deleted."""
    replay = Replay()
    documents: dict[str, dict[str, str]] = {}
    for change in whole_history(target, upto=upto):
        replay.follow(change)
        if change.origin is not None and change.origin.id in needed:
            documents[change.origin.id] = dict(replay.paths)
    deleted = [(path, document) for document, path in replay.deleted.items()]
    return Past(documents=documents, deleted=deleted, births=replay.births)
