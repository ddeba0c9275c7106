"""A project in bulk, for clients that keep a copy: history page by page, contents many at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from app.api.conditions import etag_of, is_unchanged
from app.api.content import send
from app.api.digests import digest_field
from app.api.paging import Limit, page_size
from app.api.services import Services
from app.api.witness import note_act
from app.errors import VersoError
from app.flows.read_contents import fetch_located, read_contents
from app.model import MirroredChange, is_sha256
from app.supabase.identity import Actor
from app.supabase.mirroring import MAX_ASKED, MAX_LOCATED

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Whole changes, oldest first. `next` is the `after` of the page that follows; null on the last one."""

    items: list[MirroredChange]
    next: int | None
    newest: int
    """Number of the project's newest change when this was read; 0 before the first."""


class ContentsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Contents by their SHA-256."""

    sha256: list[Sha256]


class ContentsHeld(msgspec.Struct, frozen=True):
    """Those of the contents asked for that a version of the project holds."""

    have: list[str]


@get("/v1/projects/{project:str}/history", tags=["history"], summary="Whole changes, oldest first")
async def read_history(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    after: Annotated[
        int, QueryParameter(description="The number of the last change that one has.", ge=0, lt=1 << 62)
    ] = 0,
    limit: Limit = None,
) -> Response[History]:
    """All that a mirror needs, to recompute every hash: changes with all their versions.

    A page may hold fewer changes than `limit` (unless said, the most there may be): heavy ones make it end
    early, and no change is ever cut. Each page costs the same, wherever it is.
    """
    most = services.settings.max_page_size
    size = page_size(most if limit is None else limit, services.settings)
    page = await services.mirroring.list_history(actor.token, project=project, after=after, page_size=size)
    note_act(request, services, token=actor.token, kind="export.history", about=project)
    last = page.changes[-1].sequence if page.changes else after
    following = last if page.changes and last < page.newest else None
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    if following is not None:
        asked = f"after={following}" + (f"&limit={limit}" if limit else "")
        home = page.changes[-1].project
        headers["Link"] = f'</v1/projects/{home}/history?{asked}>; rel="next"'
    return Response(History(items=page.changes, next=following, newest=page.newest), headers=headers)


@post(
    "/v1/projects/{project:str}/have", tags=["history"], status_code=200, summary="Which contents are known"
)
async def list_held(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[ContentsAsked],
) -> Response[ContentsHeld]:
    """Up to 10,000 contents by SHA-256; the answer names those that some version of this project holds.

    It says nothing of other projects, and nothing of what was uploaded but never became a version.
    """
    _check_count(data.sha256, MAX_ASKED)
    held = await services.mirroring.list_held(actor.token, project=project, contents=data.sha256)
    return Response(ContentsHeld(held), headers={"Cache-Control": "no-store"})


@post(
    "/v1/projects/{project:str}/contents", tags=["history"], status_code=200, summary="Many contents at once"
)
async def read_many_contents(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[ContentsAsked],
) -> Response[Any]:
    """Up to 1,000 contents as one tar, each a member named by its SHA-256, in the order asked for.

    Every content is verified before its first byte is sent. What was erased is left out. A tar without its
    end (two empty blocks) is not whole: ask again for what is missing.
    """
    _check_count(data.sha256, MAX_LOCATED)
    located = await services.mirroring.locate_contents(
        actor.token, project=project, contents=list(dict.fromkeys(data.sha256))
    )
    note_act(request, services, token=actor.token, kind="export.contents", about=project)
    pieces: AsyncIterator[bytes] = read_contents(
        services.blobs, actor=actor, located=located, ahead=services.settings.upload_concurrency
    )
    headers = {
        "Cache-Control": "no-store",
        "Content-Type": "application/x-tar",
        "X-Content-Type-Options": "nosniff",
    }
    return Stream(pieces, headers=headers)


@get("/v1/projects/{project:str}/contents/{sha256:str}", tags=["history"], summary="One content by its hash")
async def read_held_content(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    sha256: FromPath[str],
) -> Response[Any]:
    """The bytes that some version of the project holds, verified. They never change."""
    if not is_sha256(sha256):
        raise VersoError("content_not_found", "A content is named by 64 lower-case hexadecimal digits.")
    located = await services.mirroring.locate_contents(actor.token, project=project, contents=[sha256])
    headers = {
        "ETag": etag_of(sha256),
        "Cache-Control": "private, max-age=31536000, immutable",
        "Vary": "Authorization, Cookie",
    }
    if located.contents[0].copies and is_unchanged(request, sha256):
        return Response(None, status_code=304, headers=headers)
    content = await fetch_located(
        services.blobs, actor=actor, project=located.project, located=located.contents[0]
    )
    headers |= {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": "attachment",
        "Content-Length": str(content.size),
        "Repr-Digest": digest_field(sha256),
    }
    return send(content, 0, content.size, headers=headers)


def _check_count(asked: list[str], limit: int) -> None:
    if len(asked) > limit:
        raise VersoError("bad_value", f"Ask for at most {limit:,} contents at once.", limit=limit)
