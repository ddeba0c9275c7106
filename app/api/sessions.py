"""Sessions: runs of the IDSE pipeline in a project."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from app.api.links import Page, page_of, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.projects import Name, Slug
from app.api.services import Services
from app.model import Session, SessionStatus, SessionType, normal_path
from app.supabase.identity import Actor

ROUTE = "/v1/projects/{project:str}/sessions"


class NewSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session to be started. A feature names its blueprint as `parent`, by slug or id."""

    slug: Slug
    title: Name | None = None
    type: SessionType = SessionType.exploratory
    status: SessionStatus = SessionStatus.draft
    parent: str | None = None
    root: str | None = None
    """Documents below this path belong to the session; sessions/<slug> unless said."""


class SessionEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a session; what is left out stays."""

    title: Name | None = None
    status: SessionStatus | None = None


@get(ROUTE, tags=["sessions"], summary="A project's sessions")
async def list_sessions(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    status: Annotated[SessionStatus | None, QueryParameter(description="Only those that stand so.")] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Session]]:
    """Sessions by slug."""
    size = page_size(limit, services.settings)
    found = await services.ledger.list_sessions(
        actor.token, project=project, status=status, after=position_of(cursor, str), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.slug)


@post(ROUTE, tags=["sessions"], summary="Start a session")
async def create_session(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[NewSession],
) -> Response[Session]:
    """For editors. Documents that are below its root already belong to it from now on."""
    made = await services.ledger.create_session(
        actor.token,
        project=project,
        slug=data.slug,
        title=data.title,
        kind=data.type,
        parent=data.parent,
        root=None if data.root is None else normal_path(data.root),
        status=data.status,
    )
    location = f"/v1/projects/{made.project}/sessions/{made.id}"
    return Response(made, status_code=201, headers={"Location": location})


@get(f"{ROUTE}/{{session:str}}", tags=["sessions"], summary="One session with its documents")
async def read_session(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    session: FromPath[str],
) -> Session:
    """A session by slug or id, with its live documents and their stages."""
    return await services.ledger.read_session(actor.token, project=project, session=session)


@patch(f"{ROUTE}/{{session:str}}", tags=["sessions"], summary="Retitle a session, or move it on")
async def update_session(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    session: FromPath[str],
    data: JSONBody[SessionEdit],
) -> Session:
    """For editors."""
    return await services.ledger.update_session(
        actor.token, project=project, session=session, title=data.title, status=data.status
    )
