"""What a project is called, what it asks of its members, whether it is archived, and how to take it out."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.api.projects import ProjectEdit
from app.api.same_site import own_url
from app.errors import VersoError
from app.model import Role
from app.web.in_place import REFUSED, Refused, attempt, back_to
from app.web.rendering import Crumb, render
from app.web.visiting import Visitor, together

RULES = (
    ("tags_need_approval", "A tag needs every version that it names to be approved."),
    ("completion_needs_approval", "A stage or session is complete only when its documents are approved."),
    ("completion_needs_document", "A stage is complete only when it has its own document."),
    ("completion_needs_validation", "A stage is complete only after a validation without errors."),
)


@get("/p/{project:str}/settings")
async def read_settings(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """A project's settings, which owners change."""
    return await _settings(visitor, project)


@post("/p/{project:str}/settings", status_code=303)
async def update_project(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """Rename or describe a project."""
    name = visitor.form.get("name", "").strip()
    description = visitor.form.get("description", "").replace("\r\n", "\n").strip()

    async def write() -> None:
        try:
            msgspec.convert({"name": name, "description": description}, ProjectEdit)
        except msgspec.ValidationError:
            raise VersoError(
                "bad_value", "A name is one line of 1 to 200 characters, a description has 4,000 at most."
            ) from None
        await visitor.services.ledger.update_project(
            visitor.token, project=project, name=name, description=description, archived=None
        )

    return await _answer(visitor, project, await attempt("project", write()), "project_saved")


@post("/p/{project:str}/settings/rules", status_code=303)
async def set_rules(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """Set the rules; a box that is not ticked is not sent, and means no."""
    asked = {name: name in visitor.form for name, _ in RULES}
    writing = visitor.services.reviews.set_rules(visitor.token, project=project, **asked)
    return await _answer(visitor, project, await attempt("rules", writing), "rules_saved")


@post("/p/{project:str}/settings/archive", status_code=303)
async def archive_project(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """Archive a project, or reopen it."""
    archived = visitor.form.get("act") != "reopen"
    writing = visitor.services.ledger.update_project(
        visitor.token, project=project, name=None, description=None, archived=archived
    )
    done = await attempt("archive", writing)
    return await _answer(visitor, project, done, "archived" if archived else "reopened")


async def _answer(visitor: Visitor, project: str, done: object, notice: str) -> Response[Any]:
    if isinstance(done, Refused):
        return await _settings(visitor, project, refused=done)
    visitor.pages.recent.forget(visitor.token)
    return back_to(project, "/settings", notice)


async def _settings(visitor: Visitor, project: str, *, refused: Refused | None = None) -> Response[Any]:
    here, rules = await together(
        visitor.services.ledger.read_project(visitor.token, project=project),
        visitor.services.reviews.read_rules(visitor.token, project=project),
    )
    return await render(
        visitor,
        "settings/settings.html",
        title=f"Settings of {here.name}",
        crumbs=[Crumb("Settings")],
        project=here,
        tab="settings",
        status=200 if refused is None else REFUSED,
        owns=here.role is Role.owner,
        rules=[(name, words, getattr(rules, name)) for name, words in RULES],
        archive=f"/v1/projects/{here.id}/archive",
        server=own_url(visitor.request, visitor.services.settings),
        refused=refused,
        given=visitor.form if refused is not None and refused.where == "project" else {},
    )
