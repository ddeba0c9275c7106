"""What was erased, for every member; erasing, for owners: first a look, then the hash repeated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.links import cut, position_of
from app.api.paging import Cursor
from app.errors import VersoError
from app.flows.erase_content import erase_content
from app.model import Role
from app.web.in_place import REFUSED, Refused, attempt, back_to
from app.web.rendering import Crumb, render
from app.web.visiting import Visitor, together

if TYPE_CHECKING:
    from app.supabase.erasures import ErasurePreview

PAGE = 50
SHOWN = 100
"""Versions that a preview lists."""
MOST_REASON = 1000
_HASH = re.compile(r"[0-9a-f]{64}\Z")

By = Annotated[Literal["content", "version"], QueryParameter()]
What = Annotated[str, QueryParameter(max_length=200)]


@get("/p/{project:str}/erasures")
async def list_erasures(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    what: What = "",
    by: By = "content",
    cursor: Cursor = None,
) -> Response[Any]:
    """The erasures; with `what` also what erasing that would touch."""
    given = {"what": what, "by": by}
    if not what.strip():
        return await _erasures(visitor, project, given=given, cursor=cursor)
    found = await attempt("look", _look(visitor, project, what.strip().lower(), by))
    if isinstance(found, Refused):
        return await _erasures(visitor, project, given=given, cursor=cursor, refused=found)
    return await _erasures(visitor, project, given=given, cursor=cursor, preview=found)


@post("/p/{project:str}/erasures", status_code=303)
async def erase(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """Erase a content for ever."""
    form, services = visitor.form, visitor.services
    sha256 = form.get("sha256", "")
    preview = await _look(visitor, project, sha256, "content")

    async def write() -> None:
        reason = form.get("reason", "").strip()
        if not reason or len(reason) > MOST_REASON:
            raise VersoError("bad_erasure", f"Say why, in at most {MOST_REASON:,} characters.")
        if form.get("confirm", "").strip().lower() != sha256:
            raise VersoError("erasure_unconfirmed", "Erased bytes never come back. Repeat the SHA-256.")
        await erase_content(
            services.erasures,
            services.blobs,
            services.forgetter,
            actor=visitor.actor,
            project=project,
            sha256=sha256,
            version=None,
            reason=reason,
            confirm=sha256,
        )

    erased = await attempt("erase", write())
    if not isinstance(erased, Refused):
        return back_to(project, "/erasures", "erased")
    given = {"what": sha256, "by": "content", **form}
    return await _erasures(visitor, project, given=given, preview=preview, refused=erased)


async def _look(visitor: Visitor, project: str, what: str, by: str) -> ErasurePreview:
    if not _HASH.match(what):
        raise VersoError("bad_erasure", "A hash is 64 digits of 0-9 and a-f.")
    return await visitor.services.erasures.preview_erasure(
        visitor.token,
        project=project,
        sha256=what if by == "content" else None,
        version=what if by == "version" else None,
    )


async def _erasures(
    visitor: Visitor,
    project: str,
    *,
    given: dict[str, str],
    cursor: str | None = None,
    preview: ErasurePreview | None = None,
    refused: Refused | None = None,
) -> Response[Any]:
    services, token = visitor.services, visitor.token
    here, found = await together(
        services.ledger.read_project(token, project=project),
        services.erasures.list_erasures(
            token, project=project, pending=False, before=position_of(cursor, int), page_size=PAGE + 1
        ),
    )
    erasures, following = cut(found, PAGE, lambda each: each.sequence)
    return await render(
        visitor,
        "settings/erasures.html",
        title=f"Erasures of {here.name}",
        crumbs=[Crumb("Settings", "/settings"), Crumb("Erasures")],
        project=here,
        tab="settings",
        status=200 if refused is None else REFUSED,
        owns=here.role is Role.owner,
        erasures=erasures,
        following=following,
        preview=preview,
        shown=SHOWN,
        refused=refused,
        given=given,
    )
