"""Where a client signs in: which Supabase this service is on, and the key that its Auth wants to see.

Both are public: the publishable key opens nothing by itself, and every page of an app carries it.
"""

from __future__ import annotations

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from app.api.services import Services


class SignIn(msgspec.Struct, frozen=True):
    """Where to sign in."""

    supabase_url: str
    """Where Supabase Auth answers, without a final slash: `<supabase_url>/auth/v1/authorize`, `…/token`."""
    publishable_key: str
    """The project's publishable key, to be sent as `apikey`."""


@get("/v1/sign-in", tags=["sign-in"], summary="Where clients sign in")
async def read_sign_in(services: NamedDependency[Services]) -> Response[SignIn]:
    """Which Supabase to sign in at, so that the address of this service is all that a client is given."""
    settings = services.settings
    url = settings.supabase_public_url or settings.supabase_url
    return Response(
        SignIn(supabase_url=url.rstrip("/"), publishable_key=settings.supabase_publishable_key),
        headers={"Cache-Control": "public, max-age=300"},
    )
