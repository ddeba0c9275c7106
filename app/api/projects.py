"""Projects, their members, and their tree."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from app.api.files import At
from app.api.links import Page, cut, next_link, page_of, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.model import SLUG, Member, Project, Role, TreeEntry
from app.supabase.answers import Me
from app.supabase.identity import Actor

Slug = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^{SLUG}$",
        description="1 to 64 of a-z 0-9 . _ -, starting and ending with a letter or digit.",
        examples=["idse-core"],
    ),
]
Name = Annotated[
    str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")
]
Description = Annotated[str, msgspec.Meta(max_length=4000, pattern=r"^[^\x00]*$")]


class NewProject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A project to be made."""

    slug: Slug
    name: Name | None = None
    description: Description = ""


class ProjectEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a project; what is left out stays."""

    name: Name | None = None
    description: Description | None = None
    archived: bool | None = None


class NewRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The role that someone shall have."""

    role: Role


class NewFolders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The folders that somebody shall be an editor of; null for everything."""

    folders: Annotated[list[str], msgspec.Meta(min_length=1, max_length=100)] | None


class TreePage(msgspec.Struct, frozen=True):
    """A page of the tree after change `sequence`."""

    sequence: int
    items: list[TreeEntry]
    next: str | None


@get("/v1/me", tags=["people"], summary="Who am I")
async def read_me(services: NamedDependency[Services], actor: NamedDependency[Actor]) -> Me:
    """The caller's profile, and up to 100 of their projects with their role."""
    return await services.ledger.me(actor.token)


@get("/v1/projects", tags=["projects"], summary="My projects")
async def list_projects(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Project]]:
    """The projects that the caller is a member of, by slug."""
    size = page_size(limit, services.settings)
    found = await services.ledger.list_projects(
        actor.token, after=position_of(cursor, str), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: f"{each.slug} {each.id}")


@post("/v1/projects", tags=["projects"], summary="Make a project")
async def create_project(
    services: NamedDependency[Services], actor: NamedDependency[Actor], data: JSONBody[NewProject]
) -> Response[Project]:
    """Make a project; the caller becomes its owner. Slugs are unique to their maker."""
    made = await services.ledger.create_project(
        actor.token, slug=data.slug, name=data.name, description=data.description
    )
    return Response(made, status_code=201, headers={"Location": f"/v1/projects/{made.id}"})


@get("/v1/projects/{project:str}", tags=["projects"], summary="One project")
async def read_project(
    services: NamedDependency[Services], actor: NamedDependency[Actor], project: FromPath[str]
) -> Project:
    """A project by id or slug, with the caller's role and the hash of its newest change."""
    return await services.ledger.read_project(actor.token, project=project)


@patch(
    "/v1/projects/{project:str}", tags=["projects"], summary="Rename, describe, archive or reopen a project"
)
async def update_project(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[ProjectEdit],
) -> Project:
    """For owners. An archived project can be read, and takes no writes until it is reopened."""
    return await services.ledger.update_project(
        actor.token, project=project, name=data.name, description=data.description, archived=data.archived
    )


@get("/v1/projects/{project:str}/members", tags=["projects"], summary="Who belongs to a project")
async def list_members(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Member]]:
    """The members, owners first, and each role in the order in which they came. Agents are members, too."""
    size = page_size(limit, services.settings)
    found = await services.ledger.list_members(
        actor.token, project=project, after=position_of(cursor, str), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.position)


@put(
    "/v1/projects/{project:str}/members/{person:str}",
    tags=["projects"],
    summary="Add a member, or change a role",
)
async def set_member(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    person: FromPath[str],
    data: JSONBody[NewRole],
) -> Member:
    """For owners. The person is a handle (GET /v1/me shows one's own) or an id. The last owner stays one."""
    return await services.ledger.set_member(actor.token, project=project, person=person, role=data.role)


@put(
    "/v1/projects/{project:str}/members/{person:str}/folders",
    tags=["projects"],
    summary="Make somebody an editor of some folders only",
)
async def set_folders(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    person: FromPath[str],
    data: JSONBody[NewFolders],
) -> Member:
    """For owners. They become an editor, new or not, who writes below these folders and reads everything.

    `docs` holds `docs/a.md` and not `docs-old/a.md`. Null lifts the limit; another role does as well.
    """
    return await services.ledger.set_folders(
        actor.token, project=project, person=person, folders=data.folders
    )


@delete(
    "/v1/projects/{project:str}/members/{person:str}", tags=["projects"], summary="Remove a member, or leave"
)
async def remove_member(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    person: FromPath[str],
) -> None:
    """Owners may remove anyone, everyone may leave; the last owner can't."""
    await services.ledger.remove_member(actor.token, project=project, person=person)


@get("/v1/projects/{project:str}/tree", tags=["projects"], summary="What paths there are, now or at a point")
async def list_tree(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    at: At = None,
    prefix: Annotated[str, QueryParameter(description="Only paths that begin so.", max_length=1024)] = "",
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[TreePage]:
    """Paths in byte order with their versions. For a steady view send the first page's `sequence` as `at`."""
    size = page_size(limit, services.settings)
    tree = await services.ledger.list_tree(
        actor.token,
        project=project,
        at=at,
        prefix=prefix,
        after=position_of(cursor, str) or "",
        page_size=size + 1,
    )
    entries, following = cut(tree.entries, size, lambda each: each.path)
    page = TreePage(tree.sequence, entries, following)
    return Response(page, headers=next_link(request, following))
