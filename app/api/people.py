"""People, as they name themselves."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import patch
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from app.api.projects import Name
from app.api.services import Services
from app.supabase.answers import Me
from app.supabase.identity import Actor

Handle = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9]([a-z0-9_.-]{0,38}[a-z0-9])?$",
        description="1 to 40 of a-z 0-9 . _ -, starting and ending with a letter or digit.",
        examples=["zoe"],
    ),
]
Avatar = Annotated[
    str, msgspec.Meta(pattern=r"^https://[!-~]+$", max_length=2000, description="An https address.")
]


class ProfileEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of one's profile; what is left out stays, and a null takes the avatar away."""

    handle: Handle | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    avatar_url: Avatar | UnsetType | None = UNSET


@patch("/v1/me", tags=["people"], summary="Change my profile")
async def update_me(
    services: NamedDependency[Services], actor: NamedDependency[Actor], data: JSONBody[ProfileEdit]
) -> Me:
    """One's handle, name and avatar. Name and avatar follow GitHub's until one has chosen others."""
    return await services.ledger.update_me(actor.token, edit=msgspec.to_builtins(data))
