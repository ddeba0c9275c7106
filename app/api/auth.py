"""Signing in for pages: to GitHub and back with PKCE (RFC 7636), into cookies; and out again.

/auth/login     begins: notes a state, a verifier and where to go on to in a cookie, and sends the browser off
/auth/password, /auth/link  the same by e-mail, where the project allows it (`auth_email`)
/auth/callback  ends: the code that came back, with the verifier of this very browser, becomes a session
/auth/refresh   the next access token; /auth/logout the end; /auth/session who is signed in

Supabase Auth drops a `state` of the client's own, so ours travels in the query of `redirect_to`.
Who looks at these in a browser gets small pages without scripts, programs get JSON and problem documents.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Redirect

from app.api import cookies, pages
from app.api.problems import PROBLEMS, on_verso_error
from app.api.same_site import own_url, safe_next
from app.api.services import Services
from app.api.witness import note_act
from app.errors import VersoError
from app.settings import Settings
from app.supabase.auth import Methods, refusal

FIRST_PAGE = "/"
"""Where one goes who signed in and didn't say where to."""


class SessionState(msgspec.Struct, frozen=True):
    """Whether this browser is signed in. `csrf_token` is what its pages send as X-CSRF-Token to write."""

    signed_in: bool
    csrf_token: str | None


def on_refusal(request: Request[Any, Any, Any], error: VersoError) -> Response[Any]:
    """A refusal as a page or a problem document. A session that is over is forgotten."""
    settings: Settings = request.app.state.services.settings
    gone = cookies.no_session(settings) if error.code == "session_ended" else []
    if not pages.wants_page(request):
        answer: Response[Any] = on_verso_error(request, error)
        answer.cookies.extend(gone)
        return answer
    problem, request_id = PROBLEMS[error.code], str(request.scope.get("verso_request_id"))
    return pages.page(
        request,
        problem.title,
        pages.text(error.sentence),
        pages.link("/auth/login", "Sign in"),
        f'<small class="soft">{pages.text(error.code)}, {pages.text(request_id)}</small>',
        status=problem.status,
        cookies=gone,
    )


@get(
    "/auth/login",
    tags=["sign-in"],
    summary="Begin to sign in",
    exception_handlers={VersoError: on_refusal},
)
async def begin_sign_in(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    wanted: Annotated[
        str | None,
        QueryParameter(name="next", description="A path of this site to go on to; nothing else is followed."),
    ] = None,
    provider: Annotated[str | None, QueryParameter(description="github, to go there at once.")] = None,
) -> Response[Any]:
    """Sends the browser to GitHub; where the project allows other ways too, a page offers them first."""
    methods = await services.auth.methods()
    if provider not in {None, "github"} or (provider == "github" and not methods.github):
        raise refusal("provider_disabled")
    target = safe_next(wanted) if wanted else FIRST_PAGE
    settings = services.settings
    site = own_url(request, settings)
    flow, cookie = cookies.begin_flow(request, settings, target)
    if provider is None and (methods.password or methods.link):
        return pages.page(request, "Sign in", *_ways(methods, flow), cookies=[cookie])
    if not methods.github:
        raise refusal("provider_disabled")
    url = services.auth.authorize_url(
        redirect_to=callback_url(site, flow), challenge=challenge_of(flow.verifier)
    )
    return onward(url, [cookie])


@get(
    "/auth/callback",
    tags=["sign-in"],
    summary="Back from GitHub",
    exception_handlers={VersoError: on_refusal},
)
async def finish_sign_in(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    begun: Annotated[
        str, QueryParameter(name="state", description="Which sign-in of this browser it is.")
    ] = "",
    code: Annotated[str, QueryParameter(description="Auth's code; works once.")] = "",
    error: Annotated[str, QueryParameter(description="What went wrong, as OAuth says it.")] = "",
    error_code: Annotated[str, QueryParameter(description="The same as Supabase Auth says it.")] = "",
) -> Response[Any]:
    """Makes the session, sets its cookies, goes on. Only the browser that began a sign-in can end it."""
    settings = services.settings
    flow = cookies.flow_of(request, settings, begun)
    if error or error_code:
        if error == "access_denied" and not error_code:
            raise VersoError("sign_in_refused", "You said no at GitHub, so nobody was signed in.")
        raise refusal(error_code)
    if flow is None or not code:
        raise refusal("flow_state_not_found")
    session = await services.auth.by_code(code, flow.verifier)
    note_act(request, services, token=session.access_token, kind="page.signed_in")
    await leave_old_session(request, services)
    over = cookies.end_flow(request, settings, begun)
    return onward(flow.next, [*cookies.session_cookies(settings, session), over])


async def leave_old_session(request: Request[Any, Any, Any], services: Services) -> None:
    """End the session that the browser had before somebody signed in: nobody can go back to it.

    As far as that can be done: the new session doesn't depend on it.
    """
    token = cookies.access_of(request, services.settings)
    if token is not None:
        with suppress(VersoError):
            await services.auth.sign_out(token, everywhere=False)


def challenge_of(verifier: str) -> str:
    """S256 of a verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def callback_url(site: str, flow: cookies.Flow) -> str:
    """Where Auth sends the browser of a sign-in back to."""
    return f"{site}/auth/callback?state={flow.state}"


def _ways(methods: Methods, flow: cookies.Flow) -> list[str]:
    ways: list[str] = []
    if methods.github:
        path = f"/auth/login?provider=github&next={quote(flow.next, safe='')}"
        ways.append(pages.link(path, "Sign in with GitHub"))
    if methods.password:
        fields = (pages.field("email", "E-mail"), pages.field("password", "Password"))
        ways.append(pages.form("/auth/password", "Sign in", *fields, state=flow.state))
    if methods.link:
        ways.append(
            pages.form("/auth/link", "Send me a link", pages.field("email", "E-mail"), state=flow.state)
        )
    return ways


def onward(
    url: str, made: Sequence[Cookie] = (), *, headers: Mapping[str, str] = MappingProxyType({})
) -> Response[Any]:
    """Send the browser on, with cookies."""
    told = {"Cache-Control": "no-store", **headers}
    return Redirect(url, status_code=303, headers=told, cookies=list(made))
