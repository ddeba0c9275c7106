"""Changes: many documents in one atomic write, and the project's log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.bodies import (
    SMALL_BODY,
    ChangeBody,
    check_idempotency_key,
    check_message,
    declared_length,
    item_of,
    take_struct,
)
from app.api.files import MessageQuery
from app.api.links import Page, page_of, position_of
from app.api.multipart import Form, too_many
from app.api.paging import Cursor, Limit, page_size
from app.api.patches import PATCH_TYPES, patched_items
from app.api.services import Services
from app.api.writing import Merge, check_first, write_change
from app.errors import VersoError
from app.flows.add_change import Item
from app.flows.find_moves import FoundMove, find_moves
from app.flows.read_change import Counting, diffstat_of_adds
from app.flows.read_change import read_change as read_change_counted
from app.flows.take_held import take_held
from app.model import Change, LoggedChange
from app.supabase.identity import Actor


class ChangeWritten(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change that was written; null when everything was as asked already.

    `moves` are those that `detect=moves` found.
    """

    change: Change | None
    moves: list[FoundMove] = []


@post(
    "/v1/projects/{project:str}/changes",
    tags=["changes"],
    summary="Write many documents in one atomic change",
    request_max_body_size=None,
)
async def post_change(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    merge: Merge = None,
    base: Annotated[
        str | None, QueryParameter(description="For a patch: the point in history that it was made against.")
    ] = None,
    message: MessageQuery = "",
    detect: Annotated[
        Literal["moves"] | None,
        QueryParameter(
            description="moves takes a delete and an add of the same or half the same content for a move."
        ),
    ] = None,
) -> Response[ChangeWritten]:
    """All of it or nothing.

    multipart/form-data streams any number of files; JSON is for small texts; a patch of any number of files
    (text/x-diff) is applied strictly to the tree at `base`.

    See the schema of ChangeBody for items. Every item that isn't as it must be is named in the answer.
    """
    settings = services.settings
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    key = check_idempotency_key(request)

    async def check(items: list[Item]) -> None:
        await check_first(services, actor=actor, project=project, items=items, key=key, merge=merge)

    if kind == "application/json":
        declared_length(request, limit=settings.max_json_size)
        body = await take_struct(request, settings, ChangeBody)
        return await _add(
            services, actor, project, body.message, [item_of(each) for each in body.items], key, merge, detect
        )
    if kind in PATCH_TYPES:
        check_message(message, settings)
        items = await patched_items(request, services, actor=actor, project=project, at=base)
        return await _add(services, actor, project, message, items, key, merge, detect)
    if kind != "multipart/form-data":
        raise VersoError(
            "bad_media_type",
            "Send a change as multipart/form-data, application/json or text/x-diff (a patch).",
        )
    length = declared_length(request, limit=settings.max_change_size)
    form = Form(settings, check if length is None or length > SMALL_BODY else None)
    try:
        message, items = await form.read(request)
        return await _add(services, actor, project, message, items, key, merge, detect)
    finally:
        form.discard()


async def _add(
    services: Services,
    actor: Actor,
    project: str,
    message: str,
    items: list[Item],
    key: str | None,
    merge: str | None,
    detect: str | None,
) -> Response[ChangeWritten]:
    settings = services.settings
    check_message(message, settings)
    if not items:
        raise VersoError("bad_change", "A change has at least one item.")
    if len(items) > settings.max_files_per_change:
        raise too_many(settings.max_files_per_change)
    items = await take_held(
        services.mirroring,
        services.blobs,
        actor=actor,
        project=project,
        items=items,
        spool=settings.spool_dir,
        concurrency=settings.upload_concurrency,
    )
    try:
        return await _write(services, actor, project, message, items, key, merge, detect)
    finally:
        for item in items:
            if item.upload is not None:
                item.upload.discard()


async def _write(
    services: Services,
    actor: Actor,
    project: str,
    message: str,
    items: list[Item],
    key: str | None,
    merge: str | None,
    detect: str | None,
) -> Response[ChangeWritten]:
    moves: list[FoundMove] = []
    if detect is not None:
        items, moves = await find_moves(
            services.ledger, services.blobs, services.workers, actor=actor, project=project, items=items
        )
    change = await write_change(
        services,
        actor=actor,
        project=project,
        items=items,
        message=message,
        key=key,
        merge=merge,
    )
    if change is None:
        return Response(ChangeWritten(None), status_code=200)
    uploads = [item.upload for item in items if item.upload is not None]
    texts = {each.sha256: each.data for each in uploads if each.data is not None}
    change = msgspec.structs.replace(change, diffstat=diffstat_of_adds(change, texts))
    location = f"/v1/projects/{change.project}/changes/{change.sequence}"
    return Response(ChangeWritten(change, moves), status_code=201, headers={"Location": location})


@get("/v1/projects/{project:str}/changes", tags=["changes"], summary="The project's log, newest first")
async def list_changes(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    limit: Limit = None,
    cursor: Cursor = None,
    prefix: Annotated[
        str | None, QueryParameter(description="Only changes that touch a path beginning so.")
    ] = None,
    author: Annotated[
        str | None, QueryParameter(description="Only this person's: a handle or an id.")
    ] = None,
    since: Annotated[
        datetime | None, QueryParameter(description="Only changes accepted at or after.")
    ] = None,
    until: Annotated[datetime | None, QueryParameter(description="Only changes accepted before.")] = None,
    text: Annotated[
        str | None, QueryParameter(description="Only changes whose message has this, in any case.")
    ] = None,
) -> Response[Page[LoggedChange]]:
    """Changes with author, dates, message, hash, and the lines added and removed as far as counted."""
    size = page_size(limit, services.settings)
    found = await services.ledger.list_changes(
        actor.token,
        project=project,
        before=position_of(cursor, int),
        page_size=size + 1,
        prefix=prefix,
        author=author,
        since=since,
        until=until,
        search=text,
    )
    return page_of(request, found, size, lambda each: each.sequence)


@get(
    "/v1/projects/{project:str}/changes/{sequence:int}",
    tags=["changes"],
    summary="One change with its versions",
)
async def read_change(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    sequence: FromPath[int],
) -> Change:
    """A change with the versions that it wrote, and the hash that certifies all history up to it.

    Its diffstat has the lines that each version added and removed; null of contents that are too large (over
    1 MiB), erased, or too many to be counted at once (over 20 that nobody has counted yet).
    """
    if not 0 < sequence < 1 << 62:
        raise VersoError("change_not_found", "The project has no change of that number.")
    counting = Counting(services.blobs, services.workers, services.memory, services.diffs)
    return await read_change_counted(
        services.ledger, counting, actor=actor, project=project, sequence=sequence
    )
