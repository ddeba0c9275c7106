"""The board of a project's sessions and their stages, its figures with plots, and one session's stages."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect

from app.api.analytics import period_of
from app.api.links import cut, position_of
from app.api.paging import Cursor
from app.api.pipelines import place_of
from app.model import SessionStatus, Stage
from app.model.pipelines import Pipeline, StageState
from app.web import notices
from app.web.in_place import one_of
from app.web.rendering import Crumb, render
from app.web.shown import spoken
from app.web.visiting import Visitor, together

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.supabase.analytics import AnalyticsRow, Period

ROWS = 50
REPORTS = 30
CONTESTED = 8
STALE_DAYS = 30
_MONTHS_FROM_DAYS, _WEEKS_FROM_DAYS = 366, 62

First = Annotated[date | None, QueryParameter(name="from")]
Last = Annotated[date | None, QueryParameter(name="to")]
Group = Annotated[Literal["day", "week", "month"] | None, QueryParameter()]


class Figures(msgspec.Struct, frozen=True):
    """What a period comes to: in all, step by step, and by stage."""

    period: Period
    total: AnalyticsRow
    steps: list[AnalyticsRow]
    parts: list[AnalyticsRow]


@get("/p/{project:str}/pipelines")
async def read_pipelines(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    first_day: First = None,
    last_day: Last = None,
    group: Group = None,
    cursor: Cursor = None,
) -> Response[Any]:
    """A project's board, and its figures of a period."""
    services, token = visitor.services, visitor.token
    period = period_of(first_day, last_day, group or _step(first_day, last_day))
    here, board, figures, contested, stale = await together(
        services.ledger.read_project(token, project=project),
        _board(visitor, project, cursor),
        _figures(visitor, project, period, by="stage"),
        services.rollups.list_contested(token, project=project, period=period, page_size=CONTESTED),
        services.rollups.list_stale(token, project=project, days=STALE_DAYS, page_size=CONTESTED),
    )
    home = await visitor.home(here)
    return await render(
        visitor,
        "pipelines/board.html",
        title=f"Pipelines of {here.name}",
        crumbs=[Crumb("Pipelines")],
        project=here,
        tab="pipelines",
        **_facts(board, figures, lambda row: row.session.slug),
        contested=contested,
        stale=stale,
        address=f"{home}/pipelines",
        table_url=f"/v1/projects/{here.id}/analytics",
    )


@get("/pipelines")
async def read_all_pipelines(
    visitor: NamedDependency[Visitor],
    first_day: First = None,
    last_day: Last = None,
    group: Group = None,
    cursor: Cursor = None,
) -> Response[Any]:
    """The board and the figures of all projects of the visitor."""
    services, token = visitor.services, visitor.token
    period = period_of(first_day, last_day, group or _step(first_day, last_day))
    board, figures, contested, stale = await together(
        _board(visitor, None, cursor),
        _figures(visitor, None, period, by="project"),
        services.rollups.list_contested(token, project=None, period=period, page_size=CONTESTED),
        services.rollups.list_stale(token, project=None, days=STALE_DAYS, page_size=CONTESTED),
    )
    return await render(
        visitor,
        "pipelines/board.html",
        title="Pipelines of all projects",
        crumbs=[Crumb("Pipelines")],
        **_facts(board, figures, place_of),
        contested=contested,
        stale=stale,
        address="/pipelines",
        table_url="/v1/analytics",
    )


@get("/p/{project:str}/sessions/{session:str}")
async def read_session(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    session: FromPath[str],
    cursor: Cursor = None,
) -> Response[Any]:
    """Where a session's stages stand, their documents, and what was reported."""
    services, token = visitor.services, visitor.token
    here, standing, reports, about = await together(
        services.ledger.read_project(token, project=project),
        services.pipelines.read_stages(token, project=project, session=session),
        services.pipelines.list_stage_reports(
            token,
            project=project,
            session=session,
            stage=None,
            run=None,
            before=position_of(cursor, int),
            page_size=REPORTS + 1,
        ),
        services.ledger.read_session(token, project=project, session=session),
    )
    shown, following = cut(reports, REPORTS, lambda each: each.number)
    home = await visitor.home(here)
    return await render(
        visitor,
        "pipelines/session.html",
        title=standing.session.title or standing.session.slug,
        crumbs=[Crumb("Pipelines", "/pipelines"), Crumb(standing.session.title or standing.session.slug)],
        project=here,
        tab="pipelines",
        session=standing.session,
        about=about,
        standings=standing.stages,
        statuses=[each.value for each in SessionStatus],
        reports=shown,
        following=following,
        later=cursor is not None,
        address=f"{home}/sessions/{standing.session.slug}",
    )


@post("/p/{project:str}/sessions/{session:str}/stages/{stage:str}", status_code=303)
async def report_stage(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    session: FromPath[str],
    stage: FromPath[str],
) -> Response[Any]:
    """Report where a stage stands. `seen` is the newest report that the page showed, or `none`."""
    services, token, form = visitor.services, visitor.token, visitor.form
    state = one_of(form, "state", StageState)
    await services.pipelines.report_stage(
        token,
        project=project,
        session=session,
        stage=one_of({"stage": stage}, "stage", Stage),
        state=state,
        note=form.get("note", "").replace("\x00", "").strip()[:4096] or None,
        expected=form.get("seen") or "none",
    )
    here = await services.ledger.read_project(token, project=project)
    home = await visitor.home(here)
    said = notices.leave("stage_reported", stage=stage, state=spoken(state))
    return Redirect(f"{home}/sessions/{session}#stage-{stage}", status_code=303, cookies=[said])


async def _board(visitor: Visitor, project: str | None, cursor: str | None) -> list[Pipeline]:
    return await visitor.services.pipelines.list_pipelines(
        visitor.token,
        project=project,
        status=None,
        stage=None,
        state=None,
        after=position_of(cursor, str),
        page_size=ROWS + 1,
    )


async def _figures(visitor: Visitor, project: str | None, period: Period, *, by: str) -> Figures:
    async def ask(period: Period) -> list[AnalyticsRow]:
        return await visitor.services.rollups.read_analytics(visitor.token, project=project, period=period)

    whole = msgspec.structs.replace(period, step=None)
    total, steps, parts = await together(
        ask(whole), ask(period), ask(msgspec.structs.replace(whole, part=by))
    )
    return Figures(period, total[0], steps, parts)


def _facts(board: list[Pipeline], figures: Figures, place: Callable[[Pipeline], str]) -> dict[str, Any]:
    shown, following = cut(board, ROWS, place)
    return {
        "board": shown,
        "following": following,
        "figures": figures,
        "stages": [each.value for each in Stage],
    }


def _step(first: date | None, last: date | None) -> Literal["day", "week", "month"]:
    """Steps that make some tens of points of a period."""
    period = period_of(first, last)
    days = (period.last_day - period.first_day).days
    return "month" if days > _MONTHS_FROM_DAYS else "week" if days > _WEEKS_FROM_DAYS else "day"
