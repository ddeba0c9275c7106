"""Documents by id: where they are, what they were, and what became different."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, patch, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.params import FromPath, JSONBody, QueryParameter

from app.api.bodies import take_struct
from app.api.conditions import CHOSEN_FORM, base_of, document_tag, etag_of, is_unchanged, needed_base
from app.api.content import FOREVER, answer_content
from app.api.diff_forms import (
    Context,
    Ignore,
    Sides,
    Smallest,
    comparing_with,
    pair_answer,
    wanted_form,
)
from app.api.files import At, MessageQuery, Written, write_one
from app.api.leaving import while_connected
from app.api.links import Page, page_of, position_of, version_links
from app.api.memento import as_memento
from app.api.paging import Cursor, Limit, page_size
from app.api.patches import PATCH_TYPES, patched_item
from app.api.services import Services
from app.api.writing import Merge, merging_with
from app.errors import VersoError
from app.flows.add_change import Item
from app.flows.bisect import Bisection, Verdict, bisect_versions
from app.flows.restore_section import restore_section
from app.model import Document, Version, normal_path
from app.supabase.identity import Actor
from app.text.html import View
from app.text.lines import Ignoring
from app.text.words import Granularity

ROUTE = "/v1/documents/{document:uuid}"
LINES = r"^[1-9][0-9]{0,8}(-[1-9][0-9]{0,8})?(?![\s\S])"
VersionNumber = Annotated[int, msgspec.Meta(ge=1, le=999_999_999)]


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a document shall be."""

    path: str
    message: str = ""


class Restore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version's content to bring back: a number, or "latest" for the newest that has any.

    `lines` ("10-20", or "7") brings back that section only, into the newest version.
    """

    version: VersionNumber | Literal["latest"] = "latest"
    lines: Annotated[str, msgspec.Meta(pattern=LINES)] | None = None
    path: str | None = None
    message: str = ""


class Bisect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers of versions: one that was good, a later one that is bad, and what was found of others since."""

    good: VersionNumber
    bad: VersionNumber
    verdicts: Annotated[dict[VersionNumber, Verdict], msgspec.Meta(max_length=10_000)] = {}


@get(ROUTE, tags=["documents"], summary="A document with its newest version")
async def read_document(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    at: At = None,
) -> Response[Document]:
    """Where the document is, whether it is live, its session and stage, and its newest version.

    With `at`, the version is the one of that point; everything else is as it is now.
    """
    found = await services.ledger.read_document(actor.token, document=str(document), at=at)
    tag = document_tag(found)
    if at is not None:
        tag += f".{found.version.hash}"
    headers = {
        "ETag": etag_of(tag),
        "Cache-Control": "private, no-cache",
        "Link": version_links(found.version, None),
    }
    if is_unchanged(request, tag):
        return Response(None, status_code=304, headers=headers)  # type: ignore[arg-type]  # 304 has no body
    return Response(found, headers=headers)


@patch(ROUTE, tags=["documents"], summary="Move a document, or patch its content", request_max_body_size=None)
async def edit_document(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    message: MessageQuery = "",
    merge: Merge = None,
) -> Response[Written]:
    """JSON {path, message} moves; a patch (text/x-diff) changes the content. Needs `If-Match`.

    A patch is applied strictly to the version in If-Match, and checked against the blob names it gives. When
    someone wrote meanwhile it is refused, or merged with `merge=auto`.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() in PATCH_TYPES:
        item = await patched_item(request, services, actor=actor, document=str(document))
    else:
        body = await take_struct(request, services.settings, Move)
        item = Item(document=str(document), path=normal_path(body.path), base=base_of(request))
        message = body.message or message
    return await write_one(
        request, services=services, actor=actor, project=None, item=item, message=message, merge=merge
    )


@delete(ROUTE, status_code=200, tags=["documents"], summary="Delete a document")
async def delete_document(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    message: MessageQuery = "",
) -> Response[Written]:
    """A delete is a version: the history stays, and the document can be restored. Needs `If-Match`."""
    item = Item(document=str(document), base=base_of(request), delete=True)
    return await write_one(request, services=services, actor=actor, project=None, item=item, message=message)


@post(
    f"{ROUTE}/restore", status_code=200, tags=["documents"], summary="Bring an earlier version's content back"
)
async def restore_document(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    data: JSONBody[Restore],
) -> Response[Written]:
    """A new version that names the one it restored; no bytes are copied. Also brings a deleted document back.

    With `lines` only these lines of the old version come back: the new version's `merged_from` is the old
    one, and 409 tells where the section's edges were rewritten since.
    Needs `If-Match`: the head, which for a deleted document is the delete.
    """
    if data.lines is not None:
        item = await section_item(request, services, actor=actor, document=str(document), asked=data)
        return await write_one(
            request, services=services, actor=actor, project=None, item=item, message=data.message
        )
    item = Item(
        document=str(document),
        base=base_of(request),
        restore=data.version,
        path=None if data.path is None else normal_path(data.path),
    )
    return await write_one(
        request, services=services, actor=actor, project=None, item=item, message=data.message
    )


async def section_item(
    request: Request[Any, Any, Any], services: Services, *, actor: Actor, document: str, asked: Restore
) -> Item:
    """The item that brings a section back. Raises VersoError."""
    base = needed_base(request, "the newest version")
    if asked.version == "latest" or asked.path is not None:
        raise VersoError(
            "bad_value", "Lines come from a version by its number, and stay at the document's path."
        )
    first, _, last = (asked.lines or "").partition("-")
    return await while_connected(
        request,
        restore_section(
            merging_with(services, actor),
            document=document,
            base=base,
            version=point_of(asked.version),
            lines=(int(first), int(last or first)),
        ),
    )


@post(
    f"{ROUTE}/bisect",
    status_code=200,
    tags=["documents"],
    summary="Which version broke it: what to look at next",
)
async def bisect_document(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    data: JSONBody[Bisect],
) -> Bisection:
    """Send a good version, a later bad one, and every verdict so far; the answer is the next one to look at.

    Nothing is kept here. When nothing is left to look at, `first_bad` is the answer.
    """
    return await bisect_versions(
        services.ledger,
        actor=actor,
        document=str(document),
        good=data.good,
        bad=data.bad,
        verdicts=data.verdicts,
    )


@post(f"{ROUTE}/undelete", status_code=200, tags=["documents"], summary="Bring a deleted document back")
async def undelete_document(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    message: MessageQuery = "",
) -> Response[Written]:
    """Restore what was there before the delete. Needs `If-Match` with the delete's hash."""
    item = Item(document=str(document), base=base_of(request), restore="latest")
    return await write_one(request, services=services, actor=actor, project=None, item=item, message=message)


@get(f"{ROUTE}/versions", tags=["documents"], summary="A document's history, newest first")
async def list_versions(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Version]]:
    """Author, date, message, size, hash, action and parent of each version, across moves and deletes."""
    size = page_size(limit, services.settings)
    found = await services.ledger.list_versions(
        actor.token, document=str(document), before=position_of(cursor, int), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.number)


@get(f"{ROUTE}/versions/{{number:int}}", tags=["documents"], summary="One version")
async def read_version(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    number: FromPath[int],
) -> Response[Version]:
    """One immutable state of the document, with the change that wrote it."""
    read = await services.ledger.read_version(actor.token, document=str(document), at=point_of(number))
    # The version never changes, but whether it has a successor does.
    headers = {"ETag": etag_of(read.version.hash), "Cache-Control": "private, no-cache"}
    return Response(read.version, headers=headers | {"Link": version_links(read.version, read.head)})


@route(
    f"{ROUTE}/versions/{{number:int}}/content",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    tags=["documents"],
    summary="One version's bytes",
)
async def read_version_content(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    number: FromPath[int],
) -> Response[Any]:
    """The bytes, immutable: conditional, in ranges, cached for ever."""
    read = await services.ledger.read_version(actor.token, document=str(document), at=point_of(number))
    answer = await answer_content(
        request, blobs=services.blobs, actor=actor, read=read, cache_control=FOREVER
    )
    return as_memento(answer, read)


@get(f"{ROUTE}/diff", tags=["documents"], summary="The difference between two versions")
async def compare_versions(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    older: Annotated[
        str | None,
        QueryParameter(
            name="from", description="A version: its number or hash, a tag, or a time.", max_length=200
        ),
    ] = None,
    newer: Annotated[
        str | None,
        QueryParameter(
            name="to", description="A version: its number or hash, a tag, or a time.", max_length=200
        ),
    ] = None,
    context: Context = 3,
    ignore: Ignore = Ignoring.NOTHING,
    granularity: Smallest = Granularity.WORD,
    view: Sides = View.INLINE,
) -> Response[Any]:
    """`text/x-diff` (unless said) is a patch that `git apply` takes; `application/json` has hunks and words.

    `text/html` is a page of them that stands alone. Without `to` the newest version, without `from` the one
    before it.
    """
    form = wanted_form(request)
    comparing = comparing_with(services, context=context, ignoring=ignore, granularity=granularity)
    compared = await services.ledger.compare_versions(
        actor.token, document=str(document), older=side_of(older), newer=side_of(newer)
    )
    before = "" if compared.older is None else compared.older.version.hash
    shape = f"{context}-{ignore.value}-{granularity.value}-{view.value}-{form.rpartition('/')[2]}"
    tag = f"{before[:32]}-{compared.newer.version.hash[:32]}-{shape}"
    headers = {"ETag": etag_of(tag), **CHOSEN_FORM}
    if is_unchanged(request, tag):
        return Response(None, status_code=304, headers=headers)
    return await pair_answer(
        request, comparing, actor=actor, sides=compared, form=form, view=view, headers=headers
    )


def point_of(number: int) -> str:
    """A version's number as a point in history. Raises VersoError `version_not_found`."""
    if not 0 < number < 1_000_000_000:  # noqa: PLR2004
        raise VersoError("version_not_found", "Versions are numbered from 1.")
    return f"v{number}"


def side_of(text: str | None) -> str | None:
    """A side of a comparison: a number as a version's, anything else (a hash, a tag, a time) as it is."""
    if text is None:
        return None
    return point_of(int(text)) if text.isascii() and text.isdigit() and len(text) < 12 else text  # noqa: PLR2004
