"""Agents: accounts of their own for the programs of a project."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from app.api.links import Page, page_of, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.flows import keep_agents
from app.flows.keep_agents import KeptAgent, RevokedAgent
from app.model import SLUG, Role
from app.supabase.agents import Agent
from app.supabase.identity import Actor

AGENTS = "/v1/projects/{project:str}/agents"
# A credential is shown once; no cache may show it again.
_NO_STORE = {"Cache-Control": "no-store"}


class NewAgent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent to be made."""

    name: Annotated[
        str,
        msgspec.Meta(
            pattern=f"^{SLUG}$",
            description="1 to 64 of a-z 0-9 . _ -; history shows it.",
            examples=["spec-writer"],
        ),
    ]
    role: Literal["reader", "reviewer", "editor"] = "editor"


@get(AGENTS, tags=["agents"], summary="A project's agents")
async def list_agents(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Agent]]:
    """By name, those that were revoked last."""
    size = page_size(limit, services.settings)
    found = await services.agents.list_agents(
        actor.token, project=project, after=position_of(cursor, str), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.position)


@post(AGENTS, tags=["agents"], summary="Make an agent")
async def create_agent(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[NewAgent],
) -> Response[KeptAgent]:
    """For owners. An account of its own, for this project only, that acts for the caller.

    The credential is in this answer and nowhere else: `verso login --with-token` takes it. A server without
    the secret key answers `no_secret_key`, with the command by which an operator does the same.
    """
    made = await keep_agents.make_agent(
        services.agents,
        services.accounts,
        actor.token,
        project=project,
        name=data.name,
        role=Role(data.role),
    )
    return Response(made, status_code=201, headers=_NO_STORE)


@post(
    f"{AGENTS}/{{agent:str}}/rotate",
    tags=["agents"],
    summary="Give an agent another credential",
    status_code=200,
)
async def rotate_agent(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    agent: FromPath[str],
) -> Response[KeptAgent]:
    """For owners, by the agent's id or name. The old credential and every session end at once.

    It acts for the caller from now on, whoever made it.
    """
    kept = await keep_agents.rotate_agent(
        services.agents, services.accounts, actor.token, project=project, agent=agent
    )
    return Response(kept, status_code=200, headers=_NO_STORE)


@delete(f"{AGENTS}/{{agent:str}}", tags=["agents"], summary="Revoke an agent", status_code=200)
async def revoke_agent(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    agent: FromPath[str],
) -> RevokedAgent:
    """For owners, by the agent's id or name. Its rights end at once and for ever, its history stays.

    `account_closed` says whether its account can't sign in any more either. A server without the secret key
    can't see to that; the account has no rights anywhere.
    """
    return await keep_agents.revoke_agent(
        services.agents, services.accounts, actor.token, project=project, agent=agent
    )
