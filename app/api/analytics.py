"""Analytics: how long work takes, where it waits, how much comes back; docs/analytics.md has the formulas."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.conditions import CHOSEN_FORM
from app.api.services import Services
from app.api.spreadsheets import csv_answer, wants_csv
from app.supabase.analytics import AnalyticsRow, Period, Times
from app.supabase.identity import Actor

USUAL_DAYS = 30
"""How long a period is when only its last day is known."""
First = Annotated[
    date | None,
    QueryParameter(name="from", description="The first day, in UTC; 29 days before the last unless said."),
]
Last = Annotated[
    date | None, QueryParameter(name="to", description="The last day, itself inside; today unless said.")
]
Group = Annotated[
    Literal["day", "week", "month"] | None,
    QueryParameter(description="Cut the period into days, weeks (from Monday) or months: at most 400."),
]
By = Annotated[
    Literal["stage", "actor", "project"] | None, QueryParameter(description="Take the figures apart.")
]
Form = Annotated[
    Literal["json", "csv"] | None, QueryParameter(name="format", description="Stronger than Accept.")
]
_PARTS = ("start", "stage", "actor", "project")
_TIMES = tuple(Times.__struct_fields__)


class Analytics(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a period: one row, or one for each group of days and each part."""

    first_day: date = msgspec.field(name="from")
    last_day: date = msgspec.field(name="to")
    group: str | None
    by: str | None
    rows: list[AnalyticsRow]


@get("/v1/projects/{project:str}/analytics", tags=["analytics"], summary="A project's figures")
async def read_analytics(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    first_day: First = None,
    last_day: Last = None,
    group: Group = None,
    by: By = None,
    form: Form = None,
) -> Response[Analytics]:
    """Lead and waiting times, throughput, work in progress, validations, feedback, rework; true at once.

    Times are in seconds. The last 30 days unless said. As CSV a row has a column for each figure.
    """
    return await _answer(
        request, services, actor, period_of(first_day, last_day, group, by), project=project, form=form
    )


@get("/v1/analytics", tags=["analytics"], summary="The figures of all my projects")
async def read_all_analytics(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    first_day: First = None,
    last_day: Last = None,
    group: Group = None,
    by: By = None,
    form: Form = None,
) -> Response[Analytics]:
    """As a project's, summed over the projects that the caller is a member of, or by project."""
    return await _answer(
        request, services, actor, period_of(first_day, last_day, group, by), project=None, form=form
    )


def period_of(
    first_day: date | None, last_day: date | None, group: str | None = None, by: str | None = None
) -> Period:
    """The days that are asked for; the last 30 unless said."""
    last = last_day or datetime.now(UTC).date()
    first = first_day or max(last, date(1900, 2, 1)) - timedelta(days=USUAL_DAYS - 1)
    return Period(first_day=first, last_day=last, step=group, part=by)


async def _answer(
    request: Request[Any, Any, Any],
    services: Services,
    actor: Actor,
    period: Period,
    *,
    project: str | None,
    form: str | None,
) -> Response[Any]:
    as_csv = wants_csv(request, form)
    rows = await services.rollups.read_analytics(actor.token, project=project, period=period)
    if as_csv:
        return csv_answer(*_table(rows), name="analytics", headers=CHOSEN_FORM)
    told = Analytics(
        first_day=period.first_day, last_day=period.last_day, group=period.step, by=period.part, rows=rows
    )
    return Response(told, headers=CHOSEN_FORM)


def _table(rows: list[AnalyticsRow]) -> tuple[list[str], list[list[Any]]]:
    """A column a figure, in the order of the struct; a time has four, a project its id and slug."""
    header: list[str] = []
    for name in AnalyticsRow.__struct_fields__:
        if name.endswith("_time"):
            header += [f"{name}_{each}" for each in _TIMES]
        elif name == "project":
            header += ["project", "project_slug"]
        else:
            header.append(name)
    return header, [_cells(row) for row in rows]


def _cells(row: AnalyticsRow) -> list[Any]:
    cells: list[Any] = []
    for name in AnalyticsRow.__struct_fields__:
        value = getattr(row, name)
        if name.endswith("_time"):
            cells += [getattr(value, each, None) for each in _TIMES]
        elif name == "project":
            cells += [getattr(value, "id", None), getattr(value, "slug", None)]
        else:
            cells.append(value.value if name in _PARTS and hasattr(value, "value") else value)
    return cells
