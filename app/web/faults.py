"""Refusals and faults as pages, for who looks at them in a browser; programs get problem documents.

Who isn't signed in is sent to the sign-in, and from there back. A page says of what is forbidden to see what
it says of what isn't there, as the API does: the sentence is the database's, and the same for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from litestar.exceptions import HTTPException
from litestar.response import Redirect

from app.api import problems
from app.api.pages import wants_page
from app.api.same_site import HOME, SAFE_METHODS, check_same_site, safe_next
from app.errors import VersoError
from app.text.errors import WorkersBusyError
from app.web.rendering import answer, path_of

if TYPE_CHECKING:
    from litestar import Request, Response

_SIGNED_OUT = frozenset({"unauthenticated", "session_ended"})
_PROGRAMS = ("/v1/", "/schema", "/health/", "/metrics", "/problems/", "/git/")
"""Where answers are for programs, whoever asks."""
_TITLES = {
    "csrf_token_needed": "You signed in anew meanwhile",
    "unauthenticated": "You are signed out",
    "session_ended": "You are signed out",
}
"""Where what a program is told says nothing to people; `shown.for_people` has the sentences."""
_TYPED = ("path", "name", "title", "text", "written", "body", "note", "description", "message")
"""Fields with words of somebody's own."""


def sign_in_url(request: Request[Any, Any, Any]) -> str:
    """The sign-in that leads back to the page that was asked for, or that the form was on."""
    return "/auth/login?" + urlencode({"next": _form_page(request) or path_of(request)})


def _form_page(request: Request[Any, Any, Any]) -> str:
    """The page of ours that a form was sent from; empty when nothing was sent, or from nowhere we know."""
    if request.method in SAFE_METHODS:
        return ""
    came = urlsplit(request.headers.get("referer", ""))
    page = safe_next(f"{came.path}?{came.query}" if came.query else came.path)
    return "" if page == HOME else page


def _project(request: Request[Any, Any, Any]) -> str | None:
    """The page of the project that the address is of."""
    match request.scope["path"].split("/"):
        case ["", "p", project, *_] if project:
            return f"/p/{quote(project, safe='')}"
    return None


def _typed(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    """What somebody typed into the form that is refused, whatever for: a page of ours sent it, or nothing."""
    fields: dict[str, str] = getattr(request.state, "typed", {})
    try:
        check_same_site(request, request.app.state.services.settings)
    except VersoError:
        return []
    return [(name, fields[name]) for name in _TYPED if fields.get(name, "").strip()]


def on_verso_error(request: Request[Any, Any, Any], error: VersoError) -> Response[Any]:
    """A refusal as a page, a way to the sign-in, or a problem document."""
    if not wants_page(request):
        return problems.on_verso_error(request, error)
    if error.code in _SIGNED_OUT and request.method in SAFE_METHODS:
        return Redirect(sign_in_url(request), status_code=303, headers={"Cache-Control": "no-store"})
    return _page(request, problems.on_verso_error(request, error))


def on_busy(request: Request[Any, Any, Any], error: WorkersBusyError) -> Response[Any]:
    """The refusal of the workers for texts."""
    return on_verso_error(request, VersoError("workers_busy", str(error)))


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What Litestar refuses before a handler is reached."""
    made = problems.on_http_exception(request, error)
    return _page(request, made) if wants_page(request) else made


def on_fault(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """An unexpected error: its text is logged and not shown."""
    made = problems.on_fault(request, error)
    return _page(request, made) if wants_page(request) else made


def on_no_route(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What is refused outside the pages' routes: a page only where no program asks."""
    if request.scope["path"].startswith(_PROGRAMS):
        return problems.on_http_exception(request, error)
    return on_http_exception(request, error)


def _page(request: Request[Any, Any, Any], made: Response[dict[str, Any]]) -> Response[Any]:
    said = made.content
    status = int(said["status"])
    return answer(
        request,
        "error.html",
        status=status,
        headers={name: value for name, value in made.headers.items() if name.lower() != "content-type"},
        facts={
            "title": _TITLES.get(said["code"], said["title"]),
            "sentence": said["detail"],
            "code": said["code"],
            "request_id": said["request_id"],
            "status": status,
            "sign_in": sign_in_url(request) if said["code"] in _SIGNED_OUT else None,
            "back": _form_page(request),
            "home": _project(request) if said["code"] != "project_not_found" else None,
            "typed": _typed(request),
        },
    )


HANDLERS: dict[Any, Any] = {
    VersoError: on_verso_error,
    WorkersBusyError: on_busy,
    HTTPException: on_http_exception,
    Exception: on_fault,
}
"""The pages' exception handlers."""
