"""What is noted of a request for the audit trail: what was done, and from where, as this server saw it.

Only of who is signed in: the trail is written under the caller's own token, and this server has no other.
Refused tokens and sign-ins have none; they are lines of the log (`app.api.limiting`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.api.rates import address_of
from app.supabase.audit import Said

if TYPE_CHECKING:
    from litestar import Request

    from app.api.services import Services
    from app.errors import VersoError
    from app.supabase.identity import Actor

_ACTOR = "verso_actor"
REFUSALS = {
    "role_too_low": "refused.role",
    "outside_folders": "refused.role",
    "agent_bound": "refused.role",
    "project_not_found": "refused.absent",
    "document_not_found": "refused.absent",
    "version_not_found": "refused.absent",
    "no_profile": "refused.account",
}
"""Codes that tell of an attempt at what is not the caller's. To members the database counts no absence."""
_NAMED_BY = {"document_not_found": "document", "version_not_found": "version"}
"""What the address must name for such a code to tell of somebody else's: a path that isn't there is none."""


def remember_actor(request: Request[Any, Any, Any], actor: Actor) -> Actor:
    """Keep who asked with the request, for what may be noted of it later."""
    request.scope[_ACTOR] = actor  # type: ignore[literal-required]
    return actor


def remembered_actor(request: Request[Any, Any, Any]) -> Actor | None:
    """Who asked, once that is known."""
    actor: Actor | None = request.scope.get(_ACTOR)  # type: ignore[assignment]
    return actor


def note_act(
    request: Request[Any, Any, Any], services: Services, *, token: str, kind: str, about: str | None = None
) -> None:
    """Note what the token's owner does with this request."""
    services.trail.note(token, _said(request, services, kind=kind, about=about))


def note_refusal(request: Request[Any, Any, Any], error: VersoError) -> None:
    """Note that somebody signed in was refused, if the code tells of an attempt."""
    kind = REFUSALS.get(error.code)
    actor = remembered_actor(request)
    if kind is None or actor is None:
        return
    named = request.path_params
    if error.code in _NAMED_BY and _NAMED_BY[error.code] not in named:
        return
    services: Services = request.app.state.services
    about = next((str(named[each]) for each in ("project", "document", "version") if each in named), None)
    services.trail.note(
        actor.token, _said(request, services, kind=kind, about=about and about[:100], code=error.code)
    )


def note_limit(request: Request[Any, Any, Any], services: Services, *, token: str) -> None:
    """Note that an account asked too often. It is refused before it is routed: no project is known."""
    services.trail.note(token, _said(request, services, kind="refused.rate", code="too_many_requests"))


def _said(request: Request[Any, Any, Any], services: Services, **more: str | None) -> Said:
    scope: Any = request.scope
    return Said(
        address=address_of(scope, hops=services.settings.trusted_hops),
        user_agent=request.headers.get("user-agent", "")[:300] or None,
        request=scope.get("verso_request_id"),
        route=f"{scope['method']} {scope.get('path_template') or ''}"[:200],
        **more,  # type: ignore[arg-type]
    )
