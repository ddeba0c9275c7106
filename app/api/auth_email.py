"""Signing in by e-mail, from the forms of GET /auth/login: with a password, or with a link that Auth sends.

A form carries the state of a sign-in that this browser began: no stranger's page can sign anybody in.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency

from app.api import cookies, pages
from app.api.auth import callback_url, challenge_of, leave_old_session, on_refusal, onward
from app.api.auth_sessions import form_of
from app.api.same_site import check_same_site, own_url
from app.api.services import Services
from app.api.witness import note_act
from app.errors import VersoError
from app.supabase.auth import refusal


@post(
    "/auth/password",
    tags=["sign-in"],
    summary="Sign in with a password",
    status_code=200,
    exception_handlers={VersoError: on_refusal},
)
async def sign_in_by_password(
    request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Response[Any]:
    """Makes the session, sets its cookies, goes on. Wrong addresses and passwords are answered alike."""
    form, flow = await _begun(request, services)
    if not (await services.auth.methods()).password:
        raise refusal("email_provider_disabled")
    session = await services.auth.by_password(form.get("email", "").strip(), form.get("password", ""))
    note_act(request, services, token=session.access_token, kind="page.signed_in")
    await leave_old_session(request, services)
    settings = services.settings
    over = cookies.end_flow(request, settings, flow.state)
    return onward(flow.next, [*cookies.session_cookies(settings, session), over])


@post(
    "/auth/link",
    tags=["sign-in"],
    summary="Have a link sent that signs in",
    status_code=200,
    exception_handlers={VersoError: on_refusal},
)
async def send_sign_in_link(
    request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Response[Any]:
    """The link works once, in the browser that asked for it. Nobody is told who has an account."""
    form, flow = await _begun(request, services)
    if not (await services.auth.methods()).link:
        raise refusal("email_provider_disabled")
    email = form.get("email", "").strip()
    if "@" not in email:
        raise VersoError("bad_value", "That is no e-mail address.")
    await services.auth.send_link(
        email,
        redirect_to=callback_url(own_url(request, services.settings), flow),
        challenge=challenge_of(flow.verifier),
    )
    return pages.page(
        request,
        "Look into your mail",
        "If the address can sign in here, a link is on its way. Open it in this browser, within the hour.",
    )


async def _begun(request: Request[Any, Any, Any], services: Services) -> tuple[dict[str, str], cookies.Flow]:
    """The form of a sign-in, and that sign-in. Raises VersoError `cross_site`, `sign_in_stale`."""
    check_same_site(request, services.settings)
    form = await form_of(request)
    flow = cookies.flow_of(request, services.settings, form.get("state", ""))
    if flow is None:
        raise refusal("flow_state_not_found")
    return form, flow
