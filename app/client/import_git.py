"""The project that a history goes into, on a server that is asked over HTTP."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from app.client.bulk import asked_contents
from app.client.history import home_of
from app.client.multipart import Multipart, Part
from app.model import Tag
from app.model.imports import Batch, ImportAnswer, ImportedCommit, ImportState
from app.progress import Progress, no_progress
from app.sources.git.batches import MOST_COMMITS
from app.sources.git.run import GitImport
from app.sources.git.target import ChangesRead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from app.client.api import Api
    from app.git.read.history import History
    from app.sources.git.target import TagSent


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    contents: list[str] = msgspec.field(name="have")


def import_into(
    api: Api,
    project: str,
    history: History,
    *,
    source: str,
    progress: Progress = no_progress,
    batch: int = MOST_COMMITS,
) -> GitImport:
    """A history on its way into a project of a server."""
    target = Server(api, project)
    return GitImport(target, history, source=source, progress=progress, batch=batch, fetch=target.contents)


class Server:
    """A `Target` behind HTTP."""

    def __init__(self, api: Api, project: str) -> None:
        self._api = api
        self._home = home_of(project)
        self.project = project

    def state(self) -> ImportState:
        """Where the import stands."""
        return self._api.get(f"{self._home}/imports/git", kind=ImportState)

    def commits(self) -> list[str]:
        """The imported commits in their order."""
        pages = self._api.pages(f"{self._home}/imports/git/commits", kind=ImportedCommit)
        return [each.origin_id for each in pages]

    def history(self, after: int) -> ChangesRead:
        """Some of the changes that follow a change."""
        return self._api.get(f"{self._home}/history", kind=ChangesRead, after=after)

    def held(self, contents: Sequence[str]) -> set[str]:
        """Those of the contents that the project has."""
        asked = {"sha256": list(contents)}
        return set(self._api.post(f"{self._home}/have", asked, kind=_Held, again=True).contents)

    def send(self, batch: Batch, contents: Mapping[str, bytes]) -> ImportAnswer:
        """Send a batch; it may be sent again when the answer is lost."""
        parts = [Part.of("batch", msgspec.json.encode(batch), media_type="application/json")]
        parts += [
            Part.of(sha256, data, filename=sha256, media_type="application/octet-stream")
            for sha256, data in contents.items()
        ]
        body = Multipart(parts)
        return self._api.ask(
            "POST", f"{self._home}/imports/git", content=body.pieces, headers=body.headers, again=True
        ).json(ImportAnswer)

    def tags(self) -> set[str]:
        """The names of the project's tags."""
        return {tag.name for tag in self._api.pages(f"{self._home}/tags", kind=Tag)}

    def make_tag(self, tag: TagSent) -> None:
        """Make a tag."""
        given = {"name": tag.name, "at": tag.at, "message": tag.message}
        self._api.post(f"{self._home}/tags", given | ({"origin": tag.origin} if tag.origin else {}))

    @contextmanager
    def contents(self, wanted: Sequence[str]) -> Iterator[Iterator[tuple[str, int, Iterator[bytes]]]]:
        """The bytes of contents, for the whole proof."""
        with asked_contents(self._api, self._home, wanted) as members:
            yield members
