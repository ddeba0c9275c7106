"""Making, rotating and revoking agents: the database says whether, Auth does it, the database writes it down.

The API and the operator's command are two ways into the same steps. They differ in where the secret key comes
from; the caller's own token decides in both.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import msgspec
import structlog

from app.errors import VersoError
from app.supabase.accounts import new_password
from app.supabase.agents import Agent

if TYPE_CHECKING:
    from app.model import Role
    from app.supabase.accounts import Accounts
    from app.supabase.agents import Agents

log = structlog.get_logger(__name__)

DOMAIN = "agents.verso.invalid"
"""Where no mail arrives (RFC 2606): an agent is nobody who could confirm an address or ask for a link."""


class Credential(msgspec.Struct, frozen=True):
    """What an agent signs in with, as `verso login --with-token` reads it. Shown once, kept nowhere."""

    email: str
    password: str


class KeptAgent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent with its new credential."""

    agent: Agent
    credential: Credential


class RevokedAgent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that may do nothing any more."""

    agent: Agent
    account_closed: bool
    """Whether its account can't sign in any more either; that takes the secret key."""


async def make_agent(
    agents: Agents, accounts: Accounts, token: str, *, project: str, name: str, role: Role
) -> KeptAgent:
    """Make an account that acts for the caller, an owner of the project.

    Raises VersoError as the database does, before any account is made, `no_secret_key` and `account_refused`.
    """
    allowed = await agents.prepare_agent(token, project=project, name=name, role=role)
    _need_key(accounts, f"verso agents add {_shell(project)} {name} --role {role.value}")
    wanted, password = str(uuid.uuid4()), new_password()
    email = f"{wanted}@{DOMAIN}"
    account = await accounts.add(
        id=wanted,
        email=email,
        password=password,
        email_confirm=True,
        user_metadata={"full_name": name, "handle": name},
        app_metadata={"verso_agent": name, "verso_project": allowed.project, "verso_owner": allowed.owner},
    )
    try:
        made = await agents.register_agent(token, project=allowed.project, account=account.id, role=role)
    except VersoError as error:
        # It belongs to nothing and can do nothing; left behind it would only be clutter.
        try:
            await accounts.remove(account.id)
        except VersoError:
            log.warning("agents.left_behind", account=account.id, because=error.code)
        raise
    return KeptAgent(agent=made, credential=Credential(email, password))


async def rotate_agent(
    agents: Agents, accounts: Accounts, token: str, *, project: str, agent: str
) -> KeptAgent:
    """Give an agent another credential: the old one and all sessions end; it acts for the caller from now on.

    In this order: were the database told first, the old credential would act for the caller meanwhile.
    """
    known = await agents.find_agent(token, project=project, agent=agent)
    if known.revoked_at is not None:
        raise VersoError("agent_revoked", "That agent was revoked, which is for ever. Make another one.")
    _need_key(accounts, f"verso agents rotate {_shell(project)} {known.name}")
    account = await accounts.find(known.id)
    if any(each.provider != "email" for each in account.identities or ()):
        raise VersoError(
            "agent_altered",
            "Somebody added another way to sign in to the agent's account, and rotating would leave it. "
            "Revoke the agent and make another one.",
        )
    # Its address as well: who had the credential may have made it one where they get mail.
    email, password = f"{known.id}@{DOMAIN}", new_password()
    await accounts.change(known.id, email=email, email_confirm=True, password=password)
    taken = await agents.take_agent(token, project=project, agent=known.id)
    return KeptAgent(agent=taken, credential=Credential(email, password))


async def revoke_agent(
    agents: Agents, accounts: Accounts, token: str, *, project: str, agent: str
) -> RevokedAgent:
    """End an agent for ever: its rights at once, with or without the secret key; a repeat does the rest."""
    revoked = await agents.revoke_agent(token, project=project, agent=agent)
    if not accounts.can_act:
        return RevokedAgent(agent=revoked, account_closed=False)
    await accounts.close(revoked.id)
    return RevokedAgent(agent=revoked, account_closed=True)


def _need_key(accounts: Accounts, command: str) -> None:
    if not accounts.can_act:
        raise VersoError(
            "no_secret_key",
            "This server has no secret key of its Supabase, so it makes and changes no accounts. "
            f"Who has the key runs `{command}`.",
            command=command,
        )


def _shell(text: str) -> str:
    """A project's reference as a command shows it; what is no reference was refused before."""
    return text if re.fullmatch(r"[A-Za-z0-9._-]+", text) else "PROJECT"
