"""A project's rows as they are, for bundles: what is needed to put it back elsewhere, and to check it."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.api.links import Page, cursor_of, next_link, position_of
from app.api.paging import Cursor
from app.api.services import Services
from app.api.witness import note_act
from app.supabase.identity import Actor

MAX_ROWS = 1000
"""Rows of a page: the most that the database gives. Nothing is computed for them, so a page is cheap."""


@get("/v1/projects/{project:str}/rows/{part:str}", tags=["history"], summary="Rows of a project as they are")
async def list_rows(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    part: FromPath[str],
    cursor: Cursor = None,
) -> Response[Page[dict[str, Any]]]:
    """What `verso export bundle` reads: the rows of one part, as the database has them, in a fixed order.

    docs/bundle.md names the parts and their fields. Pages end early when rows are heavy; a page that is
    followed by none says so with `next` null, and the last one may be empty.
    """
    found = await services.ledger.list_rows(
        actor.token, project=project, part=part, after=position_of(cursor, str), page_size=MAX_ROWS
    )
    note_act(request, services, token=actor.token, kind="export.bundle", about=project)
    following = cursor_of(found[-1].key) if found else None
    headers = {"Cache-Control": "no-store", **next_link(request, following)}
    return Response(Page([entry.row for entry in found], following), headers=headers)
