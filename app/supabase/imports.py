"""Rows of imported history: one method a SQL function of migration 1700, in one round trip each.

Every method takes the caller's token first and raises VersoError with the database's own code and sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from app.model import Copy
from app.model.imports import ImportAnswer, ImportedCommit, ImportState

if TYPE_CHECKING:
    from app.supabase.pool import Pool


class KnownContent(msgspec.Struct, frozen=True, kw_only=True):
    """A content, and the objects that hold it already."""

    sha256: str
    copies: list[Copy]


class PreparedImport(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says of a batch before its bytes travel."""

    project: str
    known: int
    """How many of its commits are there already."""
    contents: list[KnownContent]


class Imports:
    """The imported history of one Supabase project."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def prepare_import(
        self, token: str, *, project: str, after: str | None, origin_ids: list[str], contents: list[str]
    ) -> PreparedImport:
        """Check role and place of a batch before any bytes travel, and ask which contents are there."""
        # after is an argument even when there is none
        answer = await self._pool.rpc(
            token,
            "prepare_import",
            {"project": project, "after": after, "origin_ids": origin_ids, "contents": contents},
        )
        return msgspec.convert(answer, PreparedImport)

    async def import_changes(
        self, token: str, *, project: str, after: str | None, changes: list[dict[str, Any]]
    ) -> ImportAnswer:
        """Write a batch of commits in one transaction. Repeats write once."""
        answer = await self._pool.rpc(
            token, "import_changes", {"project": project, "after": after, "changes": changes}
        )
        return msgspec.convert(answer, ImportAnswer)

    async def read_import(self, token: str, *, project: str) -> ImportState:
        """Where a project's import stands."""
        return await self._pool.call(ImportState, token, "read_import", project=project)

    async def list_imports(
        self, token: str, *, project: str, after: int | None, page_size: int
    ) -> list[ImportedCommit]:
        """The imported commits in the order of their changes."""
        return await self._pool.call(
            list[ImportedCommit], token, "list_imports", project=project, after=after, page_size=page_size
        )
