"""What the OpenAPI document says of pipelines, beside `described.py` and `examples.py`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.api import examples
from app.api.described import Operation
from app.model import ActorKind, SessionStatus, SessionType, Stage
from app.model.pipelines import (
    Pipeline,
    PipelineProject,
    PipelineSession,
    PipelineStage,
    SessionStages,
    StageDocument,
    StageReport,
    StageReview,
    StageStanding,
    StageState,
    UsedVersion,
    Validation,
)

OPERATIONS: dict[str, Operation] = {
    "report_stage": Operation(
        headers=("If-Match", "If-None-Match", "Idempotency-Key"),
        answered=("Location",),
        refuses=(
            "bad_transition",
            "stage_moved",
            "document_needed",
            "validation_needed",
            "approval_needed",
            "version_not_found",
            "document_not_found",
            "bad_condition",
            "bad_path",
            "bad_value",
            "idempotency_key_reused",
        ),
    ),
    "list_stage_reports": Operation(refuses=("bad_value",)),
    "read_stage_report": Operation(refuses=("report_not_found",)),
}
"""By operationId."""

_AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_HEAD = examples.state.hash
_REPORT = "3d2c1b0a-9f8e-4d7c-8b6a-5f4e3d2c1b0a"
_VALIDATION = Validation(checks=14, errors=0, warnings=2)

_report = StageReport(
    id=_REPORT,
    project=examples.PROJECT,
    session=examples.SESSION,
    stage=Stage.spec,
    number=4,
    state=StageState.complete,
    before=StageState.in_progress,
    late=False,
    run="run-7",
    reporter=examples.person,
    actor=ActorKind.agent,
    agent="spec-writer",
    on_behalf_of=examples.person,
    started_at=_AT - timedelta(minutes=30),
    finished_at=_AT,
    at=_AT,
    recorded_at=_AT,
    validation=_VALIDATION,
    note=None,
    consumed=[],
    produced=[UsedVersion(version=_HEAD, document=examples.DOCUMENT, number=7, path=examples.PATH)],
    sequence=120,
)
_session = PipelineSession(
    id=examples.SESSION,
    project=examples.PROJECT,
    slug="milkdown-crepe",
    title="Milkdown Crepe",
    type=SessionType.exploratory,
    status=SessionStatus.in_progress,
)
_standing = StageStanding(
    stage=Stage.spec,
    state=StageState.complete,
    since=_AT,
    allowed=[StageState.in_progress],
    report=_report,
    documents=[
        StageDocument(
            document=examples.DOCUMENT,
            path=examples.PATH,
            head=_HEAD,
            head_number=7,
            review=StageReview.approved,
        )
    ],
)

SCHEMAS: dict[str, Any] = {
    "StageReport": _report,
    "SessionStages": SessionStages(session=_session, stages=[_standing]),
    "Validation": _VALIDATION,
    "Pipeline": Pipeline(
        session=_session,
        project=PipelineProject(id=examples.PROJECT, slug="idse-core", name="IDSE Core"),
        stages=[
            PipelineStage(
                stage=Stage.spec,
                state=StageState.complete,
                since=_AT,
                report=_REPORT,
                run="run-7",
                actor=ActorKind.agent,
                agent="spec-writer",
                validation=_VALIDATION,
            )
        ],
    ),
    "NewReport": {
        "state": "complete",
        "run": "run-7",
        "started_at": "2026-03-02T09:00:00Z",
        "finished_at": "2026-03-02T09:30:00Z",
        "validation": msgspec.structs.asdict(_VALIDATION),
        "consumed": [{"path": "sessions/milkdown-crepe/intents/intent.md"}],
        "produced": [_HEAD],
    },
}
"""One example of each schema, by its name in the OpenAPI document."""

PARAMETERS: dict[str, Any] = {"stage": "spec", "report": _REPORT}
"""One example of each path parameter."""
