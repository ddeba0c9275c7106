"""Requests with a token of the older system: who that is here, what it may do, and what its answers say.

Every answer says since when such tokens are on their way out (`Deprecation`, RFC 9745) and when that is over
(`Sunset`, RFC 8594). Every use is a line of the log, and an entry of the account's own audit trail.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import structlog

from app.api.witness import note_act, remember_actor
from app.errors import VersoError

if TYPE_CHECKING:
    from litestar import Request

    from app.api.services import Services
    from app.flows.bridge import Bridge
    from app.supabase.identity import Actor

log = structlog.get_logger(__name__)

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_READ_BY_POST = frozenset(
    {
        "/v1/projects/{project}/have",
        "/v1/projects/{project}/contents",
        "/v1/documents/{document}/bisect",
        "/v1/documents/{document}/merge",
    }
)
"""Routes that take what is asked for as a body, and write nothing."""


async def bridged_actor(
    request: Request[Any, Any, Any], services: Services, bridge: Bridge, token: str
) -> Actor:
    """Who calls. Raises VersoError `unauthenticated`, `bridge_read_only`, `supabase_unavailable`."""
    terms = bridge.terms
    fields: list[tuple[bytes, bytes]] = request.scope["verso_fields"]  # type: ignore[typeddict-item]
    fields += [
        (b"deprecation", b"@%d" % terms.since.timestamp()),
        (b"sunset", format_datetime(terms.until.astimezone(UTC), usegmt=True).encode()),
    ]
    actor, subject = await bridge.actor(token)
    remember_actor(request, actor)
    route = str(request.scope.get("path_template"))
    refused = terms.mode != "full" and request.method not in _READING and route not in _READ_BY_POST
    log.info(
        "bridge.used",
        account=actor.id,
        subject=subject,
        method=request.method,
        route=route,
        mode=terms.mode,
        refused=refused,
    )
    about = request.path_params.get("project")
    note_act(request, services, token=actor.token, kind="bridge.used", about=about and str(about)[:100])
    if refused:
        raise VersoError(
            "bridge_read_only", "Tokens of the older system only read here. Sign in to Verso to write."
        )
    return actor
