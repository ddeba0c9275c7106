"""Erasures as the database knows them: one method a use case, named like the SQL function that it calls.

Every method takes the caller's token first and raises VersoError with the database's own code and sentence.
"""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec

from app.model import Person

if TYPE_CHECKING:
    from app.supabase.pool import Pool


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """A content whose bytes were erased for legal reasons."""

    id: str
    project: str
    sequence: int
    """The event that tells of it."""
    sha256: str
    size: int
    """Bytes that it had."""
    reason: str
    versions: int
    """How many versions had this content then."""
    erased_by: Person
    erased_at: datetime
    """Since when nobody is given the bytes."""
    finished_at: datetime | None
    """When storage had none of its objects any more; null: some are still to be deleted."""


class TouchedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that has the content."""

    document: str
    number: int
    version: str
    path: str
    change: int
    head: bool
    """Whether its document is this now."""


class ErasurePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What erasing a content would touch. Every hash stays; the bytes of these versions go."""

    sha256: str
    """Repeat it as `confirm`."""
    size: int
    versions: int
    documents: int
    heads: int
    """How many documents are this now, and can't be read until somebody writes their next version."""
    tags: int
    comments: int
    """How many comments stand at these versions. Their texts stay: their authors may retract them."""
    items: list[TouchedVersion]
    """The newest 1,000 of the versions."""
    erasure: Erasure | None
    """That it was erased already."""


class Erasing(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure, and the objects that storage still has of it."""

    erasure: Erasure
    objects: list[str]


class Erasures:
    """The erasures of one Supabase project."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def preview_erasure(
        self, token: str, *, project: str, sha256: str | None, version: str | None
    ) -> ErasurePreview:
        """What erasing a content, or that of a version, would touch; owners."""
        return await self._pool.call(
            ErasurePreview, token, "preview_erasure", project=project, content=sha256, version=version
        )

    async def erase_content(self, token: str, *, project: str, sha256: str, reason: str) -> Erasing:
        """Record that a content is erased, and let its objects go; a repeat finds what is left."""
        return await self._pool.call(
            Erasing, token, "erase_content", project=project, content=sha256, reason=reason
        )

    async def finish_erasure(self, token: str, *, project: str, erasure: str) -> Erasing:
        """Note that its objects are gone, if they are."""
        return await self._pool.call(Erasing, token, "finish_erasure", project=project, erasure=erasure)

    async def list_erasures(
        self, token: str, *, project: str, pending: bool, before: int | None, page_size: int
    ) -> list[Erasure]:
        """A project's erasures, newest first; or those whose objects are not all gone."""
        return await self._pool.call(
            list[Erasure],
            token,
            "list_erasures",
            project=project,
            pending=pending,
            before=before,
            page_size=page_size,
        )

    async def count_erasures(self, token: str, *, project: str) -> int:
        """How many contents of a project were erased."""
        return await self._pool.call(int, token, "count_erasures", project=project)
