"""The first page: what Verso is, for strangers; one's projects, and how to begin, for everybody else."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from app.api.links import cut, position_of
from app.api.paging import Cursor
from app.api.projects import NewProject
from app.errors import VersoError
from app.model import is_slug
from app.web import notices
from app.web.rendering import Crumb, answer, home_of, render
from app.web.visiting import Visitor, together

if TYPE_CHECKING:
    from app.model import ChangeSummary, Project

PAGE = 50
TOLD = 3
"""Invitations that the list of projects names."""


@get("/")
async def read_home(
    request: Request[Any, Any, Any], guest: NamedDependency[Visitor | None], cursor: Cursor = None
) -> Response[Any]:
    """One's projects with what changed last; the first-run guide where there are none."""
    if guest is None:
        return answer(request, "projects/welcome.html", facts={"title": "Verso"})
    return await _home(guest, cursor=cursor)


@get("/new")
async def read_new_project(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """The form for a new project."""
    return await _new(visitor)


@post("/new", status_code=303)
async def create_project(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """Make a project and go there."""
    name = visitor.form.get("name", "").strip()
    slug = visitor.form.get("slug", "").strip() or slug_of(name)
    description = visitor.form.get("description", "").replace("\r\n", "\n").strip()
    if not name:
        return await _new(visitor, wrong="name", sentence="Give the project a name.")
    if not is_slug(slug):
        sentence = "A short name is 1 to 64 of a-z 0-9 . _ -, beginning and ending with a letter or digit."
        return await _new(visitor, wrong="slug", sentence=sentence)
    try:
        msgspec.convert({"slug": slug, "name": name, "description": description}, NewProject)
    except msgspec.ValidationError:
        sentence = "A name is one line of 1 to 200 characters, a description has 4,000 at most."
        return await _new(visitor, wrong="name", sentence=sentence)
    try:
        made = await visitor.services.ledger.create_project(
            visitor.token, slug=slug, name=name, description=description
        )
    except VersoError as error:
        if error.code not in {"slug_taken", "bad_value"}:
            raise
        return await _new(visitor, wrong="slug", sentence=error.sentence)
    visitor.pages.recent.forget(visitor.token)
    me = await visitor.services.ledger.me(visitor.token)
    return Redirect(home_of(made, me), status_code=303, cookies=[notices.leave("project_made")])


def slug_of(name: str) -> str:
    """A short name made of a name's letters and digits; of a name in other letters alone, of its hash."""
    plain = re.sub(r"[\u0300-\u036f]", "", unicodedata.normalize("NFKD", name[:200].casefold()))
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].strip("-")
    return slug or (hashlib.sha256(name.encode()).hexdigest()[:8] if name else "")


async def _new(visitor: Visitor, *, wrong: str | None = None, sentence: str = "") -> Response[Any]:
    return await render(
        visitor,
        "projects/new.html",
        title="New project",
        crumbs=[Crumb("New project")],
        status=200 if wrong is None else 422,
        wrong=wrong,
        sentence=sentence,
        given=visitor.form,
    )


async def _home(visitor: Visitor, *, cursor: str | None) -> Response[Any]:
    services = visitor.services
    found, invitations, me = await together(
        services.ledger.list_projects(visitor.token, after=position_of(cursor, str), page_size=PAGE + 1),
        services.invitations.list_my_invitations(visitor.token, after=None, page_size=TOLD + 1),
        visitor.me(),
    )
    shown, following = cut(found, PAGE, lambda each: f"{each.slug} {each.id}")
    latest = await services.glances.list_summaries(
        visitor.token, ((each.id, each.change_sequence) for each in shown if each.change_sequence)
    )
    rows: list[tuple[Project, str, ChangeSummary | None]] = [
        (each, home_of(each, me), latest.get((each.id, each.change_sequence))) for each in shown
    ]
    return await render(
        visitor,
        "projects/list.html",
        title="Projects",
        rows=rows,
        invitations=invitations[:TOLD],
        invited_further=len(invitations) > TOLD,
        following=following,
        first=cursor is None and not found,
    )
