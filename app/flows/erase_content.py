"""Erase a content's bytes: recorded first, then deleted, then noted as gone.

1  The owner repeats the hash that the preview told; the database records the erasure, and from then on gives
   the content's objects to nobody and takes it back from nobody.
2  This process forgets what it holds of it.
3  Storage deletes the objects, under the owner's own token.
4  The database looks that none is left, and notes it.

What breaks off after 1 is a pending erasure. The same request goes on with it, from any owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from app.errors import VersoError

if TYPE_CHECKING:
    from app.flows.forget import Forgetter
    from app.supabase.blobs import Blobs
    from app.supabase.erasures import Erasing, Erasures
    from app.supabase.identity import Actor

log = structlog.get_logger(__name__)

_NOT_NOW = frozenset({"storage_unavailable", "storage_failed", "forbidden"})


async def erase_content(
    erasures: Erasures,
    blobs: Blobs,
    forgetter: Forgetter,
    *,
    actor: Actor,
    project: str,
    sha256: str | None,
    version: str | None,
    reason: str,
    confirm: str | None,
) -> Erasing:
    """The erasure; with `objects` when storage could not delete all of them now.

    Raises VersoError `erasure_unconfirmed` unless `confirm` is the content's SHA-256, `bad_erasure`, and what
    the database refuses.
    """
    wanted = await erasures.preview_erasure(actor.token, project=project, sha256=sha256, version=version)
    if confirm != wanted.sha256:
        raise VersoError(
            "erasure_unconfirmed",
            "Erased bytes never come back. Look at what this touches, then repeat the content's SHA-256 as "
            "`confirm`.",
            sha256=wanted.sha256,
            versions=wanted.versions,
            documents=wanted.documents,
            heads=wanted.heads,
        )
    erasing = await erasures.erase_content(actor.token, project=project, sha256=wanted.sha256, reason=reason)
    erasure = erasing.erasure
    log.info("content.erased", project=erasure.project, sha256=erasure.sha256, by=actor.id)
    await forgetter.content(erasure.project, erasure.sha256)
    try:
        await blobs.delete(actor.token, erasing.objects)
    except VersoError as error:
        if error.code not in _NOT_NOW:
            raise
        log.warning("content.bytes_not_deleted", project=erasure.project, sha256=erasure.sha256)
        return erasing
    return await erasures.finish_erasure(actor.token, project=erasure.project, erasure=erasure.id)
