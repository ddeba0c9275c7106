"""Rows that are derived from the bytes: who wrote each line, and what can be searched.

One method a SQL function, in one round trip each, as in `ledger`. Every method takes the caller's token first
and raises VersoError with the database's own code and sentence.
"""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec

from app.model import Action, ActorKind, CommitOrigin, Copy, Person, Version, VersionRead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.supabase.pool import Pool


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A version that wrote some lines."""

    hash: str
    number: int
    path: str
    change: int
    author: Person
    actor: ActorKind
    agent: str | None = None
    author_name: str | None = None
    """What its author was called then; of an imported commit, whom Git names."""
    origin: CommitOrigin | None = None
    """Of an imported change: the Git commit, and who wrote it. `author` is then who imported it."""
    authored_at: datetime
    committed_at: datetime
    summary: str
    """The first line of the change's message, at most 200 characters."""


class KeptRun(msgspec.Struct, frozen=True, array_like=True):
    """Lines from `first` on that came with version number `origin`, where the first was number `line`."""

    first: int
    origin: int
    line: int
    lines: int


class KeptBlame(msgspec.Struct, frozen=True, kw_only=True):
    """A version and what is kept of who wrote its lines; `runs` is null where nothing is."""

    read: VersionRead
    lines: int | None
    runs: list[KeptRun] | None
    origins: list[Origin] | None


class Ancestor(msgspec.Struct, frozen=True, kw_only=True):
    """A version as attribution is computed from it. Other versions are named by their numbers."""

    hash: str
    project: str
    number: int
    action: Action
    sha256: str | None
    size: int | None
    author: str
    merged_from: int | None
    restored_from: int | None
    copies: list[Copy] | None
    """The objects that may hold its bytes: none once they were erased; null of one that was just written."""
    runs: list[int] | None
    """Where its lines came from: triples of version number, line, lines; null where that isn't kept."""
    settled: list[int] | None
    """Who wrote its lines in the end, in such triples, where that is settled."""


class AttributionToKeep(msgspec.Struct, frozen=True, kw_only=True):
    """Where the lines of a version came from, as the database takes it."""

    version: str
    runs: list[int]
    added: int | None
    removed: int | None


class TextToStore(msgspec.Struct, frozen=True, kw_only=True):
    """A content as text, which the database proves by its hash."""

    sha256: str
    body: str


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """A content that isn't in the index, and where its bytes may be."""

    sha256: str
    size: int
    copies: list[Copy]


class Unsearched(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of a project that aren't in the index."""

    project: str
    contents: list[Unread]


class MarkedSnippet(msgspec.Struct, frozen=True, kw_only=True):
    """A passage whose matches stand between marks."""

    text: str
    line: int | None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A version whose text matches."""

    version: Version
    position: int
    snippets: list[MarkedSnippet]


class FoundPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what matches; `missing` counts contents that could not be searched, by reason."""

    mark: str
    items: list[Found]
    missing: dict[str, int]


class Presence(msgspec.Struct, frozen=True, array_like=True):
    """Whether a version has a text; null where its content isn't in the index."""

    number: int
    present: bool | None
    sha256: str | None


class Presences(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a document's versions, oldest first."""

    versions: list[Presence]
    unknown: list[Unread]


class Insights:
    """The derived rows of one Supabase project. What is stored twice changes nothing the second time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read_blame(
        self, token: str, *, document: str, at: str | None, first: int, last: int | None
    ) -> KeptBlame:
        """A version, and who wrote some of its lines if that is kept."""
        return await self._pool.call(
            KeptBlame, token, "read_blame", document=document, at=at, first_line=first, last_line=last
        )

    async def list_origins(self, token: str, *, document: str, numbers: Sequence[int]) -> list[Origin]:
        """Versions of a document as blame names them."""
        return await self._pool.call(
            list[Origin], token, "list_origins", document=document, numbers=list(numbers)
        )

    async def list_attributions(
        self, token: str, *, document: str, upto: int, page_size: int, ignore_kept: bool
    ) -> list[Ancestor]:
        """Versions from a number down to the nearest one that is settled."""
        return await self._pool.call(
            list[Ancestor],
            token,
            "list_attributions",
            document=document,
            upto=upto,
            page_size=page_size,
            ignore_kept=ignore_kept,
        )

    async def store_attributions(self, token: str, *, items: Sequence[AttributionToKeep]) -> None:
        """Keep where the lines of the caller's own versions came from."""
        await self._pool.rpc(token, "store_attributions", {"items": msgspec.to_builtins(items)})

    async def store_texts(
        self, token: str, *, project: str, items: Sequence[TextToStore], documents: Sequence[str] | None
    ) -> None:
        """Take in texts for search, and bring the words of documents (all unless said) up to their heads."""
        arguments = {"project": project, "items": msgspec.to_builtins(items), "documents": documents}
        await self._pool.rpc(token, "store_texts", arguments)

    async def search(
        self,
        token: str,
        *,
        project: str,
        query: str,
        latest: bool,
        prefix: str,
        author: str | None,
        since: datetime | None,
        until: datetime | None,
        before: int | None,
        before_position: int | None,
        page_size: int,
        not_text: Sequence[str],
    ) -> FoundPage:
        """Versions whose text matches, newest first."""
        return await self._pool.call(
            FoundPage,
            token,
            "search",
            project=project,
            query=query,
            latest=latest,
            prefix=prefix,
            author=author,
            since=since and since.isoformat(),
            until=until and until.isoformat(),
            before=before,
            before_position=before_position,
            page_size=page_size,
            not_text=list(not_text),
        )

    async def list_unsearched(
        self,
        token: str,
        *,
        project: str,
        latest: bool,
        prefix: str,
        not_text: Sequence[str],
        page_size: int,
    ) -> Unsearched:
        """Contents that aren't in the index yet."""
        return await self._pool.call(
            Unsearched,
            token,
            "list_unsearched",
            project=project,
            latest=latest,
            prefix=prefix,
            not_text=list(not_text),
            page_size=page_size,
        )

    async def list_occurrences(
        self, token: str, *, document: str, needle: str, after: int, page_size: int
    ) -> Presences:
        """In which versions a text occurs, oldest first."""
        return await self._pool.call(
            Presences,
            token,
            "list_occurrences",
            document=document,
            needle=needle,
            after=after,
            page_size=page_size,
        )
