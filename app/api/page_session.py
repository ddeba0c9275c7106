"""Who is calling by the cookies of a page, with an access token that is kept fresh on the way.

A page's token ends within the hour. Whichever request meets its end gets the next one, and the cookies with
it: no page needs a script for that, and any number of tabs share one refresh (`app.supabase.auth`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from app.api import cookies
from app.api.same_site import SAFE_METHODS, TOKEN_HEADER, check_same_site, check_token
from app.errors import VersoError
from app.supabase.identity import TokenEndedError

if TYPE_CHECKING:
    from litestar import Request
    from litestar.datastructures import Cookie

    from app.settings import Settings
    from app.supabase.auth import Auth
    from app.supabase.identity import Actor, Identity

REFRESHED_BEFORE_SECONDS = 30.0
"""Storage allows no leeway: a token that ends while the request is on its way would fail half-way."""


async def page_actor(
    request: Request[Any, Any, Any], *, identity: Identity, auth: Auth, settings: Settings
) -> Actor | None:
    """The account of a request's cookies, None when there are none.

    What writes must come from a page of this site and say its token. Raises VersoError `unauthenticated`,
    `session_ended` (and takes the cookies away), `cross_site`, `csrf_token_needed`, `supabase_unavailable`.
    """
    token = cookies.access_of(request, settings)
    if token is None:
        return None
    if request.method not in SAFE_METHODS:
        check_same_site(request, settings)
        check_token(request.headers.get(TOKEN_HEADER), token)
    return await fresh_actor(request, token, identity=identity, auth=auth, settings=settings)


async def fresh_actor(
    request: Request[Any, Any, Any], token: str, *, identity: Identity, auth: Auth, settings: Settings
) -> Actor:
    """The account of an access token from a cookie, by the next token when that one ends.

    Raises VersoError as `page_actor`, `unauthenticated` also for a token that Auth never signed: there is no
    session to go on with.
    """
    known: Actor | None = None
    try:
        known = await identity.verify(token)
    except TokenEndedError as error:
        refused = error
    if known is not None and known.expires_at - REFRESHED_BEFORE_SECONDS > time.time():
        return known
    renewed = cookies.refresh_of(request, settings)
    if renewed is None:
        if known is not None:
            return known
        raise refused
    try:
        session = await auth.renew(token, renewed)
    except VersoError as error:
        if error.code == "session_ended":
            set_cookies(request, cookies.no_session(settings))
        elif known is not None:
            return known  # good for some seconds yet, and Auth may be back by then
        raise
    set_cookies(request, cookies.session_cookies(settings, session))
    return await identity.verify(session.access_token)


def set_cookies(request: Request[Any, Any, Any], made: list[Cookie]) -> None:
    """Have the answer set these cookies, whatever the answer turns out to be."""
    fields: list[tuple[bytes, bytes]] = request.scope["verso_fields"]  # type: ignore[typeddict-item]
    fields.extend((b"set-cookie", each.to_header(header="").strip().encode()) for each in made)
