"""A folder or a whole project back to a point, as one new change: restores, moves back and deletes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.supabase.pool import key_of

if TYPE_CHECKING:
    from app.model import Change
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger


async def restore_tree(
    ledger: Ledger,
    *,
    actor: Actor,
    project: str,
    at: str,
    prefix: str,
    message: str,
    idempotency_key: str | None,
    limit: int,
) -> Change | None:
    """Everything below a prefix as it was at a point; None when it is so already. No bytes are copied.

    Two round trips, three with a key. Whoever writes in between wins: the change is then refused as stale,
    and nothing was changed. Raises VersoError, `too_many_files` beyond `limit` documents.
    """
    planned = await ledger.plan_restore(actor.token, project=project, at=at, prefix=prefix)
    message = message or f"Restore {prefix or 'everything'} to change {planned.sequence}"
    if idempotency_key is not None:
        # The first request has changed what the plan is made from, so a repeat's plan is another one.
        prepared = await ledger.prepare_change(
            actor.token, project=project, items=[], idempotency_key=idempotency_key
        )
        if prepared.repeat_of is not None:
            return await _repeated(
                ledger,
                actor=actor,
                project=prepared.project,
                sequence=prepared.repeat_of,
                point=planned.sequence,
                prefix=prefix,
                message=message,
            )
    if not planned.items:
        return None
    if len(planned.items) > limit:
        raise VersoError(
            "too_many_files",
            f"This would write more than {limit:,} documents, which is what one change may hold. "
            "Restore it folder by folder.",
            limit=limit,
        )
    return await ledger.commit_change(
        actor.token,
        project=project,
        items=planned.items,
        message=message,
        idempotency_key=key_of(idempotency_key),
    )


async def _repeated(
    ledger: Ledger, *, actor: Actor, project: str, sequence: int, point: int, prefix: str, message: str
) -> Change:
    """What the key wrote, if that brought this prefix to this point. Raises `idempotency_key_reused`."""
    written = await ledger.read_change(actor.token, project=project, sequence=sequence)
    left = await ledger.compare_trees(
        actor.token,
        project=project,
        older=str(point),
        newer=str(sequence),
        prefix=prefix,
        after=None,
        page_size=1,
    )
    if written.message != message or left.pairs:
        raise VersoError(
            "idempotency_key_reused",
            "This Idempotency-Key was used for another change. Use a new key for a new change.",
            change=sequence,
        )
    return msgspec.structs.replace(written, diffstat=None)  # as it was answered first
