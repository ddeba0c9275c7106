"""Who looks at a page: the account of its cookies, and the proof that a form is one of ours.

A handler that takes `visitor` is for people who are signed in; everybody else is sent to the sign-in. What
writes is looked at twice, as the API does it: where the browser says that the request comes from, and the
session's token, here in the form's field `csrf_token`, masked anew in each page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec
from litestar import Request
from litestar.di import NamedDependency

from app.api import cookies
from app.api.auth_sessions import SMALL_FORM, form_of
from app.api.page_session import fresh_actor
from app.api.same_site import SAFE_METHODS, TOKEN_HEADER, check_same_site, check_token, masked
from app.api.services import Services, provide_actor
from app.api.witness import remember_actor
from app.errors import VersoError
from app.model import Project
from app.supabase.answers import Me
from app.supabase.identity import Actor
from app.web.rendering import Pages, home_of

FIELD = "csrf_token"
"""The name of the token's field in every form."""
LARGEST_FORM = 256 * 1024
"""The most bytes of a small form: a comment has 64 KiB, and each of its bytes may be sent as three."""


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is signed in, and what handlers of pages work with."""

    request: Request[Any, Any, Any]
    services: Services
    pages: Pages
    actor: Actor
    csrf_token: str
    form: dict[str, str]
    """The fields of the form that was posted; of a GET, and of a multipart body, none."""
    asked: asyncio.Task[Me]
    """The profile and the projects for the head of the page, asked for while the page asks for its own."""

    @property
    def token(self) -> str:
        """The access token that calls to Supabase carry on."""
        return self.actor.token

    async def me(self) -> Me:
        """The visitor's profile and up to 100 of their projects. Raises VersoError `no_profile`.

        As it was at most RECENT_SECONDS ago; whoever changes it says `pages.recent.forget(token)`.
        """
        return await self.asked

    async def home(self, project: Project) -> str:
        """The address of a project's pages: by its slug, or by its id."""
        return home_of(project, await self.me())


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a multipart form, not believed before `prove` has got the form's token."""

    request: Request[Any, Any, Any]
    services: Services

    async def prove(self, token: str | None) -> Visitor:
        """The visitor, by the form's field. Raises VersoError `csrf_token_needed`, `unauthenticated`."""
        return await _visitor(self.request, self.services, form={FIELD: token or ""})


async def provide_visitor(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Visitor:
    """The visitor of a page, or of a small form.

    Raises VersoError `unauthenticated`, `session_ended`, `cross_site`, `csrf_token_needed`.
    """
    some = "cookie" in request.headers or "authorization" in request.headers
    most = LARGEST_FORM if some else SMALL_FORM
    form = {} if request.method in SAFE_METHODS else await form_of(request, most=most)
    request.state.typed = form  # shown again should it be refused (faults.py)
    return await _visitor(request, services, form=form)


async def provide_guest(
    request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Visitor | None:
    """The visitor of a page that is also for those who aren't signed in: None for them."""
    try:
        return await _visitor(request, services, form={})
    except VersoError as error:
        if error.code not in {"unauthenticated", "session_ended"}:
            raise
        return None


async def provide_sender(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Sender:
    """Who sends a multipart form: nothing is known of them yet."""
    return Sender(request=request, services=services)


async def _visitor(request: Request[Any, Any, Any], services: Services, *, form: dict[str, str]) -> Visitor:
    settings = services.settings
    said = ""
    if "authorization" in request.headers:  # no browser adds that by itself: nothing to forge
        actor = await provide_actor(request, services)
    else:
        token = cookies.access_of(request, settings)
        if token is None:
            raise VersoError("unauthenticated", "Sign in to see this.")
        if request.method not in SAFE_METHODS:
            check_same_site(request, settings)
            check_token(form.get(FIELD) or request.headers.get(TOKEN_HEADER), token)
        actor = await fresh_actor(
            request, token, identity=services.identity, auth=services.auth, settings=settings
        )
        remember_actor(request, actor)
        said = masked(cookies.csrf_token(actor.token))
    pages: Pages = request.app.state.pages
    asked = asyncio.ensure_future(_me(services, pages, actor.token))
    asked.add_done_callback(_look)
    return Visitor(
        request=request,
        services=services,
        pages=pages,
        actor=actor,
        csrf_token=said,
        form=form,
        asked=asked,
    )


async def together(*asked: Awaitable[Any]) -> list[Any]:
    """The answers of several questions, asked at the same time. Raises the first one's error that has one.

    With the project first, who may not see it is always told the same, whichever answer comes first.
    """
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for each in answers:
        if isinstance(each, BaseException):
            raise each
    return answers


async def _me(services: Services, pages: Pages, token: str) -> Me:
    known = pages.recent.get(token)
    if known is None:
        known = await services.ledger.me(token)
        pages.recent.keep(token, known)
    return known


def _look(asked: asyncio.Task[Me]) -> None:
    """Look at the outcome: a page that failed for another reason never does, and asyncio would complain."""
    if not asked.cancelled():
        asked.exception()
