"""Patches in (text/x-diff), and merging without writing."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.bodies import declared_length, take_bytes
from app.api.conditions import needed_base
from app.api.leaving import while_connected
from app.api.services import Services
from app.api.writing import merging_with
from app.errors import VersoError
from app.flows.add_change import Item
from app.flows.apply_patch import patch_tree, patch_version, read_patch
from app.flows.merge import Merged, check_base, merge_versions
from app.media_types import suggested_media_type
from app.supabase.identity import Actor
from app.text.merge import Style

PATCH_TYPES = {"text/x-diff", "text/x-patch"}


@post(
    "/v1/documents/{document:uuid}/merge",
    status_code=200,
    tags=["documents"],
    summary="What merging would give, without writing",
    request_max_body_size=None,
)
async def preview_merge(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    style: Annotated[
        Literal["merge", "diff3"],
        QueryParameter(description="diff3 shows the base between the markers as well."),
    ] = "merge",
) -> Merged:
    """The body is your text, `If-Match` the version that it was made from. Nothing is stored.

    `clean`, or `conflicts` with line numbers and a text with markers.
    """
    base = needed_base(request, "the version that your text was made from")
    merging = merging_with(services, actor)
    yours = await take_text(request, limit=merging.limit)
    merged, _ = await while_connected(
        request,
        merge_versions(merging, document=str(document), base=base, yours=yours, style=Style(style)),
    )
    return merged


async def patched_items(
    request: Request[Any, Any, Any], services: Services, *, actor: Actor, project: str, at: str | None
) -> list[Item]:
    """The items of a change whose body is a patch of many files, made against the tree at a point."""
    limit = services.settings.max_diff_size
    data = await take_text(request, limit=limit)
    patches = await read_patch(services.workers, data=data)
    items = await while_connected(
        request,
        patch_tree(
            services.ledger,
            services.blobs,
            services.workers,
            actor=actor,
            project=project,
            patches=patches,
            at=at,
            limit=limit,
        ),
    )
    return [
        msgspec.structs.replace(item, media_type=suggested_media_type(item.path or ""))
        if item.create
        else item
        for item in items
    ]


async def patched_item(
    request: Request[Any, Any, Any], services: Services, *, actor: Actor, document: str
) -> Item:
    """The item of a change whose body is a patch of one document, made against the version in If-Match."""
    base = needed_base(request, "the version that the patch was made from")
    limit = services.settings.max_diff_size
    data = await take_text(request, limit=limit)
    patches = await read_patch(services.workers, data=data)
    if len(patches) != 1:
        raise VersoError(
            "patch_rejected",
            f"The patch is of {len(patches)} files. Send it to the project's changes, or one file's part.",
        )
    read = await services.ledger.read_version(actor.token, document=document, at=base)
    check_base(read, base)
    return await patch_version(
        services.blobs, services.workers, actor=actor, patch=patches[0], read=read, limit=limit
    )


async def take_text(request: Request[Any, Any, Any], *, limit: int) -> bytes:
    """A body in memory, looked at before it is read. Raises VersoError."""
    declared_length(request, limit=limit)
    return await take_bytes(request, limit=limit)
