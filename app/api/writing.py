"""What every write has in common: refuse what is stale, or merge it when asked to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from litestar.params import QueryParameter

from app.api.services import Services
from app.errors import VersoError
from app.flows.add_change import Item, add_change, check_change
from app.flows.merge import Merging, add_change_merging
from app.model import Change
from app.supabase.identity import Actor

Merge = Annotated[
    Literal["auto"] | None,
    QueryParameter(
        description="auto merges a write whose base is stale with the head, if nothing conflicts."
    ),
]


def merging_with(services: Services, actor: Actor) -> Merging:
    """How to merge for somebody, within what this service allows."""
    return Merging(
        services.ledger, services.blobs, services.workers, actor, limit=services.settings.max_diff_size
    )


async def check_first(
    services: Services,
    *,
    actor: Actor,
    project: str,
    items: Sequence[Item],
    key: str | None,
    merge: str | None,
) -> None:
    """Stop what cannot be written before its bytes travel. A stale base stops only what may not be merged."""
    try:
        await check_change(services.ledger, actor=actor, project=project, items=items, idempotency_key=key)
    except VersoError as error:
        if merge is None or error.code != "stale_base":
            raise


async def write_change(
    services: Services,
    *,
    actor: Actor,
    project: str | None,
    items: Sequence[Item],
    message: str,
    key: str | None,
    merge: str | None = None,
) -> Change | None:
    """Write a change; None when everything is as asked already. Raises VersoError."""
    concurrency = services.settings.upload_concurrency
    if merge is None:
        change = await add_change(
            services.ledger,
            services.blobs,
            actor=actor,
            project=project,
            items=items,
            message=message,
            idempotency_key=key,
            concurrency=concurrency,
        )
    else:
        change = await add_change_merging(
            merging_with(services, actor),
            project=project,
            items=items,
            message=message,
            idempotency_key=key,
            concurrency=concurrency,
        )
    if change is not None:
        uploads = [item.upload for item in items if item.upload is not None]
        texts = {each.sha256: each.data for each in uploads if each.data is not None}
        services.upkeep.note(actor=actor, change=change, texts=texts)
    return change
