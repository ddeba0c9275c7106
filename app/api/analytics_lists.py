"""Analytics that name documents, contested and stale; and the gauges that Prometheus is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.analytics import First, Form, Last, period_of
from app.api.conditions import CHOSEN_FORM
from app.api.gauges import MEDIA_TYPE, gauge_text
from app.api.links import cut, next_link, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.api.spreadsheets import csv_answer, wants_csv
from app.supabase.analytics import ContestedDocument, Period, StaleDocument
from app.supabase.identity import Actor

Days = Annotated[
    int, QueryParameter(description="From so many days without a change on: 0 to 36,500.", ge=0, le=36_500)
]


class Contested(msgspec.Struct, frozen=True, kw_only=True):
    """Documents that more than one wrote in a period, most contested first."""

    first_day: date = msgspec.field(name="from")
    last_day: date = msgspec.field(name="to")
    items: list[ContestedDocument]
    next: str | None


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """Live documents that nobody changed for a time, the oldest first."""

    days: int
    items: list[StaleDocument]
    next: str | None


@get("/v1/projects/{project:str}/analytics/contested", tags=["analytics"], summary="What many hands wrote")
async def list_contested(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    first_day: First = None,
    last_day: Last = None,
    form: Form = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Contested]:
    """Documents by handovers (a version by another writer than the one before) and merges, most first."""
    return await _contested(
        request, services, actor, project, period_of(first_day, last_day), form, limit, cursor
    )


@get("/v1/analytics/contested", tags=["analytics"], summary="What many hands wrote, in all my projects")
async def list_all_contested(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    first_day: First = None,
    last_day: Last = None,
    form: Form = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Contested]:
    """As a project's, over the projects that the caller is a member of."""
    return await _contested(
        request, services, actor, None, period_of(first_day, last_day), form, limit, cursor
    )


@get("/v1/projects/{project:str}/analytics/stale", tags=["analytics"], summary="What nobody changed for long")
async def list_stale(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    days: Days = 90,
    form: Form = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Stale]:
    """Live documents by their newest version, oldest first.

    `behind` is the newest document of an earlier stage of the same session that was written after it.
    """
    return await _stale(request, services, actor, project, days, form, limit, cursor)


@get("/v1/analytics/stale", tags=["analytics"], summary="What nobody changed for long, in all my projects")
async def list_all_stale(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    days: Days = 90,
    form: Form = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Stale]:
    """As a project's, over the projects that the caller is a member of."""
    return await _stale(request, services, actor, None, days, form, limit, cursor)


@get("/v1/analytics/metrics", tags=["analytics"], summary="The caller's projects as Prometheus gauges")
async def read_gauges(services: NamedDependency[Services], actor: NamedDependency[Actor]) -> Response[bytes]:
    """Work in progress, completions, failures, times; for a scraper with a member's or an agent's token.

    The server's own `/metrics` has nothing of projects: it has no key that sees them.
    """
    gauges = await services.rollups.read_gauges(actor.token)
    return Response(gauge_text(gauges), media_type=MEDIA_TYPE, headers={"Cache-Control": "private, no-cache"})


async def _contested(
    request: Request[Any, Any, Any],
    services: Services,
    actor: Actor,
    project: str | None,
    period: Period,
    form: str | None,
    limit: int | None,
    cursor: str | None,
) -> Response[Any]:
    as_csv = wants_csv(request, form)
    size = page_size(limit, services.settings)
    found = await services.rollups.list_contested(
        actor.token, project=project, period=period, page_size=size + 1, after=position_of(cursor, str)
    )
    items, following = cut(found, size, lambda each: each.position)
    headers = CHOSEN_FORM | next_link(request, following)
    if as_csv:
        return csv_answer(*_table(ContestedDocument, items), name="contested", headers=headers)
    told = Contested(first_day=period.first_day, last_day=period.last_day, items=items, next=following)
    return Response(told, headers=headers)


async def _stale(
    request: Request[Any, Any, Any],
    services: Services,
    actor: Actor,
    project: str | None,
    days: int,
    form: str | None,
    limit: int | None,
    cursor: str | None,
) -> Response[Any]:
    as_csv = wants_csv(request, form)
    size = page_size(limit, services.settings)
    found = await services.rollups.list_stale(
        actor.token, project=project, days=days, page_size=size + 1, after=position_of(cursor, str)
    )
    items, following = cut(found, size, lambda each: each.position)
    headers = CHOSEN_FORM | next_link(request, following)
    if as_csv:
        return csv_answer(*_table(StaleDocument, items), name="stale", headers=headers)
    return Response(Stale(days=days, items=items, next=following), headers=headers)


def _table(kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> tuple[list[str], list[list[Any]]]:
    """A column a field; a project is its slug, the document that another is behind is its path."""
    header = list(kind.__struct_fields__)
    return header, [[_cell(getattr(row, name)) for name in header] for row in rows]


def _cell(value: Any) -> Any:
    return getattr(value, "slug", getattr(value, "path", getattr(value, "value", value)))
