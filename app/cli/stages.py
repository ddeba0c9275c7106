"""`verso stage`: report where a session's stages stand, and look at it."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import rich_click as click

from app.cli.exits import api_option, json_option, telling
from app.cli.histories import project_option

if TYPE_CHECKING:
    from datetime import datetime

    from app.client.stages import Checked
    from app.model.pipelines import Pipeline, SessionStages, StageReport

STAGES = ("intent", "context", "spec", "plan", "tasks", "implementation", "feedback")
STATES = ("pending", "in_progress", "complete", "failed", "skipped")
STATUSES = ("draft", "in_progress", "review", "complete", "archived")
COUNTS = ("checks", "errors", "warnings", "requires_input")
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_SHORT = {"pending": ".", "in_progress": ">", "complete": "+", "failed": "!", "skipped": "-"}
_COUNT = click.IntRange(0, 2**31 - 1)


@click.group(name="stage")
def stage() -> None:
    """Report where a session's stages stand, and look at it: docs/pipelines.md."""


@stage.command(name="list")
@click.argument("session", required=False)
@click.option("--status", type=click.Choice(STATUSES), help="Without SESSION: only sessions that stand so.")
@click.option(
    "--state", type=click.Choice(STATES), help="Without SESSION: only those with a stage in this state."
)
@click.option("--stage", "which", type=click.Choice(STAGES), help="With --state: the stage that has it.")
@click.option("--all", "everywhere", is_flag=True, help="The sessions of all your projects.")
@project_option
@api_option
@json_option
def list_stages(session: str | None, *, status: str | None, state: str | None, which: str | None,
                everywhere: bool, project: str | None, api: str | None, as_json: bool) -> None:  # fmt: skip
    """Show where the stages of SESSION stand, or those of all sessions."""
    with telling(as_json) as out:
        from app.cli.reaching import connect, reach
        from app.client.history import home_of
        from app.errors import VersoError
        from app.model.pipelines import Pipeline, SessionStages

        filters = {"status": status, "state": state, "stage": which}
        if everywhere:
            if session is not None or project is not None:
                raise VersoError("bad_usage", "--all is for every project: leave SESSION and --project out.")
            with connect(api) as client:
                board = list(client.pages("/v1/pipelines", kind=Pipeline, **filters))
            out.tell(
                board, "\n".join(_told_row(row, named=True) for row in board) or "There are no sessions."
            )
            return
        with reach(api, project) as (client, home):
            if session is None:
                found = client.pages(f"{home_of(home)}/pipelines", kind=Pipeline, **filters)
                board = list(found)
                out.tell(board, "\n".join(map(_told_row, board)) or "There are no such sessions.")
                return
            if any(filters.values()):
                raise VersoError("bad_usage", "--status, --state and --stage are for lists of sessions.")
            stages: SessionStages = client.get(_stages_of(home, session), kind=SessionStages)
        out.tell(stages, _told(stages))


@stage.command(name="report")
@click.argument("session")
@click.argument("which", metavar="STAGE", type=click.Choice(STAGES))
@click.argument("state", type=click.Choice(STATES))
@click.option("--run", help="Your own id of this run.")
@click.option("--at", metavar="TIME", help="When it held, as 2026-03-02T09:30:00Z; now unless given.")
@click.option("--started", metavar="TIME", help="When the work began.")
@click.option("--finished", metavar="TIME", help="When it ended.")
@click.option("--checks", type=_COUNT, help="How many checks a validation made; with --errors.")
@click.option("--errors", type=_COUNT, help="How many errors it found.")
@click.option("--warnings", type=_COUNT, help="How many warnings it gave; none unless given.")
@click.option("--requires-input", type=_COUNT, help="How many [REQUIRES INPUT] marks it counted; none.")
@click.option("--consumed", multiple=True, metavar="WHAT", help="A version's hash, or a path as it is now.")
@click.option("--produced", multiple=True, metavar="WHAT", help="The same, of what it made.")
@click.option("--note", help="What else is to be said.")
@click.option(
    "--newest", metavar="ID", help="Only if this is the stage's newest report; none: if it has none."
)
@click.option("--key", help="An Idempotency-Key: the same report with it again is written once.")
@project_option
@api_option
@json_option
def report_stage(session: str, which: str, state: str, *, newest: str | None, key: str | None,
                 project: str | None, api: str | None, as_json: bool, **told: Any) -> None:  # fmt: skip
    """Report that STAGE of SESSION is in STATE: pending, in_progress, complete, failed or skipped."""
    with telling(as_json) as out:
        from app.cli.reaching import reach
        from app.model.pipelines import StageReport

        headers = {} if newest is None else {"If-None-Match": "*"} if newest == "none" else {
            "If-Match": f'"{newest}"'
        }  # fmt: skip
        with reach(api, project) as (client, home):
            made: StageReport = client.send(
                "POST",
                f"{_stages_of(home, session)}/{which}/reports",
                {"state": state, **_body(told)},
                kind=StageReport,
                headers=headers,
                key=key or secrets.token_hex(16),
            )
        out.tell(made, _told_report(made))


@stage.command(name="history")
@click.argument("session")
@click.option("--stage", "which", type=click.Choice(STAGES), help="Only reports of this stage.")
@click.option("--run", help="Only reports of this run.")
@click.option("-n", "--limit", type=click.IntRange(1), default=50, show_default=True, help="Reports at most.")
@project_option
@api_option
@json_option
def stage_history(session: str, *, which: str | None, run: str | None, limit: int, project: str | None,
                  api: str | None, as_json: bool) -> None:  # fmt: skip
    """Show what was reported of a session's stages, what was recorded last first."""
    with telling(as_json) as out:
        from itertools import islice

        from app.cli.reaching import reach
        from app.client.api import PAGE
        from app.model.pipelines import StageReport

        with reach(api, project) as (client, home):
            url = f"{_stages_of(home, session)}/history"
            pages = client.pages(url, kind=StageReport, stage=which, run=run, limit=min(limit, PAGE))
            found = list(islice(pages, limit))
        out.tell(found, "\n".join(map(_told_report, found)) or "Nothing was reported.")


@stage.command(name="check")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@json_option
def check_stage(paths: tuple[Path, ...], *, as_json: bool) -> None:
    """Count [REQUIRES INPUT] marks in files, and in all files below folders. Exit code 1: there are some.

    No server is asked. The count goes into a report's --requires-input.
    """
    with telling(as_json) as out:
        from app.client.stages import check_files

        found: Checked = check_files(paths)
        lines = [f"{mark.path}:{mark.line}: {mark.text}" for mark in found.marks]
        out.tell(found, "\n".join([*lines, f"{found.requires_input} in {found.files} files"]))
        if found.requires_input:
            out.end("requires_input")


def _body(told: dict[str, Any]) -> dict[str, Any]:
    """The body of a report from the options that were given."""
    from app.errors import VersoError

    counts = {name: told[name] for name in COUNTS if told[name] is not None}
    if counts and not {"checks", "errors"} <= counts.keys():
        raise VersoError("bad_usage", "A validation has --checks and --errors, and may have more counts.")
    body: dict[str, Any] = {
        "run": told["run"],
        "at": told["at"],
        "started_at": told["started"],
        "finished_at": told["finished"],
        "note": told["note"],
        "validation": counts or None,
        "consumed": [_used(each) for each in told["consumed"]],
        "produced": [_used(each) for each in told["produced"]],
    }
    return {name: value for name, value in body.items() if value}


def _used(named: str) -> str | dict[str, str]:
    from app.client.looking.source import project_path

    if _HASH.match(named):
        return named
    return {"path": project_path(named, place=_place(), cwd=Path.cwd())}


def _place() -> Any:
    from app.client.place import find_place

    return find_place(Path.cwd())


def _stages_of(home: str, session: str) -> str:
    from app.client.history import home_of

    return f"{home_of(home)}/sessions/{quote(session, safe='')}/stages"


def _told_row(row: Pipeline, *, named: bool = False) -> str:
    marks = " ".join(f"{_SHORT[each.state]}{each.stage}" for each in row.stages)
    place = f"{row.project.slug}/{row.session.slug}" if named else row.session.slug
    return f"{place}  {row.session.status}  {marks}"


def _told(found: SessionStages) -> str:
    lines = [f"{found.session.slug}: {found.session.title} ({found.session.status})"]
    for each in found.stages:
        line = f"  {each.stage:<15}{each.state:<12} since {_time(each.since)}"
        if each.report is not None:
            line += f"  {_who(each.report)}"
        lines.append(line)
        lines += [f"      {doc.path}  v{doc.head_number}  {doc.review}" for doc in each.documents]
    return "\n".join(lines)


def _told_report(made: StageReport) -> str:
    late = "  (late: history only)" if made.late else ""
    note = f"  {made.note.splitlines()[0]}" if made.note else ""
    moved = f"{made.stage}: {made.before} -> {made.state}"
    return f"#{made.number} {_time(made.at)} {moved}  {_who(made)}{note}{late}"


def _who(made: StageReport) -> str:
    name = made.agent or made.reporter.handle or made.reporter.id
    words = [f"by {name}" if made.actor != "import" else f"imported by {name}"]
    if made.run:
        words.append(f"run {made.run}")
    if made.validation:
        counts = made.validation
        words.append(
            f"{counts.errors} errors, {counts.warnings} warnings, {counts.requires_input} to fill in"
        )
    return ", ".join(words)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
