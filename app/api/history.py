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
from app.api.changes import ChangeWritten
from app.api.conditions import etag_of, is_unchanged
from app.api.documents import MAX_CONTEXT, wants_json
from app.api.files import At
from app.api.links import cursor_of, next_link, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.errors import VersoError
from app.flows.archive_tree import PAGE, archive_tree, read_tree
from app.flows.compare import Comparison, compare_as_hunks, compare_as_patch
from app.flows.restore_tree import restore_tree
from app.supabase.identity import Actor
from app.supabase.ledger import ComparedTrees
from app.text.lines import Ignoring

Context = Annotated[int, QueryParameter(description="Unchanged lines around a change.", ge=0, le=MAX_CONTEXT)]
Ignore = Annotated[Ignoring, QueryParameter(description="What does not count as a difference.")]
Prefix = Annotated[str, QueryParameter(description="Only paths that begin so.", max_length=1024)]


class TreeComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the documents that differ between two changes, in order of their paths."""

    older: int = msgspec.field(name="from")
    newer: int = msgspec.field(name="to")
    items: list[Comparison]
    next: str | None


class RestoreTree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which point to go back to, and below which prefix (all of the project unless said)."""

    at: str
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
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Any]:
    """Every document that differs, renames as renames: one patch that `git apply` takes, or JSON with hunks.

    A page at a time; a patch of further pages is applied after the ones before.
    """
    size = page_size(limit, services.settings)
    compared = await services.ledger.compare_trees(
        actor.token,
        project=project,
        older=older,
        newer=newer,
        prefix=prefix,
        after=position_of(cursor, str),
        page_size=size + 1,
    )
    return await _answer_trees(
        request, services, actor, compared, size=size, context=context, ignoring=ignore
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
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Any]:
    """The difference between the tree before the change and after it."""
    if not 0 < sequence < 1 << 62:
        raise VersoError("change_not_found", "The project has no change of that number.")
    size = page_size(limit, services.settings)
    compared = await services.ledger.compare_trees(
        actor.token,
        project=project,
        older=str(sequence - 1),
        newer=str(sequence),
        prefix=prefix,
        after=position_of(cursor, str),
        page_size=size + 1,
    )
    return await _answer_trees(
        request, services, actor, compared, size=size, context=context, ignoring=ignore
    )


async def _answer_trees(
    request: Request[Any, Any, Any],
    services: Services,
    actor: Actor,
    compared: ComparedTrees,
    *,
    size: int,
    context: int,
    ignoring: Ignoring,
) -> Response[Any]:
    pairs = compared.pairs[:size]
    following = cursor_of(pairs[-1].place) if len(compared.pairs) > size else None
    headers = {
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Authorization",
        **next_link(request, following),
    }
    shape = {"context": context, "ignoring": ignoring, "limit": services.settings.max_diff_size}
    if wants_json(request):
        items = [
            await compare_as_hunks(services.blobs, services.workers, actor=actor, sides=pair, **shape)  # type: ignore[arg-type]
            for pair in pairs
        ]
        page = TreeComparison(older=compared.older, newer=compared.newer, items=items, next=following)
        return Response(page, headers=headers)
    patches = [
        await compare_as_patch(services.blobs, services.workers, actor=actor, sides=pair, **shape)  # type: ignore[arg-type]
        for pair in pairs
    ]
    headers |= {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
    return Response(b"".join(patches), headers=headers, media_type="text/x-diff")


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
    """The same point gives the same bytes. Streams; entries are in byte order of their paths."""
    first = await services.ledger.list_contents(
        actor.token, project=project, at=at, prefix=prefix, after="", page_size=PAGE
    )
    home = first.reads[0].version.project if first.reads else project
    tag = f"{home}-{first.sequence}-{form}-{prefix.encode().hex()}"
    name = f"{project if project.isascii() else home}-{first.sequence}.{form}"
    headers = {
        "ETag": etag_of(tag),
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Type": "application/zip" if form == "zip" else "application/gzip",
        "Verso-Change": str(first.sequence),
        "X-Content-Type-Options": "nosniff",
    }
    if is_unchanged(request, tag):
        return Response(None, status_code=304, headers=headers)
    reads = read_tree(services.ledger, actor=actor, project=home, first=first, prefix=prefix)
    pieces: AsyncIterator[bytes] = archive_tree(reads, services.blobs, actor=actor, form=form)
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
