"""A folder or a whole project back to a point, as one new change: restores, moves back and deletes."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    Two round trips, three for a key where nothing is left to do. Whoever writes in between wins: the change
    is then refused as stale, and nothing was changed. Raises VersoError, `too_many_files` beyond `limit`
    documents.
    """
    planned = await ledger.plan_restore(actor.token, project=project, at=at, prefix=prefix)
    fits = 0 < len(planned.items) <= limit
    if not fits and not await _was_written(
        ledger, actor=actor, project=project, idempotency_key=idempotency_key
    ):
        if not planned.items:
            return None
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
        message=message or f"Restore {prefix or 'everything'} to change {planned.sequence}",
        idempotency_key=key_of(idempotency_key),
        request={"restore": planned.sequence, "prefix": prefix},
    )


async def _was_written(ledger: Ledger, *, actor: Actor, project: str, idempotency_key: str | None) -> bool:
    """Whether this key has written something: a repeat finds another state, and plans other items or none."""
    if idempotency_key is None:
        return False
    prepared = await ledger.prepare_change(
        actor.token, project=project, items=[], idempotency_key=idempotency_key
    )
    return prepared.repeat_of is not None
