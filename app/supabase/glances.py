"""What pages show, in one round trip: for all entries of a list, or for a whole page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.model import ChangeSummary, Document, LoggedChange, Project, Tag, Tree, Version, VersionRead
from app.model.pipelines import Pipeline
from app.supabase.answers import Compared
from app.supabase.reviews import DocumentComments, Review, Reviewed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.supabase.pool import Pool


class OverviewPage(msgspec.Struct, frozen=True):
    """What a project's first page shows."""

    project: Project
    tree: Tree
    """The first 1000 paths."""
    sessions: list[Pipeline]
    """At most 31."""
    tags: list[Tag]
    """At most 100."""
    recent: list[LoggedChange]
    """The newest, at most 8."""


class DocumentPage(VersionRead, frozen=True, kw_only=True):
    """The version that a document's page shows, and the verdicts on it that count."""

    verdicts: list[Review]
    """Oldest first, without their reasons."""


class HistoryPage(msgspec.Struct, frozen=True):
    """What the page of a document's history shows."""

    project: Project
    document: Document
    versions: list[Version]
    verdicts: list[Review]
    """Those on these versions that count, oldest first, without their reasons."""
    tags: list[Tag]
    """The project's, at most 1000."""


class DiffPage(msgspec.Struct, frozen=True):
    """What the page of a document's difference shows, beside the lines."""

    project: Project
    sides: Compared
    comments: DocumentComments
    """At most 200, as beside the newer side."""
    reviews: Reviewed
    """At most 50 of the newer side's."""


class Glances:
    """Rows beside rows. The caller's token decides what is there, as everywhere."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_summaries(
        self, token: str, changes: Iterable[tuple[str, int]]
    ) -> dict[tuple[str, int], ChangeSummary]:
        """The changes of these projects (ids) and numbers; those that the caller may not see are missing.

        At most 1,000 of them: the database refuses more. Asks nothing when there are none.
        """
        wanted = sorted(set(changes))
        if not wanted:
            return {}
        found = await self._pool.call(
            list[ChangeSummary],
            token,
            "list_summaries",
            projects=[project for project, _ in wanted],
            sequences=[sequence for _, sequence in wanted],
        )
        return {(each.project, each.sequence): each for each in found}

    async def read_overview_page(self, token: str, *, project: str, at: str | None) -> OverviewPage:
        """A project with its tree at a point, its sessions, tags and newest changes."""
        return await self._pool.call(OverviewPage, token, "read_overview_page", project=project, at=at)

    async def read_document_page(
        self, token: str, *, project: str, path: str, at: str | None
    ) -> DocumentPage:
        """The version that a path has, now or at a point, as `Ledger.read_file` finds it."""
        return await self._pool.call(
            DocumentPage, token, "read_document_page", project=project, path=path, at=at
        )

    async def read_history_page(
        self, token: str, *, project: str, document: str, before: int | None, page_size: int
    ) -> HistoryPage:
        """A document's versions, newest first, with all that stands around them."""
        return await self._pool.call(
            HistoryPage,
            token,
            "read_history_page",
            project=project,
            document=document,
            before=before,
            page_size=page_size,
        )

    async def read_diff_page(
        self, token: str, *, project: str, document: str, older: str | None, newer: str | None
    ) -> DiffPage:
        """Two versions as `compare_versions` finds them, and what was said of the newer one."""
        return await self._pool.call(
            DiffPage,
            token,
            "read_diff_page",
            project=project,
            document=document,
            from_point=older,
            to_point=newer,
        )
