"""Files by path: the latest version's bytes in and out, so that curl and scripts need nothing else."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request, Response, delete, put, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.params import FromPath, QueryParameter

from app.api.bodies import (
    SMALL_BODY,
    check_idempotency_key,
    check_message,
    declared_length,
    take_raw,
)
from app.api.conditions import base_of, etag_of, wants_create
from app.api.content import FOREVER, LATEST, answer_content
from app.api.links import version_links, version_url
from app.api.media_types import media_type_of
from app.api.memento import memento_at, wanted_time, with_timegate
from app.api.services import Services
from app.api.writing import Merge, check_first, write_change
from app.errors import VersoError
from app.flows.add_change import Item
from app.model import Change, Version, normal_path
from app.supabase.identity import Actor

ROUTE = "/v1/projects/{project:str}/files/{path:path}"
At = Annotated[
    str | None,
    QueryParameter(
        description="A point: 42 (after change 42), v7 (version 7), a hash, a tag, or a time (RFC 3339).",
        max_length=200,
    ),
]
_FROZEN = re.compile(r"[0-9]+\Z|[0-9a-f]{64}\Z")
"""Points that stay what they are. `v7` of a path doesn't: another document may come to that path."""
_PATH = re.compile(rb"/v1/+projects/+[^/]+/+files/(.*)", re.DOTALL)
MessageQuery = Annotated[str, QueryParameter(name="message", description="Why, for the history.")]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a write left behind. `change` is null when everything was as asked already."""

    version: Version
    change: int | None


@route(
    ROUTE,
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    tags=["files"],
    summary="A path's bytes, now or at a point",
)
async def read_file(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    at: At = None,
) -> Response[Any]:
    """Bytes of the latest version, or of the one at a point.

    Conditional (If-None-Match, ETag = the version's hash) and partial (Range, If-Range). A path at a change's
    number, or at a hash, is immutable and cached for ever. `Accept-Datetime` (RFC 7089) redirects to the
    version of that time.
    """
    path = file_path(request)
    moment = wanted_time(request)
    if moment is not None and at is None:
        return await memento_at(services, actor=actor, project=project, path=path, moment=moment)
    read = await services.ledger.read_file(actor.token, project=project, path=path, at=at)
    caching = FOREVER if at is not None and _FROZEN.match(at) else LATEST
    answer = await answer_content(
        request, blobs=services.blobs, actor=actor, read=read, cache_control=caching
    )
    return with_timegate(answer, read)


@put(ROUTE, tags=["files"], summary="Write a path's next version", request_max_body_size=None)
async def put_file(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    message: MessageQuery = "",
    merge: Merge = None,
) -> Response[Written]:
    """The body is the content. `If-Match` names the version it is based on; to create, leave it out.

    201 for the first version, 200 for a further one, or with `change: null` when nothing differs. 428 without
    a base, 412 with the head when someone was faster; `merge=auto` merges then, or answers 409 with the
    conflicts. `Content-Digest` is checked; `Idempotency-Key` makes a
    repeat safe.
    """
    path = file_path(request)
    settings = services.settings
    item = Item(
        path=path,
        base=base_of(request),
        create=wants_create(request),
        media_type=media_type_of(request.headers.get("content-type"), path),
        pending=True,
    )
    key = check_idempotency_key(request)
    message = check_message(message, settings)
    length = declared_length(request, limit=settings.max_upload_size)
    if length is None or length > SMALL_BODY:
        await check_first(services, actor=actor, project=project, items=[item], key=key, merge=merge)
    upload = await take_raw(request, settings)
    try:
        item = msgspec.structs.replace(item, upload=upload, pending=False)
        change = await write_change(
            services, actor=actor, project=project, items=[item], message=message, key=key, merge=merge
        )
    finally:
        upload.discard()
    if change is None:
        read = await services.ledger.read_file(actor.token, project=project, path=path)
        return answer_written(read.version, change=None)
    return answer_change(change)


@delete(ROUTE, status_code=200, tags=["files"], summary="Delete a path's document")
async def delete_file(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    message: MessageQuery = "",
) -> Response[Written]:
    """A delete is a version: the history stays, and the document can be restored. Needs `If-Match`."""
    item = Item(path=file_path(request), base=base_of(request), delete=True)
    return await write_one(
        request, services=services, actor=actor, project=project, item=item, message=message
    )


async def write_one(
    request: Request[Any, Any, Any],
    *,
    services: Services,
    actor: Actor,
    project: str | None,
    item: Item,
    message: str,
    merge: str | None = None,
) -> Response[Written]:
    """Commit one item that carries no new bytes: one round trip."""
    change = await write_change(
        services,
        actor=actor,
        project=project,
        items=[item],
        message=check_message(message, services.settings),
        key=check_idempotency_key(request),
        merge=merge,
    )
    if change is None:
        read = await services.ledger.read_version(actor.token, document=item.document or "")
        return answer_written(read.version, change=None)
    return answer_change(change)


def answer_change(change: Change) -> Response[Written]:
    """Answer a change of one version."""
    summary = {field: getattr(change, field) for field in Change.__struct_fields__ if field != "versions"}
    state = msgspec.structs.asdict(change.versions[0])
    version = msgspec.convert({**state, "change": summary}, Version, from_attributes=True)
    return answer_written(version, change=change.sequence)


def answer_written(version: Version, *, change: int | None) -> Response[Written]:
    """Answer a write with the version that is there now."""
    return Response(
        Written(version=version, change=change),
        status_code=201 if version.number == 1 and change is not None else 200,
        headers={
            "ETag": etag_of(version.hash),
            "Location": version_url(version),
            "Link": version_links(version, None),
            "Cache-Control": "no-store",
        },
    )


def file_path(request: Request[Any, Any, Any]) -> str:
    """The document path in the URL, decoded strictly. Raises VersoError `bad_path`.

    The router folds // and drops a last /, and the server replaces bytes that are not UTF-8; a path must
    be refused for these, not mended. So it is read from the URL as it was sent.
    """
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    found = _PATH.match(raw.partition(b"?")[0])
    try:
        return normal_path(unquote_to_bytes(found[1] if found else b"").decode())
    except UnicodeDecodeError:
        raise VersoError("bad_path", "The path in the URL is not percent-encoded UTF-8.") from None
