"""Invitations: one method a use case, named like the SQL function that it calls, in one round trip.

As in the ledger, every method takes the caller's token first and raises VersoError with the database's own
code and sentence. Each is safe to repeat: inviting again replaces, the others find it done.
"""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from app.model import Person, Project, Role

if TYPE_CHECKING:
    from app.supabase.pool import Pool


class InvitationState(StrEnum):
    """Whether an invitation can be accepted, or how it ended."""

    pending = "pending"
    accepted = "accepted"
    declined = "declined"
    revoked = "revoked"
    replaced = "replaced"
    expired = "expired"


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation as a project's owners see it. It has one of `email` and `github_login`."""

    id: str
    project: str
    sequence: int
    """The number of its event in the project."""
    email: str | None = None
    github_login: str | None = None
    role: Role
    state: InvitationState
    invited_by: Person
    accepted_by: Person | None = None
    created_at: datetime
    expires_at: datetime
    closed_at: datetime | None = None


class InvitedTo(msgspec.Struct, frozen=True, kw_only=True):
    """What a stranger is told of the project that they are invited to."""

    id: str
    slug: str
    name: str


class MyInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation as the invited person sees it."""

    id: str
    project: InvitedTo
    role: Role
    email: str | None = None
    github_login: str | None = None
    invited_by: Person
    created_at: datetime
    expires_at: datetime

    @property
    def position(self) -> str:
        """Where it is in the list of one's own."""
        return f"{self.created_at.isoformat()} {self.id}"


class Invitations:
    """The invitations of one Supabase project."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create_invitation(
        self, token: str, *, project: str, role: Role, email: str | None, github_login: str | None
    ) -> Invitation:
        """Invite an address to a project, in place of an open invitation that it has."""
        return await self._pool.call(
            Invitation,
            token,
            "create_invitation",
            project=project,
            role=role,
            email=email,
            github_login=github_login,
        )

    async def list_invitations(
        self, token: str, *, project: str, ended: bool, before: int | None, page_size: int
    ) -> list[Invitation]:
        """A project's invitations, newest first: the open ones, or all."""
        return await self._pool.call(
            list[Invitation],
            token,
            "list_invitations",
            project=project,
            ended=ended,
            before=before,
            page_size=page_size,
        )

    async def revoke_invitation(self, token: str, *, project: str, invitation: str) -> None:
        """Take an open invitation back."""
        await self._pool.rpc(token, "revoke_invitation", {"project": project, "invitation": invitation})

    async def list_my_invitations(
        self, token: str, *, after: str | None, page_size: int
    ) -> list[MyInvitation]:
        """The caller's open invitations, newest first; `after` is the `position` of the last one seen."""
        return await self._pool.call(
            list[MyInvitation], token, "list_my_invitations", after=after, page_size=page_size
        )

    async def accept_invitation(self, token: str, *, invitation: str) -> Project:
        """Become a member; gives the project."""
        return await self._pool.call(Project, token, "accept_invitation", invitation=invitation)

    async def decline_invitation(self, token: str, *, invitation: str) -> None:
        """Turn an invitation down."""
        await self._pool.rpc(token, "decline_invitation", {"invitation": invitation})
