"""Pipelines: what is reported of a session's stages, and where they stand (docs/pipelines.md)."""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from enum import StrEnum
from typing import Annotated

import msgspec

from app.model.structs import ActorKind, Person, SessionStatus, SessionType, Stage

Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class StageState(StrEnum):
    """Where a stage of a session stands."""

    pending = "pending"
    in_progress = "in_progress"
    complete = "complete"
    failed = "failed"
    skipped = "skipped"


class StageReview(StrEnum):
    """What the reviews of a stage document's newest version come to."""

    approved = "approved"
    changes_requested = "changes_requested"
    pending = "pending"


class Validation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a validation found."""

    checks: Count
    """How many checks it made."""
    errors: Count
    warnings: Count = 0
    requires_input: Count = 0
    """How many `[REQUIRES INPUT]` marks it counted."""


class UsedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that a stage consumed or produced."""

    version: str
    document: str
    number: int
    path: str


class StageReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report of a stage. It never changes."""

    id: str
    project: str
    session: str
    stage: Stage
    number: int
    """Its number in its session, from 1, in the order of recording."""
    state: StageState
    before: StageState
    """The state that held just before `at`, by what was known when this was recorded."""
    late: bool
    """Whether a newer report was known already, so that this one changed nothing but history."""
    run: str | None
    reporter: Person
    actor: ActorKind
    agent: str | None
    on_behalf_of: Person | None
    started_at: datetime | None
    finished_at: datetime | None
    at: datetime
    """When the state held."""
    recorded_at: datetime
    validation: Validation | None
    note: str | None
    consumed: list[UsedVersion]
    produced: list[UsedVersion]
    sequence: int
    """The number of its event in the project."""


class StageDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A live document of a stage."""

    document: str
    path: str
    head: str
    """Hash of its newest version."""
    head_number: int
    review: StageReview


class StageStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stage stands."""

    stage: Stage
    state: StageState
    since: datetime
    allowed: list[StageState]
    """The states that may be reported next."""
    report: StageReport | None
    """Its newest report; null before the first."""
    documents: list[StageDocument]


class PipelineSession(msgspec.Struct, frozen=True, kw_only=True):
    """The session that a pipeline is of."""

    id: str
    project: str
    slug: str
    title: str
    type: SessionType
    status: SessionStatus


class SessionStages(msgspec.Struct, frozen=True, kw_only=True):
    """A session, and where its seven stages stand."""

    session: PipelineSession
    stages: list[StageStanding]


class PipelineStage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stage stands, as boards show it: in short."""

    stage: Stage
    state: StageState
    since: datetime
    report: str | None
    """The id of its newest report, which the next four are of; null before the first."""
    run: str | None
    actor: ActorKind | None
    agent: str | None
    validation: Validation | None


class PipelineProject(msgspec.Struct, frozen=True, kw_only=True):
    """The project of a pipeline."""

    id: str
    slug: str
    name: str


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a board: a session with its seven stages in short."""

    session: PipelineSession
    project: PipelineProject
    stages: list[PipelineStage]
