"""A page's session once there is one: who is signed in, the next access token, and the end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from app.api import cookies, pages
from app.api.auth import SessionState, on_refusal, onward
from app.api.bodies import take_bytes
from app.api.page_session import fresh_actor, set_cookies
from app.api.same_site import TOKEN_HEADER, check_same_site, check_token, safe_next
from app.api.services import Services
from app.api.witness import note_act
from app.errors import VersoError
from app.supabase.identity import TokenEndedError

SMALL_FORM = 16 * 1024
"""The most bytes of a form that anybody may send: 8 MiB of `%41` took a second of everybody's time."""
_NOBODY = SessionState(signed_in=False, csrf_token=None)
_OVER = frozenset({"session_ended", "unauthenticated"})


async def form_of(request: Request[Any, Any, Any], *, most: int = SMALL_FORM) -> dict[str, str]:
    """The fields of a small form, the last of each name; none of any other body. Raises `too_large`."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    data = await take_bytes(request, limit=most)
    try:
        fields = parse_qs(data.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise VersoError("bad_request", "The form is not well formed.") from None
    return {name: values[-1] for name, values in fields.items()}


@get(
    "/auth/session",
    tags=["sign-in"],
    summary="Is this browser signed in",
    exception_handlers={VersoError: on_refusal},
)
async def read_page_session(
    request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Response[Any]:
    """Whether it is, and the token that its pages send to write; for people a page to sign out."""
    settings = services.settings
    token = cookies.access_of(request, settings)
    headers = {"Cache-Control": "no-store"}
    if token is not None:
        try:
            actor = await fresh_actor(
                request, token, identity=services.identity, auth=services.auth, settings=settings
            )
        except VersoError as error:
            if error.code not in _OVER:
                raise
            token = None
    if token is None:
        if pages.wants_page(request):
            return pages.page(request, "Nobody is signed in here", pages.link("/auth/login", "Sign in"))
        return Response(_NOBODY, headers=headers)
    said = cookies.csrf_token(token)
    if not pages.wants_page(request):
        return Response(SessionState(signed_in=True, csrf_token=said), headers=headers)
    try:
        me = await services.ledger.me(actor.token)
        who = f"{me.name or me.handle} ({me.handle})"
    except VersoError as error:
        if error.code != "no_profile":
            raise
        who = error.sentence  # an account that was deleted signs out as well
    return pages.page(
        request,
        "You are signed in",
        pages.text(who),
        pages.form("/auth/logout", "Sign out here", csrf_token=said),
        pages.form("/auth/logout", "Sign out everywhere", csrf_token=said, scope="everywhere"),
    )


@post(
    "/auth/refresh",
    tags=["sign-in"],
    summary="The next access token",
    status_code=200,
    exception_handlers={VersoError: on_refusal},
)
async def refresh_page_session(
    request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Response[Any]:
    """Sets a session's cookies anew. Pages need not: whichever request meets the token's end does it too."""
    settings = services.settings
    form = await form_of(request)
    token, renewed = cookies.access_of(request, settings), cookies.refresh_of(request, settings)
    if token is None or renewed is None:
        raise VersoError("session_ended", "Nobody is signed in here. Sign in.")
    check_same_site(request, settings)
    check_token(form.get("csrf_token", request.headers.get(TOKEN_HEADER)), token)
    with suppress(TokenEndedError):
        await services.identity.verify(token)
    session = await services.auth.renew(token, renewed)
    set_cookies(request, cookies.session_cookies(settings, session))
    if pages.wants_page(request):
        return onward(safe_next(form.get("next")))
    state = SessionState(signed_in=True, csrf_token=cookies.csrf_token(session.access_token))
    return Response(state, headers={"Cache-Control": "no-store"})


@post(
    "/auth/logout",
    tags=["sign-in"],
    summary="Sign out",
    status_code=200,
    exception_handlers={VersoError: on_refusal},
)
async def sign_out(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Ends the session of this browser, or with `scope=everywhere` all of the account's sessions.

    An access token that somebody copied out of a browser stays good until it ends by itself, within the hour.
    """
    settings = services.settings
    form = await form_of(request)
    scope = form.get("scope", "here")
    if scope not in {"here", "everywhere"}:
        raise VersoError("bad_value", "The scope of a sign-out is here or everywhere.")
    token = cookies.access_of(request, settings)
    if token is not None:
        check_same_site(request, settings)
        check_token(form.get("csrf_token", request.headers.get(TOKEN_HEADER)), token)
        try:
            actor = await fresh_actor(
                request, token, identity=services.identity, auth=services.auth, settings=settings
            )
            await services.auth.sign_out(actor.token, everywhere=scope == "everywhere")
            note_act(request, services, token=actor.token, kind="page.signed_out")
        except VersoError as error:
            # Here the cookies go in any case; elsewhere nothing has ended unless Auth said so.
            if error.code not in _OVER and scope == "everywhere":
                raise
    request.scope["verso_fields"].clear()  # type: ignore[typeddict-item]  # what a refresh on the way would set
    set_cookies(request, cookies.no_session(settings))
    headers = {"Cache-Control": "no-store", "Clear-Site-Data": '"cache"'}
    if pages.wants_page(request):
        return onward(safe_next(form.get("next")), headers=headers)
    return Response(_NOBODY, headers=headers)
