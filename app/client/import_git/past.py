"""What a project holds of a history already: its imported commits, and which documents the paths were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.client.import_git.wire import ImportedCommit
from app.git.read.history import Past
from app.model import Change

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from app.client.api import Api


class _Page(msgspec.Struct, frozen=True):
    items: list[Change]
    next: int | None


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


def imported_commits(api: Api, home: str) -> list[str]:
    """The imported commits in their order."""
    return [
        each.origin_id for each in api.pages(f"{home}/imports/git/commits", kind=ImportedCommit, limit=200)
    ]


def whole_history(api: Api, home: str, *, upto: int) -> Iterator[Change]:
    """Changes with their versions, oldest first, up to a number."""
    after: int | None = 0
    while after is not None and after < upto:
        page = api.get(f"{home}/history", kind=_Page, after=after)
        for change in page.items:
            if change.sequence <= upto:
                yield change
        after = page.next


def read_past(api: Api, home: str, *, upto: int, needed: Collection[str]) -> Past:
    """Which documents the paths were after the needed commits, and which ones are deleted."""
    replay = Replay()
    documents: dict[str, dict[str, str]] = {}
    for change in whole_history(api, home, upto=upto):
        replay.follow(change)
        if change.origin is not None and change.origin.id in needed:
            documents[change.origin.id] = dict(replay.paths)
    deleted = [(path, document) for document, path in replay.deleted.items()]
    return Past(documents=documents, deleted=deleted, births=replay.births)
