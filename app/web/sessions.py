"""Starting a session, retitling it, moving it on."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.errors import VersoError
from app.model import SessionStatus, SessionType, is_slug, normal_path
from app.web.in_place import REFUSED, Refused, attempt, back_to, one_of
from app.web.projects import slug_of
from app.web.rendering import Crumb, render
from app.web.visiting import Visitor, together

MOST = 200
"""Blueprints that a feature can be chosen to belong to."""
MOST_TITLE = 200


@get("/p/{project:str}/new-session")
async def read_new_session(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """The form for a session."""
    return await _new(visitor, project)


@post("/p/{project:str}/new-session", status_code=303)
async def create_session(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """Start a session and go there."""
    form = visitor.form
    title = form.get("title", "").strip()
    slug = form.get("slug", "").strip() or slug_of(title)

    async def write() -> None:
        if not is_slug(slug):
            raise VersoError(
                "bad_value", "A short name is 1 to 64 of a-z 0-9 . _ -, first and last a letter or digit."
            )
        root = form.get("root", "").strip().strip("/")
        await visitor.services.ledger.create_session(
            visitor.token,
            project=project,
            slug=slug,
            title=_title(title),
            kind=one_of(form, "type", SessionType),
            parent=form.get("parent", "").strip() or None,
            root=normal_path(root) if root else None,
            status=SessionStatus.draft,
        )

    done = await attempt("session", write())
    if isinstance(done, Refused):
        return await _new(visitor, project, refused=done)
    return back_to(project, f"/sessions/{slug}", "session_made")


@post("/p/{project:str}/sessions/{session:str}", status_code=303)
async def update_session(
    visitor: NamedDependency[Visitor], project: FromPath[str], session: FromPath[str]
) -> Response[Any]:
    """Retitle a session, or say where it stands."""
    title = visitor.form.get("title", "").strip()

    async def write() -> None:
        await visitor.services.ledger.update_session(
            visitor.token,
            project=project,
            session=session,
            title=_title(title),
            status=one_of(visitor.form, "status", SessionStatus),
        )

    done = await attempt("session", write())
    if isinstance(done, Refused):
        return await _edit(visitor, project, session, refused=done)
    return back_to(project, f"/sessions/{quote(session, safe='')}", "session_saved")


async def _new(visitor: Visitor, project: str, *, refused: Refused | None = None) -> Response[Any]:
    here, sessions = await together(
        visitor.services.ledger.read_project(visitor.token, project=project),
        visitor.services.ledger.list_sessions(
            visitor.token, project=project, status=None, after=None, page_size=MOST
        ),
    )
    return await render(
        visitor,
        "pipelines/new_session.html",
        title="New session",
        crumbs=[Crumb("Pipelines", "/pipelines"), Crumb("New session")],
        project=here,
        tab="pipelines",
        status=200 if refused is None else REFUSED,
        blueprints=[each for each in sessions if each.type is SessionType.blueprint],
        types=[each.value for each in SessionType],
        refused=refused,
        given=visitor.form,
    )


async def _edit(visitor: Visitor, project: str, session: str, *, refused: Refused) -> Response[Any]:
    here, about = await together(
        visitor.services.ledger.read_project(visitor.token, project=project),
        visitor.services.ledger.read_session(visitor.token, project=project, session=session),
    )
    home = await visitor.home(here)
    address = f"{home}/sessions/{about.slug}"
    return await render(
        visitor,
        "pipelines/edit_session.html",
        title="Not saved",
        crumbs=[
            Crumb("Pipelines", "/pipelines"),
            Crumb(about.title, f"/sessions/{about.slug}"),
            Crumb("Not saved"),
        ],
        project=here,
        tab="pipelines",
        status=REFUSED,
        address=address,
        statuses=[each.value for each in SessionStatus],
        refused=refused,
        given=visitor.form,
    )


def _title(text: str) -> str | None:
    if len(text) > MOST_TITLE:
        raise VersoError("bad_value", f"A title has at most {MOST_TITLE} characters.")
    return text or None
