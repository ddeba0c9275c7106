"""What a tree says of its sessions' stages, reported after the documents, which that may need."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from app.client.history import home_of
from app.errors import VersoError
from app.model.pipelines import SessionStages, StageState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.client.api import Api

REFUSALS = frozenset(
    {"role_too_low", "bad_transition", "document_needed", "validation_needed", "approval_needed"}
)
"""What the server may say to one report and not to the next: it is noted, and the import goes on."""


def report_stages(
    api: Api, home: str, session: str, stages: Mapping[str, str], *, dry_run: bool
) -> tuple[dict[str, str], list[str]]:
    """Report the stages that nobody reported of; gives those that were, or would be, and notes of the others.

    Those files keep the last state only, without a time: it is reported as an import, as of now.
    """
    reported: dict[str, str] = {}
    notes: list[str] = []
    wanted = {stage: state for stage, state in stages.items() if state != StageState.pending}
    if not wanted:
        return reported, notes
    url = f"{home_of(home)}/sessions/{quote(session, safe='')}/stages"
    there = api.get(url, kind=SessionStages)
    known = {each.stage.value for each in there.stages if each.report is not None}
    for stage, state in wanted.items():
        if stage in known:
            continue
        body = {"state": state, "imported": True}
        try:
            if not dry_run:
                key = f"idse-{there.session.id}-{stage}-{state}"
                api.post(f"{url}/{stage}/reports", body, key=key)
            reported[stage] = state
        except VersoError as error:
            if error.code not in REFUSALS:
                raise
            notes.append(f"{stage} isn't reported as {state}: {error.sentence}")
    return reported, notes
