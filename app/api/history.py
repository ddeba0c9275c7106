"""A project between two points, and back to one: differences, archives, restores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from app.api.bodies import check_idempotency_key, check_message
from app.api.changes import ChangeWritten, check_sequence
from app.api.conditions import CHOSEN_FORM, etag_of, is_unchanged
from app.api.diff_forms import (
    PATCH_HEADERS,
    Context,
    Form,
    Ignore,
    Sides,
    Smallest,
    comparing_with,
    page_answer,
    pair_answer,
    wanted_form,
)
from app.api.files import At
from app.api.leaving import while_connected
from app.api.links import cut, next_link, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.api.witness import note_act
from app.errors import VersoError
from app.flows.archive_tree import PAGE, archive_tree, read_tree
from app.flows.compare import (
    Comparing,
    Comparison,
    compare_all_as_hunks,
    compare_all_as_patch,
    compare_whole_trees,
)
from app.flows.restore_tree import restore_tree
from app.model import normal_path
from app.sources.names import stays_inside
from app.supabase.identity import Actor
from app.text.html import View
from app.text.lines import Ignoring
from app.text.words import Granularity

MAX_PATCH_SIZE = 64 * 1024 * 1024
"""The most bytes of a patch that is made whole; larger ones come in pages, or by folder."""
Prefix = Annotated[str, QueryParameter(description="Only paths that begin so.", max_length=1024)]


class TreeComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the documents that differ between two changes, in order of their paths."""

    older: int = msgspec.field(name="from")
    newer: int = msgspec.field(name="to")
    items: list[Comparison]
    next: str | None


class RestoreTree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which point to go back to, and below which prefix (all of the project unless said)."""

    at: Annotated[str, msgspec.Meta(max_length=200)]
    prefix: str = ""
    message: str = ""


@get(
    "/v1/projects/{project:str}/diff",
    tags=["history"],
    summary="What differs between two points of a project",
)
async def compare_trees(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    older: Annotated[str, QueryParameter(name="from", description="A point in history.", max_length=200)],
    newer: Annotated[
        str | None, QueryParameter(name="to", description="A point; now unless said.", max_length=200)
    ] = None,
    prefix: Prefix = "",
    context: Context = 3,
    ignore: Ignore = Ignoring.NOTHING,
    granularity: Smallest = Granularity.WORD,
    view: Sides = View.INLINE,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Any]:
    """Every document that differs, renames as renames: a patch that `git apply` takes, JSON with hunks, HTML.

    A patch is whole unless `limit` or `cursor` asks for a page of it; the other forms come in pages.
    """
    return await _answer_trees(
        request,
        services,
        actor,
        comparing_with(services, context=context, ignoring=ignore, granularity=granularity),
        project=project,
        points=(older, newer),
        prefix=prefix,
        view=view,
        limit=limit,
        cursor=cursor,
    )


@get(
    "/v1/projects/{project:str}/changes/{sequence:int}/diff",
    tags=["history"],
    summary="What a change changed",
)
async def compare_change(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    sequence: FromPath[int],
    prefix: Prefix = "",
    context: Context = 3,
    ignore: Ignore = Ignoring.NOTHING,
    granularity: Smallest = Granularity.WORD,
    view: Sides = View.INLINE,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Any]:
    """The difference between the tree before the change and after it, in the forms of a project's diff."""
    check_sequence(sequence)
    return await _answer_trees(
        request,
        services,
        actor,
        comparing_with(services, context=context, ignoring=ignore, granularity=granularity),
        project=project,
        points=(str(sequence - 1), str(sequence)),
        prefix=prefix,
        view=view,
        limit=limit,
        cursor=cursor,
    )


async def _answer_trees(
    request: Request[Any, Any, Any],
    services: Services,
    actor: Actor,
    comparing: Comparing,
    *,
    project: str,
    points: tuple[str, str | None],
    prefix: str,
    view: View,
    limit: int | None,
    cursor: str | None,
) -> Response[Any]:
    form: Form = wanted_form(request)
    headers = dict(CHOSEN_FORM)
    if form == "text/x-diff" and limit is None and cursor is None:
        patch = await while_connected(
            request, _whole_patch(services, actor, comparing, project=project, points=points, prefix=prefix)
        )
        return Response(patch, headers=headers | PATCH_HEADERS, media_type=form)
    size = page_size(limit, services.settings)
    compared = await services.ledger.compare_trees(
        actor.token,
        project=project,
        older=points[0],
        newer=points[1],
        prefix=prefix,
        after=position_of(cursor, str),
        page_size=size + 1,
    )
    pairs, following = cut(compared.pairs, size, lambda each: each.place)
    headers |= next_link(request, following)
    if form == "text/x-diff":
        patch = await while_connected(request, compare_all_as_patch(comparing, actor=actor, pairs=pairs))
        return Response(patch, headers=headers | PATCH_HEADERS, media_type=form)
    items = await while_connected(request, compare_all_as_hunks(comparing, actor=actor, pairs=pairs))
    if form == "text/html":
        heading = f"{prefix or 'All documents'}: change {compared.older} to {compared.newer}"
        more = headers["Link"].partition(">")[0][1:] if following else None
        return await page_answer(
            comparing,
            items,
            actor=actor,
            sides=pairs,
            heading=heading,
            view=view,
            headers=headers,
            following=more,
        )
    page = TreeComparison(older=compared.older, newer=compared.newer, items=items, next=following)
    return Response(page, headers=headers)


async def _whole_patch(
    services: Services,
    actor: Actor,
    comparing: Comparing,
    *,
    project: str,
    points: tuple[str, str | None],
    prefix: str,
) -> bytes:
    pages = compare_whole_trees(
        services.ledger, actor=actor, project=project, older=points[0], newer=points[1], prefix=prefix
    )
    patch = bytearray()
    async for page in pages:
        patch += await compare_all_as_patch(comparing, actor=actor, pairs=page.pairs)
        if len(patch) > MAX_PATCH_SIZE:
            raise VersoError(
                "diff_too_large",
                f"The patch is larger than {MAX_PATCH_SIZE:,} bytes. Ask for it by folder (prefix), or "
                "in pages (limit).",
                limit=MAX_PATCH_SIZE,
            )
    return bytes(patch)


Reference = Annotated[
    str,
    QueryParameter(
        name="from",
        description="A path or a document's id; @ and a point behind it say when: spec.md@v3, spec.md@42.",
        max_length=1300,
    ),
]


@get(
    "/v1/projects/{project:str}/compare",
    tags=["history"],
    summary="The difference between two documents",
)
async def compare_files(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    older: Reference,
    newer: Annotated[
        str, QueryParameter(name="to", description="The other one, named likewise.", max_length=1300)
    ],
    context: Context = 3,
    ignore: Ignore = Ignoring.NOTHING,
    granularity: Smallest = Granularity.WORD,
    view: Sides = View.INLINE,
) -> Response[Any]:
    """Any two documents of a project, each now or at a point, in the forms of a document's own diff.

    What follows the last @ is the point; a path that has an @ of its own is written with one more at its end.
    """
    form = wanted_form(request)
    comparing = comparing_with(services, context=context, ignoring=ignore, granularity=granularity)
    compared = await services.ledger.compare_files(
        actor.token, project=project, older=_reference(older), newer=_reference(newer)
    )
    return await pair_answer(
        request, comparing, actor=actor, sides=compared, form=form, view=view, headers=CHOSEN_FORM
    )


def _reference(text: str) -> tuple[str, str | None]:
    name, at, point = text.rpartition("@")
    return (normal_path(name), point or None) if at else (normal_path(text), None)


@get("/v1/projects/{project:str}/archive", tags=["history"], summary="The tree at a point, as one file")
async def archive_project(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    at: At = None,
    prefix: Prefix = "",
    form: Annotated[
        Literal["zip", "tar.gz"], QueryParameter(name="format", description="zip or tar.gz.")
    ] = "zip",
) -> Response[Any]:
    """The same point gives the same bytes. Streams; entries are in byte order of their paths.

    Executable documents are executable; links are links where they stay inside, else files that hold their
    target. Erased contents are a note in their place.
    """
    first = await services.ledger.list_contents(
        actor.token, project=project, at=at, prefix=prefix, after="", page_size=PAGE
    )
    home = first.reads[0].version.project if first.reads else project
    erased = await services.erasures.count_erasures(actor.token, project=home)
    tag = f"{home}-{first.sequence}-{form}-{prefix.encode().hex()}" + (f"-{erased}" if erased else "")
    name = f"{project if project.isascii() else home}-{first.sequence}.{form}"
    headers = {
        "ETag": etag_of(tag),
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Type": "application/zip" if form == "zip" else "application/gzip",
        "Verso-Change": str(first.sequence),
        "X-Content-Type-Options": "nosniff",
    }
    if is_unchanged(request, tag):
        return Response(None, status_code=304, headers=headers)
    note_act(request, services, token=actor.token, kind="export.archive", about=home)
    reads = read_tree(services.ledger, actor=actor, project=home, first=first, prefix=prefix)
    pieces: AsyncIterator[bytes] = archive_tree(
        reads, services.blobs, actor=actor, form=form, stays_inside=stays_inside
    )
    return Stream(pieces, headers=headers)


@post(
    "/v1/projects/{project:str}/restore", tags=["history"], summary="A folder or the project back to a point"
)
async def restore_project(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[RestoreTree],
) -> Response[ChangeWritten]:
    """One new change that restores, moves back and deletes; `change: null` when it is so already."""
    change = await restore_tree(
        services.ledger,
        actor=actor,
        project=project,
        at=data.at,
        prefix=data.prefix,
        message=check_message(data.message, services.settings),
        idempotency_key=check_idempotency_key(request),
        limit=services.settings.max_files_per_change,
    )
    if change is None:
        return Response(ChangeWritten(None), status_code=200)
    services.upkeep.note(actor=actor, change=change, texts={})
    location = f"/v1/projects/{change.project}/changes/{change.sequence}"
    return Response(ChangeWritten(change), status_code=201, headers={"Location": location})
