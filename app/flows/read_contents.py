"""Many contents of a project as one tar: each named by its SHA-256, each verified before it leaves.

It streams: a few megabytes of memory however much is asked for. Contents come from the cache where they are
there, else out of storage, a few at a time and ahead of their turn.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from app.errors import VersoError
from app.flows.fetch_ahead import fetch_ahead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.supabase.blobs import Blobs
    from app.supabase.cache import Content
    from app.supabase.identity import Actor
    from app.supabase.mirroring import LocatedContent, LocatedContents

_BLOCK = 512
_GATHERED = 64 * 1024
"""Small contents leave together, because each piece of an answer costs the server as much as a large one."""


async def fetch_located(blobs: Blobs, *, actor: Actor, project: str, located: LocatedContent) -> Content:
    """The verified bytes of one content; close it when done.

    Raises VersoError `content_erased`, and what `Blobs.fetch` raises.
    """
    if not located.copies:
        await blobs.forget((project, located.sha256))
        raise VersoError(
            "content_erased",
            "The bytes of this content were erased. The project's erasures say why.",
            sha256=located.sha256,
        )
    return await blobs.fetch(
        actor.token, key=(project, located.sha256), size=located.size, copies=located.copies
    )


async def each_content(
    blobs: Blobs, *, actor: Actor, located: LocatedContents, ahead: int
) -> AsyncIterator[tuple[LocatedContent, Content]]:
    """Each located content with its bytes, in order, without those erased; the caller closes it."""

    async def wanted() -> AsyncIterator[LocatedContent]:
        for each in located.contents:
            if each.copies:
                yield each

    async def fetch(each: LocatedContent) -> Content:
        return await fetch_located(blobs, actor=actor, project=located.project, located=each)

    async for pair in fetch_ahead(wanted(), fetch, ahead=ahead):
        yield pair


async def read_contents(
    blobs: Blobs, *, actor: Actor, located: LocatedContents, ahead: int
) -> AsyncIterator[bytes]:
    """The tar's bytes. What was erased is left out.

    Raises VersoError when a content cannot be had: the tar then lacks its end (two empty blocks), so nobody
    takes it for whole.
    """
    gathered = bytearray()
    async for each, content in each_content(blobs, actor=actor, located=located, ahead=ahead):
        with content:
            entry = tarfile.TarInfo(each.sha256)
            entry.size = content.size
            gathered += entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
            async for piece in content.chunks(0, content.size):
                gathered += piece
                if len(gathered) >= _GATHERED:
                    yield bytes(gathered)
                    gathered.clear()
            gathered += bytes(-content.size % _BLOCK)
    yield bytes(gathered) + bytes(2 * _BLOCK)
