"""Stage reports and boards as the database has them: one method a SQL function, in one round trip each.

Every method takes the caller's token first and raises VersoError with the database's own code and sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.model.pipelines import Pipeline, SessionStages, StageReport, StageState, Validation
from app.supabase.pool import key_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from app.model import SessionStatus, Stage
    from app.supabase.pool import Pool

Used = str | dict[str, str]
"""A version by its hash, or `{"path": …}` for the one that is there now."""


class Pipelines:
    """The stages of one Supabase project's sessions. All of it may be asked again: reports have a key."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def report_stage(
        self,
        token: str,
        *,
        project: str,
        session: str,
        stage: Stage,
        state: StageState,
        run: str | None = None,
        at: datetime | None = None,
        started_at: datetime | None = None,
        finished_at: datetime | None = None,
        validation: Validation | None = None,
        consumed: Sequence[Used] = (),
        produced: Sequence[Used] = (),
        note: str | None = None,
        expected: str | None = None,
        imported: bool = False,
        idempotency_key: str | None = None,
    ) -> StageReport:
        """Report a stage's state; `expected` is the id of its newest report as one knows it, or `none`."""
        return await self._pool.call(
            StageReport,
            token,
            "report_stage",
            project=project,
            session=session,
            stage=stage.value,
            state=state.value,
            run=run,
            at=at and at.isoformat(),
            started_at=started_at and started_at.isoformat(),
            finished_at=finished_at and finished_at.isoformat(),
            consumed=list(consumed) or None,
            produced=list(produced) or None,
            note=note,
            expected=expected,
            imported=imported or None,
            idempotency_key=key_of(idempotency_key),
            **_counts(validation),
        )

    async def read_stages(self, token: str, *, project: str, session: str) -> SessionStages:
        """Where the seven stages of a session stand."""
        return await self._pool.call(SessionStages, token, "read_stages", project=project, session=session)

    async def read_stage_report(self, token: str, *, report: str) -> StageReport:
        """One report."""
        return await self._pool.call(StageReport, token, "read_stage_report", report=report)

    async def list_stage_reports(
        self,
        token: str,
        *,
        project: str,
        session: str,
        stage: Stage | None,
        run: str | None,
        before: int | None,
        page_size: int,
    ) -> list[StageReport]:
        """A session's reports, newest first; `before` is the number of the last one seen."""
        return await self._pool.call(
            list[StageReport],
            token,
            "list_stage_reports",
            project=project,
            session=session,
            stage=stage and stage.value,
            run=run,
            before=before,
            page_size=page_size,
        )

    async def list_pipelines(
        self,
        token: str,
        *,
        project: str | None,
        status: SessionStatus | None,
        stage: Stage | None,
        state: StageState | None,
        after: str | None,
        page_size: int,
    ) -> list[Pipeline]:
        """A project's sessions with their stages; of all the caller's projects without a `project`."""
        return await self._pool.call(
            list[Pipeline],
            token,
            "list_all_pipelines" if project is None else "list_pipelines",
            project=project,
            status=status and status.value,
            stage=stage and stage.value,
            state=state and state.value,
            after=after,
            page_size=page_size,
        )


def _counts(validation: Validation | None) -> dict[str, Any]:
    if validation is None:
        return {}
    return {name: getattr(validation, name) for name in validation.__struct_fields__}
