"""Changes: many documents in one atomic write, and the project's log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
    key = check_idempotency_key(request)

    async def check(items: list[Item]) -> None:
        await check_first(services, actor=actor, project=project, items=items, key=key, merge=merge)

    moves: list[FoundMove] = []
    message, items = await _taken(
        request, services, actor, project=project, base=base, message=message, check=check
    )
    try:
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
        if detect is not None:
            items, moves = await find_moves(
                services.ledger, services.blobs, services.workers, actor=actor, project=project, items=items
            )
        change = await write_change(
            services, actor=actor, project=project, items=items, message=message, key=key, merge=merge
        )
    finally:
        uploads = [item.upload for item in items if item.upload is not None]
        for upload in uploads:
            upload.discard()
    if change is None:
        return Response(ChangeWritten(None), status_code=200)
    texts = {each.sha256: each.data for each in uploads if each.data is not None}
    change = msgspec.structs.replace(change, diffstat=diffstat_of_adds(change, texts))
    location = f"/v1/projects/{change.project}/changes/{change.sequence}"
    return Response(ChangeWritten(change, moves), status_code=201, headers={"Location": location})


async def _taken(
    request: Request[Any, Any, Any],
    services: Services,
    actor: Actor,
    *,
    project: str,
    base: str | None,
    message: str,
    check: Callable[[list[Item]], Awaitable[None]],
) -> tuple[str, list[Item]]:
    """The message and the items of a change's body; their uploads are the caller's to discard.

    Raises VersoError. `check` is asked about the items of a large form before its files come.
    """
    settings = services.settings
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        declared_length(request, limit=settings.max_json_size)
        body = await take_struct(request, settings, ChangeBody)
        return body.message, [item_of(each) for each in body.items]
    if kind in PATCH_TYPES:
        check_message(message, settings)
        return message, await patched_items(request, services, actor=actor, project=project, at=base)
    if kind != "multipart/form-data":
        raise VersoError(
            "bad_media_type",
            "Send a change as multipart/form-data, application/json or text/x-diff (a patch).",
        )
    length = declared_length(request, limit=settings.max_change_size)
    return await Form(settings, check if length is None or length > SMALL_BODY else None).read(request)


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
    check_sequence(sequence)
    counting = Counting(services.blobs, services.workers, services.memory, services.diffs)
    return await read_change_counted(
        services.ledger, counting, actor=actor, project=project, sequence=sequence
    )


def check_sequence(sequence: int) -> None:
    """Raise VersoError `change_not_found` for what is no change's number in any project."""
    if not 0 < sequence < 1 << 62:
        raise VersoError("change_not_found", "The project has no change of that number.")
