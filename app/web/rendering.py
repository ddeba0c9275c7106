"""Templates and facts in, an answer out: compressed, private, under the pages' policy."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from markupsafe import Markup

from app.api.cookies import access_of, theme_of
from app.api.pages import SIGN
from app.model import Role
from app.turns import Turns
from app.web import notices, shown
from app.web.assets import Assets, accepts_gzip
from app.web.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from litestar.datastructures import Cookie

    from app.model import Project
    from app.supabase.answers import Me
    from app.web.visiting import Visitor

TEMPLATES = Path(__file__).with_name("templates")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "private, no-cache",
    # With no-referrer a browser would send `Origin: null` with the page's own forms.
    "Referrer-Policy": "same-origin",
    "Vary": "Cookie, Accept-Encoding",
}
UNPACKED_AT_ONCE = 2
"""Archives that are taken apart at one time; each has a thread, and up to 64 MiB of memory."""
READ_AT_ONCE = 2
"""Bundles of Git that are read at one time; each has a process, for minutes."""
_SMALL = 1024


class Crumb(msgspec.Struct, frozen=True):
    """A step of the way to a page: where it leads, below the project's pages if the page is one of these."""

    words: str
    path: str = ""
    """Empty where it leads nowhere; the last step never does."""


class Tab(msgspec.Struct, frozen=True):
    """A part of a project, in the navigation of its pages."""

    name: str
    words: str
    path: str
    """Below /p/{project}; empty for the overview."""


TABS = (
    Tab("overview", "Overview", ""),
    Tab("history", "History", "/history"),
    Tab("pipelines", "Pipelines", "/pipelines"),
    Tab("tags", "Tags", "/tags"),
    Tab("people", "People", "/people"),
    Tab("import", "Import and export", "/import"),
    Tab("settings", "Settings", "/settings"),
)
"""The parts of a project that have pages. Who adds one adds it here."""


class Pages:
    """The templates and static files, read once."""

    def __init__(self) -> None:
        self.assets = Assets.read()
        self.recent = Recent()
        self.unpacking = Turns(UNPACKED_AT_ONCE)
        self.reading = Turns(READ_AT_ONCE)
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {**shown.FILTERS, "home_in": home_of}
        self._templates.globals |= {
            "asset": self.assets.url,
            "tabs": TABS,
            "sign": Markup(SIGN),  # noqa: S704 - ours
        }

    def html(self, template: str, **facts: Any) -> str:
        """A template filled in. A fact that it names and isn't given is an error."""
        return self._templates.get_template(template).render(**facts)


async def render(
    visitor: Visitor,
    template: str,
    *,
    title: str,
    crumbs: Sequence[Crumb] = (),
    project: Project | None = None,
    tab: str | None = None,
    status: int = 200,
    cookies: Sequence[Cookie] = (),
    headers: Mapping[str, str] | None = None,
    point: str = "",
    **facts: Any,
) -> Response[bytes]:
    """A page for somebody who is signed in.

    `project` gives the page that project's navigation, in which `tab` is marked. `crumbs` go on from there,
    or from the list of projects. `point` is the query of the point that is looked at, `?at=…`. Templates also
    have `me`, `csrf_token`, `path` (of this page, for forms that come back), `notice`, `theme`.
    """
    me = await visitor.me()
    home = None
    way = [Crumb("Projects", "/"), *crumbs] if crumbs else []
    if project is not None:
        home = home_of(project, me)
        below = [Crumb(each.words, each.path and home + each.path) for each in crumbs]
        way = [Crumb("Projects", "/"), Crumb(project.name, home + point), *below]
    return answer(
        visitor.request,
        template,
        status=status,
        cookies=cookies,
        headers=headers,
        facts={
            "me": me,
            "csrf_token": visitor.csrf_token,
            "title": title,
            "crumbs": way,
            "project": project,
            "home": home,
            "tab": tab,
            "writes": project is not None and writes(project),
            **facts,
        },
    )


def answer(
    request: Request[Any, Any, Any],
    template: str,
    *,
    status: int = 200,
    cookies: Sequence[Cookie] = (),
    headers: Mapping[str, str] | None = None,
    facts: Mapping[str, Any],
) -> Response[bytes]:
    """A page for anybody, with the facts that every page has."""
    pages: Pages = request.app.state.pages
    notice = notices.left_by(request)
    given: dict[str, Any] = {
        "me": None,
        "csrf_token": "",
        "crumbs": (),
        "project": None,
        "home": None,
        "tab": None,
        "writes": False,
        "theme": theme_of(request),
        "signed_in": access_of(request, request.app.state.services.settings) is not None,
        "notice": notice,
        "path": path_of(request),
    }
    body = pages.html(template, **(given | dict(facts))).encode()
    fields = {**HEADERS, **(headers or {})}
    if len(body) > _SMALL and accepts_gzip(request):
        body = gzip.compress(body, 6, mtime=0)
        fields["Content-Encoding"] = "gzip"
    made = [*cookies, *([notices.read_cookie()] if notice else [])]
    return Response(body, status_code=status, media_type="text/html", headers=fields, cookies=made)


def home_of(project: Project, me: Me) -> str:
    """The address of a project's pages: by slug, or by id where a slug is not enough."""
    same = [each for each in me.projects if each.slug == project.slug]
    return f"/p/{project.slug if len(same) <= 1 else project.id}"


def writes(project: Project) -> bool:
    """Whether the visitor may write in the project: what pages offer. The database decides."""
    return project.role in {Role.editor, Role.owner} and project.archived_at is None


def path_of(request: Request[Any, Any, Any]) -> str:
    """The address of the request as it was sent, without the host."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope.get("query_string", b"")
    path = raw.partition(b"?")[0].decode("latin-1")
    return f"{path}?{query.decode('latin-1')}" if query else path
