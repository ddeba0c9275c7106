"""Contents that a change names and doesn't send, because some version of the project holds them.

They are read out of storage (or the cache) and verified, and from then on are like any upload: what the
project holds is nobody's word. So a client that asked `have` first sends only what is new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.flows.read_contents import fetch_located
from app.flows.side_by_side import side_by_side
from app.supabase.cache import IN_MEMORY_SIZE
from app.supabase.intake import Intake
from app.supabase.mirroring import MAX_LOCATED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from app.flows.add_change import Item
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.mirroring import LocatedContent, Mirroring
    from app.supabase.upload import Upload

MOST_IN_MEMORY = 256
"""Up to so many contents wait in memory, of at most 256 KiB each."""


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

    A round trip for each thousand and the reads, none when every item brings its own. Raises VersoError
    `content_not_found` for what no version of the project holds, `content_erased`.
    """
    wanted = list(dict.fromkeys(item.held for item in items if item.held is not None))
    if not wanted:
        return list(items)
    found: list[tuple[str, LocatedContent]] = []
    for start in range(0, len(wanted), MAX_LOCATED):
        asked = wanted[start : start + MAX_LOCATED]
        located = await mirroring.locate_contents(actor.token, project=project, contents=asked)
        found += [(located.project, each) for each in located.contents]
    uploads: dict[str, Upload] = {}
    # Few wait in memory; of thousands each waits in a file.
    in_memory = IN_MEMORY_SIZE if len(wanted) <= MOST_IN_MEMORY else 0

    async def take(one: tuple[str, LocatedContent]) -> None:
        home, located = one
        content = await fetch_located(blobs, actor=actor, project=home, located=located)
        with content, Intake(spool, limit=located.size, in_memory=in_memory) as intake:
            async for piece in content.chunks(0, content.size):
                await intake.write(piece)
            uploads[located.sha256] = await intake.finish()

    try:
        await side_by_side(take, found, most=concurrency)
    except BaseException:  # also who is cancelled leaves no files behind
        for upload in uploads.values():
            upload.discard()
        raise
    return [
        item
        if item.held is None
        else msgspec.structs.replace(item, upload=uploads[item.held], pending=False, held=None)
        for item in items
    ]
