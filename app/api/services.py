"""What handlers work with, made once by `app.main`, and who is calling."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request

from app.api.bridging import bridged_actor
from app.api.page_session import page_actor
from app.api.witness import remember_actor, remembered_actor
from app.errors import VersoError
from app.flows.attribute import Memory
from app.flows.bridge import Bridge
from app.flows.diff_cache import DiffCache
from app.flows.follow_events import Hub
from app.flows.forget import Forgetter
from app.flows.git_fetch import GitServer
from app.flows.keep_trail import Trail
from app.flows.upkeep import Upkeep
from app.settings import Settings
from app.supabase.accounts import Accounts
from app.supabase.agents import Agents
from app.supabase.analytics import Rollups
from app.supabase.audit import Audit
from app.supabase.auth import Auth
from app.supabase.blobs import Blobs
from app.supabase.erasures import Erasures
from app.supabase.feed import Feed
from app.supabase.glances import Glances
from app.supabase.identity import Actor, Identity
from app.supabase.imports import Imports
from app.supabase.insights import Insights
from app.supabase.invitations import Invitations
from app.supabase.ledger import Ledger
from app.supabase.mirroring import Mirroring
from app.supabase.pipelines import Pipelines
from app.supabase.reviews import Reviews
from app.supabase.webhooks import Webhooks
from app.text.bounded import TextWorkers

MOST_PARAMETERS = 200
"""As many as any route understands, and more."""


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """The joined parts of the service."""

    settings: Settings
    ledger: Ledger
    mirroring: Mirroring
    glances: Glances
    reviews: Reviews
    pipelines: Pipelines
    imports: Imports
    invitations: Invitations
    agents: Agents
    rollups: Rollups
    accounts: Accounts
    bridge: Bridge | None
    audit: Audit
    webhooks: Webhooks
    trail: Trail
    blobs: Blobs
    identity: Identity
    auth: Auth
    workers: TextWorkers
    diffs: DiffCache
    insights: Insights
    memory: Memory
    erasures: Erasures
    forgetter: Forgetter
    upkeep: Upkeep
    git: GitServer
    feed: Feed
    hub: Hub


async def provide_services(request: Request[Any, Any, Any]) -> Services:
    """The services of this application."""
    services: Services = request.app.state.services
    return services


async def provide_actor(request: Request[Any, Any, Any], services: Services) -> Actor:
    """Who is calling, by `Authorization: Bearer` or, without that, by the cookies of a page.

    Raises VersoError `unauthenticated`; with cookies also `session_ended`, `cross_site`, `csrf_token_needed`.
    """
    known = remembered_actor(request)
    if known is not None:
        return known
    given = request.headers.get("authorization")
    if given is None:
        by_cookie = await page_actor(
            request, identity=services.identity, auth=services.auth, settings=services.settings
        )
        if by_cookie is not None:
            return remember_actor(request, by_cookie)
    scheme, _, token = (given or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise VersoError(
            "unauthenticated",
            "Send an access token of Supabase Auth as `Authorization: Bearer <token>`.",
        )
    if services.bridge is not None and services.bridge.takes(token):
        return await bridged_actor(request, services, services.bridge, token)
    return remember_actor(request, await services.identity.verify(token))


async def ask_who_first(request: Request[Any, Any, Any]) -> None:
    """Before the framework reads a JSON body: who isn't signed in has none parsed.

    It would do so before it asks for the actor, and 8 MiB of JSON can take half a second and 200 MB. Nor does
    it read a query of many parts: it keeps a thousand of them, and 15,000 parts each was a gigabyte.
    """
    if request.scope["query_string"].count(b"&") >= MOST_PARAMETERS:
        raise VersoError("bad_request", f"A query has at most {MOST_PARAMETERS} parameters.")
    if {"actor", "data"} <= request.route_handler.parsed_fn_signature.parameters.keys():
        await provide_actor(request, request.app.state.services)
