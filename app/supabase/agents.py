"""Agents as the database knows them: one method a use case, named like the SQL function that it calls.

Every method takes the caller's token first and raises VersoError with the database's own code and sentence.
"""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec

from app.model import Person, Role

if TYPE_CHECKING:
    from app.supabase.pool import Pool


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An account that an owner made for a program of one project."""

    id: str
    """Its own account."""
    project: str
    name: str
    handle: str | None
    role: Role | None
    """Null when it is no member: revoked, or removed."""
    acts_for: Person
    """The owner who was given its credential last; its changes say so."""
    made_by: Person
    made_at: datetime
    rotated_at: datetime | None
    revoked_at: datetime | None
    active: bool
    """Whether it may act: a member, not revoked, and whom it acts for is an owner."""

    @property
    def position(self) -> str:
        """Where it is in the list of agents."""
        state = "active" if self.revoked_at is None else "revoked"
        return f"{state} {self.name} {self.made_at.isoformat()} {self.id}"


class Allowed(msgspec.Struct, frozen=True):
    """The database's yes to a new agent: what its account must say."""

    project: str
    owner: str


class Agents:
    """The agents of one Supabase project."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def prepare_agent(self, token: str, *, project: str, name: str, role: Role) -> Allowed:
        """Whether the caller may make an agent of this name."""
        return await self._pool.call(
            Allowed, token, "prepare_agent", project=project, name=name, role=role.value
        )

    async def register_agent(self, token: str, *, project: str, account: str, role: Role) -> Agent:
        """Make an account that was made for this an agent."""
        return await self._pool.call(
            Agent, token, "register_agent", project=project, account=account, role=role.value
        )

    async def list_agents(
        self, token: str, *, project: str, after: str | None, page_size: int
    ) -> list[Agent]:
        """A project's agents by name, the revoked ones last; `after` is a `position`."""
        return await self._pool.call(
            list[Agent], token, "list_agents", project=project, after=after, page_size=page_size
        )

    async def find_agent(self, token: str, *, project: str, agent: str) -> Agent:
        """An agent, by id or name, for an owner who means to keep it."""
        return await self._pool.call(Agent, token, "find_agent", project=project, agent=agent)

    async def take_agent(self, token: str, *, project: str, agent: str) -> Agent:
        """Note that its credential is another one now, and the caller's."""
        return await self._pool.call(Agent, token, "take_agent", project=project, agent=agent)

    async def revoke_agent(self, token: str, *, project: str, agent: str) -> Agent:
        """End its membership and rights; a repeat finds it done."""
        return await self._pool.call(Agent, token, "revoke_agent", project=project, agent=agent)
