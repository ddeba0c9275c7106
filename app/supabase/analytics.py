"""Analytics as the database keeps them (docs/analytics.md): one method a question, in one round trip each.

Every method takes the caller's token first and raises VersoError with the database's own code and sentence.
"""

from __future__ import annotations

from datetime import date, datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING, Any

import msgspec

from app.model import ActorKind, Stage

if TYPE_CHECKING:
    from app.supabase.pool import Pool


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Times that were measured, in seconds. `count` and `mean` are exact; quantiles are at most 0.8 % off."""

    count: int
    mean: float
    p50: float
    p90: float


class MeasuredProject(msgspec.Struct, frozen=True, kw_only=True):
    """Which project a row is of."""

    id: str
    slug: str
    name: str


class AnalyticsRow(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a period, or of a group and part of it; docs/analytics.md gives each one's formula."""

    start: date | None = None
    """With groups: the first day of this one."""
    stage: Stage | None = None
    """By stage: which; null for what belongs to none."""
    actor: ActorKind | None = None
    project: MeasuredProject | None = None
    lead_time: Times | None
    session_lead_time: Times | None
    waiting_time: Times | None
    resolution_time: Times | None
    work_in_progress: int
    """At the end of the row's period."""
    stages_started: int
    stages_completed: int
    stages_skipped: int
    stages_failed: int
    stages_reopened: int
    stages_returned_to: int
    sessions_completed: int
    validations: int
    validations_passed: int
    validation_pass_rate: float | None
    checks: int
    errors: int
    warnings: int
    requires_input: int
    open_threads: int
    """At the end of the row's period."""
    threads_opened: int
    threads_reopened: int
    threads_resolved: int
    approvals: int
    changes_requested: int
    changes: int
    versions: int
    merges: int
    restores: int
    rework_versions: int


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """Which days are asked for, both inside, and how they are cut up."""

    first_day: date
    last_day: date
    step: str | None = None
    """day, week or month."""
    part: str | None = None
    """stage, actor or project."""


class ContestedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that more than one wrote in a period."""

    project: MeasuredProject
    document: str
    path: str
    live: bool
    stage: Stage | None
    handovers: int
    """Versions by another writer than that of the version before."""
    merges: int
    versions: int
    writers: int

    @property
    def position(self) -> str:
        """Where it is in the list."""
        return f"{self.handovers + self.merges} {self.document}"


class Newer(msgspec.Struct, frozen=True, kw_only=True):
    """A document of an earlier stage that was written later."""

    document: str
    path: str
    stage: Stage
    number: int


class StaleDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A live document that nobody changed for a time."""

    project: MeasuredProject
    document: str
    path: str
    stage: Stage | None
    number: int
    changed_at: datetime
    sequence: int
    """The number of that change in its project."""
    behind: Newer | None

    @property
    def position(self) -> str:
        """Where it is in the list."""
        return f"{self.changed_at.isoformat()} {self.project.id} {self.sequence} {self.document}"


class GaugeCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What there was of a project, stage and kind of actor since the beginning."""

    project: str
    slug: str
    stage: str | None
    actor: str
    work_in_progress: int
    stages_completed: int
    stages_failed: int
    stages_skipped: int
    stages_reopened: int
    sessions_completed: int
    versions: int
    rework_versions: int
    validations: int
    validations_passed: int
    open_threads: int


class GaugeTimes(msgspec.Struct, frozen=True, kw_only=True):
    """The times of a project and stage over the last 30 days."""

    project: str
    slug: str
    stage: str | None
    lead_time: Times | None
    waiting_time: Times | None
    session_lead_time: Times | None
    resolution_time: Times | None


class Gauges(msgspec.Struct, frozen=True):
    """What a scraper is told of the caller's projects."""

    counts: list[GaugeCounts]
    times: list[GaugeTimes]


class Rollups:
    """The analytics of one Supabase project."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read_analytics(self, token: str, *, project: str | None, period: Period) -> list[AnalyticsRow]:
        """The figures of a project, or of all projects of the caller."""
        asked: dict[str, Any] = {name: _told(value) for name, value in msgspec.structs.asdict(period).items()}
        if project is None:
            return await self._pool.call(list[AnalyticsRow], token, "read_all_analytics", **asked)
        return await self._pool.call(list[AnalyticsRow], token, "read_analytics", project=project, **asked)

    async def list_contested(
        self, token: str, *, project: str | None, period: Period, page_size: int, after: str | None = None
    ) -> list[ContestedDocument]:
        """Documents by handovers and merges, of a project or of all of the caller's; `after` a `position`."""
        return await self._pool.call(
            list[ContestedDocument],
            token,
            "list_contested",
            project=project,
            first_day=_told(period.first_day),
            last_day=_told(period.last_day),
            page_size=page_size,
            after=after,
        )

    async def list_stale(
        self, token: str, *, project: str | None, days: int, page_size: int, after: str | None = None
    ) -> list[StaleDocument]:
        """Live documents from so many days without a change on, oldest first; `after` a `position`."""
        return await self._pool.call(
            list[StaleDocument],
            token,
            "list_stale",
            project=project,
            days=days,
            page_size=page_size,
            after=after,
        )

    async def read_gauges(self, token: str) -> Gauges:
        """Counts since the beginning, and times of the last 30 days, of the caller's projects."""
        return await self._pool.call(Gauges, token, "read_gauges")


def _told(value: date | str | None) -> str | None:
    return value.isoformat() if isinstance(value, date) else value
