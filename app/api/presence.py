"""Presence: who is looking at or editing what just now. A hint, never a lock."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from app.api.services import Services
from app.model.presence import Presence
from app.supabase.identity import Actor

ROUTE = "/v1/projects/{project:str}/presence"


class NewPresence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one does on a device: at a document, by id or path, or in the project as a whole."""

    device: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    """Which tab or program this is: a name that it makes up once and keeps."""
    state: Literal["viewing", "editing", "gone"]
    """`gone` takes back what was said."""
    document: UUID | None = None
    path: str | None = None
    """Also one without a document yet."""
    seconds: Annotated[int, msgspec.Meta(ge=5, le=60)] = 45
    """How long this holds, unless it is said again."""


class PresenceList(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, the longest there first."""

    items: list[Presence]


@get(ROUTE, tags=["presence"], summary="Who is present in a project")
async def list_presence(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    document: Annotated[UUID | None, QueryParameter(description="Only at this document, by its id.")] = None,
    path: Annotated[
        str | None, QueryParameter(description="Only at this path.", min_length=1, max_length=1024)
    ] = None,
) -> Response[PresenceList]:
    """Everybody who said so within the last minute; at most a thousand entries."""
    found = await services.feed.list_presence(actor.token, project=project, document=_id(document), path=path)
    return Response(PresenceList(items=found.items), headers={"Cache-Control": "private, no-store"})


@put(ROUTE, tags=["presence"], summary="Say what one is looking at or editing")
async def set_presence(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[NewPresence],
) -> Response[PresenceList]:
    """Say it again every 20 seconds or so. Answers who else is there; `editing` is for editors and owners."""
    found = await services.feed.set_presence(
        actor.token,
        project=project,
        device=data.device,
        state=data.state,
        document=_id(data.document),
        path=data.path,
        seconds=data.seconds,
    )
    return Response(PresenceList(items=found), headers={"Cache-Control": "private, no-store"})


def _id(document: UUID | None) -> str | None:
    return None if document is None else str(document)
