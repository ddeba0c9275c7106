"""Tags: names for points of history. They never move."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from app.api.bodies import check_message
from app.api.links import Page, page_of, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.model import Tag
from app.supabase.identity import Actor

ROUTE = "/v1/projects/{project:str}/tags"


class NewTag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name for the project at a change (its newest unless said), or for a version by its hash."""

    name: str
    at: str | None = None
    message: str = ""
    origin: bytes | None = None
    """Of an imported tag: the raw annotated Git tag object, in base64, at most 1 MiB. For owners."""


@get(ROUTE, tags=["tags"], summary="A project's tags")
async def list_tags(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Tag]]:
    """Tags by name."""
    size = page_size(limit, services.settings)
    found = await services.ledger.list_tags(
        actor.token, project=project, after=position_of(cursor, str) or "", page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.name)


@post(ROUTE, tags=["tags"], summary="Name a point of history")
async def create_tag(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[NewTag],
) -> Response[Tag]:
    """For editors; with an `origin` for owners."""
    made = await services.ledger.create_tag(
        actor.token,
        project=project,
        name=data.name,
        at=data.at,
        message=check_message(data.message, services.settings),
        origin=data.origin,
    )
    return Response(made, status_code=201)
