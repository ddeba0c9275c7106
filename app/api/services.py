"""What handlers work with, made once by `app.main`, and who is calling."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request

from app.errors import VersoError
from app.flows.attribute import Memory
from app.flows.diff_cache import DiffCache
from app.flows.git_fetch import GitServer
from app.flows.upkeep import Upkeep
from app.settings import Settings
from app.supabase.blobs import Blobs
from app.supabase.identity import Actor, Identity
from app.supabase.imports import Imports
from app.supabase.insights import Insights
from app.supabase.ledger import Ledger
from app.supabase.mirroring import Mirroring
from app.supabase.reviews import Reviews
from app.text.bounded import TextWorkers


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """The joined parts of the service."""

    settings: Settings
    ledger: Ledger
    mirroring: Mirroring
    reviews: Reviews
    imports: Imports
    blobs: Blobs
    identity: Identity
    workers: TextWorkers
    diffs: DiffCache
    insights: Insights
    memory: Memory
    upkeep: Upkeep
    git: GitServer


async def provide_services(request: Request[Any, Any, Any]) -> Services:
    """The services of this application."""
    services: Services = request.app.state.services
    return services


async def provide_actor(request: Request[Any, Any, Any], services: Services) -> Actor:
    """Who is calling, by `Authorization: Bearer`; raises VersoError `unauthenticated`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise VersoError(
            "unauthenticated",
            "Send an access token of Supabase Auth as `Authorization: Bearer <token>`.",
        )
    return await services.identity.verify(token)
