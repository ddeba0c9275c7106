"""Rows in bulk, for whoever keeps a copy: whole changes in order, and where contents are.

One method a SQL function, in one round trip each, as in `ledger`. Every method takes the caller's token first
and raises VersoError with the database's own code and sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.model import Copy, MirroredChange

if TYPE_CHECKING:
    from app.supabase.pool import Pool

MAX_ASKED = 10_000
"""The most contents that one question may name; the database refuses more."""
MAX_LOCATED = 1_000


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Whole changes, oldest first. A page holds fewer than were asked for when they are heavy."""

    newest: int
    """Number of the project's newest change; 0 before the first."""
    changes: list[MirroredChange]


class LocatedContent(msgspec.Struct, frozen=True, kw_only=True):
    """A content and the objects that may hold its bytes: none once they were erased."""

    sha256: str
    size: int
    copies: list[Copy]


class LocatedContents(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of one project, in the order that they were asked for."""

    project: str
    contents: list[LocatedContent]


class Mirroring:
    """The rows of one Supabase project, read in bulk."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_history(self, token: str, *, project: str, after: int, page_size: int) -> HistoryPage:
        """The changes that follow a change (0 for all), with their versions."""
        return await self._pool.call(
            HistoryPage, token, "list_history", project=project, after=after, page_size=page_size
        )

    async def list_held(self, token: str, *, project: str, contents: list[str]) -> list[str]:
        """Those of up to 10,000 contents that a version of the project holds."""
        return await self._pool.call(list[str], token, "list_held", project=project, contents=contents)

    async def locate_contents(self, token: str, *, project: str, contents: list[str]) -> LocatedContents:
        """Where up to 1,000 contents are. Raises VersoError `content_not_found` for one of elsewhere."""
        return await self._pool.call(
            LocatedContents, token, "locate_contents", project=project, contents=contents
        )
