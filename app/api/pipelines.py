"""Pipelines: reports of where a session's stages stand, their history, and boards of many sessions."""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from app.api.bodies import check_idempotency_key
from app.api.conditions import base_of, wants_create
from app.api.links import Page, page_of, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.errors import VersoError
from app.model import SessionStatus, Stage, normal_path
from app.model.pipelines import Pipeline, SessionStages, StageReport, StageState, Validation
from app.supabase.identity import Actor

STAGES = "/v1/projects/{project:str}/sessions/{session:str}/stages"

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
OfStatus = Annotated[SessionStatus | None, QueryParameter(description="Only sessions that stand so.")]
OfStage = Annotated[
    Stage | None, QueryParameter(description="With state: the stage that has it; any stage unless said.")
]
InState = Annotated[
    StageState | None,
    QueryParameter(name="state", description="Only sessions with a stage in this state."),
]


class UsedPath(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version that a path has now."""

    path: str


Used = Annotated[list[str | UsedPath], msgspec.Meta(max_length=1000)]


class NewReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is reported of a stage. Only `state` is needed."""

    state: StageState
    run: Line | None = None
    """The reporter's own id of its run."""
    at: Moment | None = None
    """When the state held; now unless said."""
    started_at: Moment | None = None
    """When the work began and ended, as its reporter measured it."""
    finished_at: Moment | None = None
    validation: Validation | None = None
    consumed: Used = []
    """Versions by their hashes, or {"path": …} for the one that is there now."""
    produced: Used = []
    note: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] | None = None
    imported: bool = False
    """For owners: what older records say, which may begin at any state."""


@post(f"{STAGES}/{{stage:str}}/reports", tags=["pipelines"], summary="Report where a stage stands")
async def report_stage(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    session: FromPath[str],
    stage: FromPath[Stage],
    data: JSONBody[NewReport],
) -> Response[StageReport]:
    """For editors. What may follow what is a table; one whose `at` is before the newest one's is history.

    `If-Match` with the id of the stage's newest report (`If-None-Match: *` when there is none) refuses the
    report when somebody reported since.
    """
    for text in (data.run, data.note):
        if text is not None and "\x00" in text:
            raise VersoError("bad_value", "A report has no NUL characters.")
    made = await services.pipelines.report_stage(
        actor.token,
        project=project,
        session=session,
        stage=stage,
        state=data.state,
        run=data.run,
        at=data.at,
        started_at=data.started_at,
        finished_at=data.finished_at,
        validation=data.validation,
        consumed=[_used(each) for each in data.consumed],
        produced=[_used(each) for each in data.produced],
        note=data.note,
        expected="none" if wants_create(request) else base_of(request),
        imported=data.imported,
        idempotency_key=check_idempotency_key(request),
    )
    return Response(made, status_code=201, headers={"Location": f"/v1/stage-reports/{made.id}"})


@get(STAGES, tags=["pipelines"], summary="Where a session's stages stand")
async def read_stages(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    session: FromPath[str],
) -> SessionStages:
    """The seven stages in order: state, since when, what may be next, newest report, documents."""
    return await services.pipelines.read_stages(actor.token, project=project, session=session)


@get(f"{STAGES}/history", tags=["pipelines"], summary="What was reported of a session's stages")
async def list_stage_reports(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    session: FromPath[str],
    stage: Annotated[Stage | None, QueryParameter(description="Only reports of this stage.")] = None,
    run: Annotated[str | None, QueryParameter(description="Only reports of this run.")] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[StageReport]]:
    """Every report, the one that was recorded last first."""
    size = page_size(limit, services.settings)
    found = await services.pipelines.list_stage_reports(
        actor.token,
        project=project,
        session=session,
        stage=stage,
        run=_plain(run),
        before=position_of(cursor, int),
        page_size=size + 1,
    )
    return page_of(request, found, size, lambda each: each.number)


@get("/v1/stage-reports/{report:uuid}", tags=["pipelines"], summary="One stage report")
async def read_stage_report(
    services: NamedDependency[Services], actor: NamedDependency[Actor], report: FromPath[UUID]
) -> StageReport:
    """A report never changes."""
    return await services.pipelines.read_stage_report(actor.token, report=str(report))


@get("/v1/projects/{project:str}/pipelines", tags=["pipelines"], summary="A project's board")
async def list_pipelines(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    status: OfStatus = None,
    stage: OfStage = None,
    in_state: InState = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Pipeline]]:
    """Sessions by slug, each with where its seven stages stand."""
    size = page_size(limit, services.settings)
    found = await services.pipelines.list_pipelines(
        actor.token,
        project=project,
        status=status,
        stage=_narrowing(stage, in_state),
        state=in_state,
        after=position_of(cursor, str),
        page_size=size + 1,
    )
    return page_of(request, found, size, lambda each: each.session.slug)


@get("/v1/pipelines", tags=["pipelines"], summary="The board of all one's projects")
async def list_all_pipelines(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    status: OfStatus = None,
    stage: OfStage = None,
    in_state: InState = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Pipeline]]:
    """As a project's board, project by project, of all those that one is in."""
    size = page_size(limit, services.settings)
    found = await services.pipelines.list_pipelines(
        actor.token,
        project=None,
        status=status,
        stage=_narrowing(stage, in_state),
        state=in_state,
        after=position_of(cursor, str),
        page_size=size + 1,
    )
    return page_of(request, found, size, place_of)


def _used(named: str | UsedPath) -> str | dict[str, str]:
    if isinstance(named, UsedPath):
        return {"path": normal_path(named.path)}
    return named.replace("\x00", "")


def _plain(run: str | None) -> str | None:
    if run is not None and "\x00" in run:
        raise VersoError("bad_value", "A run's id has no NUL characters.")
    return run


def _narrowing(stage: Stage | None, state: StageState | None) -> Stage | None:
    if stage is not None and state is None:
        raise VersoError("bad_value", "stage says which stage has the state: send state with it.")
    return stage


def place_of(row: Pipeline) -> str:
    """Where a row stands on the board of all projects: what its cursor says."""
    return f"{row.project.slug} {row.project.id} {row.session.slug}"
