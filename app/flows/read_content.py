"""A version's bytes, verified: from the cache, or out of storage through the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import VersoError

if TYPE_CHECKING:
    from app.model import VersionRead
    from app.supabase.blobs import Blobs
    from app.supabase.cache import Content
    from app.supabase.identity import Actor


async def read_content(blobs: Blobs, *, actor: Actor, read: VersionRead) -> Content:
    """The bytes of a version that the database has just let the caller see; close it when done.

    Raises VersoError: `version_is_delete` when it has no bytes, `content_altered` or `content_missing` when
    storage hasn't what the version's hash says, `content_erased` when its bytes were erased.
    """
    version = read.version
    if version.sha256 is None or version.size is None:
        raise VersoError(
            "version_is_delete",
            "That version is a delete and has no content. Read the version before it, or restore that one.",
            document=version.document,
            number=version.number,
        )
    if not read.copies:
        await blobs.forget((version.project, version.sha256))
    check_readable(read)
    return await blobs.fetch(
        actor.token, key=(version.project, version.sha256), size=version.size, copies=read.copies
    )


async def read_whole(blobs: Blobs, *, actor: Actor, read: VersionRead) -> bytes:
    """All bytes of a version that is small enough for memory. Raises VersoError as `read_content` does."""
    with await read_content(blobs, actor=actor, read=read) as content:
        return await content.read()


def check_readable(read: VersionRead) -> None:
    """Raise VersoError `content_erased` when a version's bytes were erased."""
    if not read.copies:
        raise VersoError(
            "content_erased",
            "The bytes of this version were erased. The project's erasures say why; read another version.",
            sha256=read.version.sha256,
        )
