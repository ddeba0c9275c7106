"""A patch as a change: parsed by unidiff behind a screen, applied strictly to a named base, never with fuzz.

The base is a point in the project's history (or a version of one document). What the patch says of its
bases and results (git's blob names) is checked. Where the head has moved on since, merging decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import VersoError
from app.flows.add_change import Item
from app.flows.read_content import read_whole
from app.flows.side_by_side import side_by_side
from app.model import nfc, normal_path
from app.supabase.upload import Upload
from app.text.errors import PatchRejectedError, PatchUnreadableError, TookTooLongError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.model import VersionRead
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger
    from app.text.bounded import TextWorkers
    from app.text.patch import FilePatch


AT_ONCE = 8
"""How many files of a patch are read and patched at the same time."""
WHOLE = 4


async def read_patch(workers: TextWorkers, *, data: bytes) -> Sequence[FilePatch]:
    """The files of a patch. Raises VersoError `patch_unreadable` with the place."""
    try:
        return await workers.parse_patch(data)
    except (PatchUnreadableError, TookTooLongError) as error:
        raise VersoError("patch_unreadable", str(error)) from None


async def patch_tree(
    ledger: Ledger,
    blobs: Blobs,
    workers: TextWorkers,
    *,
    actor: Actor,
    project: str,
    patches: Sequence[FilePatch],
    at: str | None,
    limit: int,
) -> list[Item]:
    """The items of a change that does what a patch of many files says, made against the tree at a point.

    Raises VersoError: `document_not_found` for a file that wasn't there, `patch_rejected` with file, hunk and
    reason, `diff_too_large` beyond `limit` bytes of one file, or WHOLE times that of all together: a small
    patch of many large files must not fill the memory.
    """
    left = WHOLE * limit

    async def item(patch: FilePatch) -> Item:
        nonlocal left
        if patch.old_path is None:
            text = await _apply(workers, patch, b"")
            return Item(path=normal_path(patch.path), create=True, upload=Upload.of(text))
        path = normal_path(patch.old_path)
        read = await ledger.read_file(actor.token, project=project, path=path, at=at)
        left -= read.version.size or 0
        if left < 0:
            raise _too_large(WHOLE * limit)
        return await patch_version(blobs, workers, actor=actor, patch=patch, read=read, limit=limit)

    return await side_by_side(item, patches, most=AT_ONCE)


async def patch_version(
    blobs: Blobs, workers: TextWorkers, *, actor: Actor, patch: FilePatch, read: VersionRead, limit: int
) -> Item:
    """The item that does to one version's document what a patch of one file says. Raises VersoError."""
    version = read.version
    if (version.size or 0) > limit:
        raise _too_large(limit)
    text = await _apply(workers, patch, await read_whole(blobs, actor=actor, read=read))
    if patch.new_path is None:
        return Item(document=version.document, base=version.hash, delete=True)
    # Names of local files are nobody's business: only a patch that speaks of this path can move it.
    is_named = nfc(patch.old_path or "") == version.path
    return Item(
        document=version.document,
        base=version.hash,
        path=normal_path(patch.new_path) if is_named and patch.new_path != patch.old_path else None,
        media_type=version.media_type,
        upload=Upload.of(text),
    )


async def _apply(workers: TextWorkers, patch: FilePatch, base: bytes) -> bytes:
    try:
        return await workers.apply_patch(base, patch)
    except PatchRejectedError as error:
        raise VersoError(
            "patch_rejected",
            f"The patch does not apply: {error} Nothing was changed. Make it against the base that you name.",
            path=patch.path,
            hunk=error.hunk,
        ) from None
    except TookTooLongError as error:
        raise VersoError("patch_unreadable", str(error)) from None


def _too_large(limit: int) -> VersoError:
    return VersoError(
        "diff_too_large",
        f"Contents beyond {limit:,} bytes are not patched. Upload the new content.",
        limit=limit,
    )
