"""Contents that a change names and doesn't send, because some version of the project holds them.

They are read out of storage (or the cache) and verified, and from then on are like any upload: what the
project holds is nobody's word. So a client that asked `have` first sends only what is new.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from app.flows.read_contents import fetch_located
from app.supabase.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from app.flows.add_change import Item
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.mirroring import LocatedContent, Mirroring
    from app.supabase.upload import Upload


async def take_held(
    mirroring: Mirroring,
    blobs: Blobs,
    *,
    actor: Actor,
    project: str,
    items: Sequence[Item],
    spool: Path | None,
    concurrency: int,
) -> list[Item]:
    """The items with uploads in place of what they say is held. Discard the uploads in the end.

    One round trip and the reads, none when every item brings its own. Raises VersoError `content_not_found`
    for what no version of the project holds, `content_erased`.
    """
    wanted = list(dict.fromkeys(item.held for item in items if item.held is not None))
    if not wanted:
        return list(items)
    located = await mirroring.locate_contents(actor.token, project=project, contents=wanted)
    room = asyncio.Semaphore(concurrency)

    async def take(each: LocatedContent) -> Upload:
        async with room:
            content = await fetch_located(blobs, actor=actor, project=located.project, located=each)
            with content, Intake(spool, limit=each.size) as intake:
                async for piece in content.chunks(0, content.size):
                    await intake.write(piece)
                return await intake.finish()

    taken = await asyncio.gather(*(take(each) for each in located.contents), return_exceptions=True)
    uploads = {each.sha256: each for each in taken if not isinstance(each, BaseException)}
    for each in taken:
        if isinstance(each, BaseException):
            for upload in uploads.values():
                upload.discard()
            raise each
    return [
        item
        if item.held is None
        else msgspec.structs.replace(item, upload=uploads[item.held], pending=False, held=None)
        for item in items
    ]
