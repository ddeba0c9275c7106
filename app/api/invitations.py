"""Invitations: into a project by an address, and what the invited person does with them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from app.api.links import Page, page_of, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.model import Project, Role
from app.supabase.identity import Actor
from app.supabase.invitations import Invitation, MyInvitation

INVITATIONS = "/v1/projects/{project:str}/invitations"
MINE = "/v1/me/invitations"


class NewInvitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to invite, by one of `email` and `github_login`, and as what."""

    role: Role
    email: Annotated[str, msgspec.Meta(max_length=254)] | None = None
    github_login: Annotated[str, msgspec.Meta(max_length=40)] | None = None


@get(INVITATIONS, tags=["projects"], summary="Who is invited")
async def list_invitations(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    ended: Annotated[bool, QueryParameter(description="Those that ended as well.")] = False,  # noqa: FBT002
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Invitation]]:
    """For owners: the open invitations, newest first. Who declined is not told."""
    size = page_size(limit, services.settings)
    found = await services.invitations.list_invitations(
        actor.token, project=project, ended=ended, before=position_of(cursor, int), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.sequence)


@post(INVITATIONS, tags=["projects"], summary="Invite somebody by e-mail address or GitHub login")
async def create_invitation(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[NewInvitation],
) -> Response[Invitation]:
    """For owners. It waits 14 days for whoever proves that the address is theirs, account or not.

    Verso sends no mail: tell them. An open invitation to the same address is replaced. It ends when the owner
    who made it is one no longer.
    """
    made = await services.invitations.create_invitation(
        actor.token, project=project, role=data.role, email=data.email, github_login=data.github_login
    )
    return Response(made, status_code=201)


@delete(f"{INVITATIONS}/{{invitation:uuid}}", tags=["projects"], summary="Take an invitation back")
async def revoke_invitation(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    invitation: FromPath[UUID],
) -> None:
    """For owners."""
    await services.invitations.revoke_invitation(actor.token, project=project, invitation=str(invitation))


@get(MINE, tags=["people"], summary="What I am invited to")
async def list_my_invitations(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[MyInvitation]]:
    """Open invitations to the caller's confirmed e-mail address, or to the GitHub login they signed in with.

    Newest first. GitHub must have named the login within 30 days: sign in with GitHub again if
    one is missing.
    """
    size = page_size(limit, services.settings)
    found = await services.invitations.list_my_invitations(
        actor.token, after=position_of(cursor, str), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.position)


@post(f"{MINE}/{{invitation:uuid}}/accept", tags=["people"], summary="Accept an invitation", status_code=200)
async def accept_invitation(
    services: NamedDependency[Services], actor: NamedDependency[Actor], invitation: FromPath[UUID]
) -> Project:
    """The caller becomes a member of the project, which is the answer. A member's role stays as it is."""
    return await services.invitations.accept_invitation(actor.token, invitation=str(invitation))


@post(
    f"{MINE}/{{invitation:uuid}}/decline", tags=["people"], summary="Decline an invitation", status_code=204
)
async def decline_invitation(
    services: NamedDependency[Services], actor: NamedDependency[Actor], invitation: FromPath[UUID]
) -> None:
    """The project's owners see that it was declined, and not by whom."""
    await services.invitations.decline_invitation(actor.token, invitation=str(invitation))
