"""Who belongs to a project: members, invitations, agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from app.api.links import cut, position_of
from app.api.same_site import own_url
from app.errors import VersoError
from app.flows import keep_agents
from app.flows.keep_agents import KeptAgent
from app.model import Role, is_slug
from app.supabase.invitations import InvitationState
from app.web import notices
from app.web.in_place import REFUSED, Refused, attempt, back_to, one_of
from app.web.rendering import Crumb, render
from app.web.visiting import Visitor, together

if TYPE_CHECKING:
    from app.supabase.invitations import Invitation

PAGE = 100
"""Members, agents and open invitations on a page, of each."""
PAST = 50
"""Of the newest invitations those that are over, however they ended."""
_NO_STORE = {"Cache-Control": "private, no-store"}


@get("/p/{project:str}/people")
async def read_people(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """Members with their roles, and agents; for owners the open invitations as well."""
    return await _people(visitor, project)


@post("/p/{project:str}/people", status_code=303)
async def invite_person(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """Add somebody by handle, or invite an e-mail address or a GitHub login."""
    who = visitor.form.get("who", "").strip()
    by = visitor.form.get("by", "")

    async def write() -> None:
        role = one_of(visitor.form, "role", Role)
        if by == "handle":
            await visitor.services.ledger.set_member(
                visitor.token, project=project, person=_named(who), role=role
            )
            return
        await visitor.services.invitations.create_invitation(
            visitor.token,
            project=project,
            role=role,
            email=who if by == "email" else None,
            github_login=_named(who) if by == "github" else None,
        )

    done = await attempt("invite", write())
    if isinstance(done, Refused):
        return await _people(visitor, project, refused=done)
    return back_to(project, "/people", "member_added" if by == "handle" else "invited", who=who)


@post("/p/{project:str}/people/{person:str}", status_code=303)
async def set_member(
    visitor: NamedDependency[Visitor], project: FromPath[str], person: FromPath[str]
) -> Response[Any]:
    """Give a member another role; of an editor also the folders, one on each line, none for everything."""
    ledger = visitor.services.ledger

    async def write() -> None:
        role = one_of(visitor.form, "role", Role)
        folders = [each.strip() for each in visitor.form.get("folders", "").splitlines() if each.strip()]
        if role is Role.editor:
            await ledger.set_folders(visitor.token, project=project, person=person, folders=folders or None)
        else:
            await ledger.set_member(visitor.token, project=project, person=person, role=role)

    done = await attempt(person, write())
    if isinstance(done, Refused):
        return await _people(visitor, project, refused=done)
    visitor.pages.recent.forget(visitor.token)
    return back_to(project, f"/people{_place(visitor)}", "member_changed")


@post("/p/{project:str}/people/{person:str}/remove", status_code=303)
async def remove_member(
    visitor: NamedDependency[Visitor], project: FromPath[str], person: FromPath[str]
) -> Response[Any]:
    """Remove a member, or leave."""
    here = await visitor.services.ledger.read_project(visitor.token, project=project)
    done = await attempt(
        person, visitor.services.ledger.remove_member(visitor.token, project=project, person=person)
    )
    if isinstance(done, Refused):
        return await _people(visitor, project, refused=done)
    if person != visitor.actor.id:
        return back_to(project, f"/people{_place(visitor)}", "member_removed")
    visitor.pages.recent.forget(visitor.token)
    return Redirect("/", status_code=303, cookies=[notices.leave("left", name=here.name)])


@post("/p/{project:str}/invitations/{invitation:str}/revoke", status_code=303)
async def revoke_invitation(
    visitor: NamedDependency[Visitor], project: FromPath[str], invitation: FromPath[str]
) -> Response[Any]:
    """Take an invitation back."""
    await visitor.services.invitations.revoke_invitation(
        visitor.token, project=project, invitation=invitation
    )
    return back_to(project, f"/people{_place(visitor)}", "invitation_revoked")


@post("/p/{project:str}/agents", status_code=200)
async def create_agent(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """Make an agent. The answer is the one page that ever shows its credential."""
    name = visitor.form.get("name", "").strip().lower()

    async def write() -> KeptAgent:
        if not is_slug(name):
            raise VersoError(
                "bad_value", "An agent's name is 1 to 64 of a-z 0-9 . _ -, first and last a letter or digit."
            )
        return await keep_agents.make_agent(
            visitor.services.agents,
            visitor.services.accounts,
            visitor.token,
            project=project,
            name=name,
            role=one_of(visitor.form, "role", Role),
        )

    made = await attempt("agent", write())
    if isinstance(made, Refused):
        return await _people(visitor, project, refused=made)
    return await _credential(visitor, project, made)


@post("/p/{project:str}/agents/{agent:str}/rotate", status_code=200)
async def rotate_agent(
    visitor: NamedDependency[Visitor], project: FromPath[str], agent: FromPath[str]
) -> Response[Any]:
    """Give an agent another credential, shown once as well."""
    services = visitor.services
    writing = keep_agents.rotate_agent(
        services.agents, services.accounts, visitor.token, project=project, agent=agent
    )
    made = await attempt(agent, writing)
    if isinstance(made, Refused):
        return await _people(visitor, project, refused=made)
    return await _credential(visitor, project, made)


@post("/p/{project:str}/agents/{agent:str}/revoke", status_code=303)
async def revoke_agent(
    visitor: NamedDependency[Visitor], project: FromPath[str], agent: FromPath[str]
) -> Response[Any]:
    """End an agent's rights for ever."""
    revoked = await keep_agents.revoke_agent(
        visitor.services.agents,
        visitor.services.accounts,
        visitor.token,
        project=project,
        agent=agent,
    )
    return back_to(project, f"/people{_place(visitor)}", "agent_revoked", name=revoked.agent.name)


async def _people(visitor: Visitor, project: str, *, refused: Refused | None = None) -> Response[Any]:
    services, token = visitor.services, visitor.token
    query = visitor.request.query_params
    # One list goes on; the two others are at their beginnings.
    at = {query.get("of", "members"): query.get("cursor")}
    here, members, agents = await together(
        services.ledger.read_project(token, project=project),
        services.ledger.list_members(
            token,
            project=project,
            after=position_of(at.get("members"), str),
            page_size=PAGE + 1,
            agents=False,
        ),
        services.agents.list_agents(
            token, project=project, after=position_of(at.get("agents"), str), page_size=PAGE + 1
        ),
    )
    owns = here.role is Role.owner
    invitations: list[Invitation] = []
    newest: list[Invitation] = []
    if owns:
        invited = services.invitations.list_invitations
        before = position_of(at.get("invitations"), int)
        invitations, newest = await together(
            invited(token, project=here.id, ended=False, before=before, page_size=PAGE + 1),
            invited(token, project=here.id, ended=True, before=None, page_size=PAST),
        )
    following: dict[str, str | None] = {}
    members, following["members"] = cut(members, PAGE, lambda each: each.position)
    agents, following["agents"] = cut(agents, PAGE, lambda each: each.position)
    invitations, following["invitations"] = cut(invitations, PAGE, lambda each: each.sequence)
    return await render(
        visitor,
        "people/list.html",
        title=f"People of {here.name}",
        crumbs=[Crumb("People")],
        project=here,
        tab="people",
        status=200 if refused is None else REFUSED,
        members=members,
        all_of_them=not at.get("members") and not following["members"],
        agents=agents,
        invitations=invitations,
        following=following,
        place=_place(visitor),
        past=[each for each in newest if each.state is not InvitationState.pending],
        owns=owns,
        keyed=services.accounts.can_act,
        roles=[each.value for each in Role],
        refused=refused,
        given=visitor.form,
    )


async def _credential(visitor: Visitor, project: str, kept: KeptAgent) -> Response[Any]:
    here = await visitor.services.ledger.read_project(visitor.token, project=project)
    return await render(
        visitor,
        "people/credential.html",
        title=f"Credential of {kept.agent.name}",
        crumbs=[Crumb("People", "/people"), Crumb(kept.agent.name)],
        project=here,
        tab="people",
        headers=_NO_STORE,
        kept=kept,
        server=own_url(visitor.request, visitor.services.settings),
    )


def _place(visitor: Visitor) -> str:
    """The query of the page that somebody is on: what they change there leads back to it."""
    query = visitor.request.query_params
    asked = {name: query[name] for name in ("of", "cursor") if query.get(name)}
    return f"?{urlencode(asked)}" if asked else ""


def _named(text: str) -> str:
    """A handle or login as people write it, with or without the sign before it."""
    return text.removeprefix("@").lower()
