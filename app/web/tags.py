"""Tags: names for points of a project's history, which never move."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.api.bodies import check_message
from app.api.links import cut, position_of
from app.api.paging import Cursor
from app.web.in_place import REFUSED, Refused, attempt, back_to
from app.web.rendering import Crumb, render
from app.web.visiting import Visitor, together

PAGE = 100


@get("/p/{project:str}/tags")
async def list_tags(
    visitor: NamedDependency[Visitor], project: FromPath[str], cursor: Cursor = None
) -> Response[Any]:
    """A project's tags by name."""
    return await _tags(visitor, project, cursor=cursor)


@post("/p/{project:str}/tags", status_code=303)
async def create_tag(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """Name the newest change, or another one: by its number, a date, another tag, a version's hash."""
    name = visitor.form.get("name", "").strip()

    async def write() -> None:
        await visitor.services.ledger.create_tag(
            visitor.token,
            project=project,
            name=name,
            at=visitor.form.get("at", "").strip().removeprefix("#") or None,
            message=check_message(visitor.form.get("message", "").strip(), visitor.services.settings),
        )

    done = await attempt("tag", write())
    if isinstance(done, Refused):
        return await _tags(visitor, project, refused=done)
    return back_to(project, "/tags", "tagged", name=name)


async def _tags(
    visitor: Visitor, project: str, *, cursor: str | None = None, refused: Refused | None = None
) -> Response[Any]:
    ledger, token = visitor.services.ledger, visitor.token
    here, found, rules = await together(
        ledger.read_project(token, project=project),
        ledger.list_tags(token, project=project, after=position_of(cursor, str) or "", page_size=PAGE + 1),
        visitor.services.reviews.read_rules(token, project=project),
    )
    tags, following = cut(found, PAGE, lambda each: each.name)
    return await render(
        visitor,
        "settings/tags.html",
        title=f"Tags of {here.name}",
        crumbs=[Crumb("Tags")],
        project=here,
        tab="tags",
        status=200 if refused is None else REFUSED,
        tags=tags,
        following=following,
        rules=rules,
        refused=refused,
        given=visitor.form if refused is not None else {},
    )
