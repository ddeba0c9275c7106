"""`verso analytics`: how long work takes, as a table, JSON or CSV; as gauges in a file for an exporter."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import rich_click as click

from app.cli.completing import ProjectName
from app.cli.exits import api_option, json_option, telling
from app.cli.given import replaceable
from app.cli.reaching import connect, named_project

_SHOWN = {
    "done": "stages_completed",
    "in progress": "work_in_progress",
    "failed": "stages_failed",
    "back": "stages_returned_to",
    "lead p50": "lead_time",
    "p90": "lead_time",
    "wait p50": "waiting_time",
    "valid": "validation_pass_rate",
    "versions": "versions",
    "rework": "rework_versions",
    "open threads": "open_threads",
}
_PARTS = ("start", "project", "stage", "actor")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@click.command()
@click.argument("project", required=False, type=ProjectName())
@click.option("--from", "first_day", metavar="DAY", help="The first day (2026-03-01), in UTC.")
@click.option("--to", "last_day", metavar="DAY", help="The last day, itself inside; today unless given.")
@click.option("--group", type=click.Choice(["day", "week", "month"]), help="Cut the period up.")
@click.option("--by", type=click.Choice(["stage", "actor", "project"]), help="Take the figures apart.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with every figure.")
@click.option(
    "--metrics",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write all projects' gauges for Prometheus into this file (- prints them), whole or not at all.",
)
@api_option
@json_option
def analytics(
    project: str | None,
    *,
    metrics: Path | None,
    as_csv: bool,
    api: str | None,
    as_json: bool,
    **period: str | None,
) -> None:
    """Figures of PROJECT, of the working folder's project, or of all projects that you are a member of.

    Times from start to completion (lead) and since the stage before (wait), what is in progress, how much
    comes back. The last 30 days unless you say others. docs/analytics.md says what each figure is.
    """
    with telling(as_json) as out:
        from app.errors import VersoError

        if as_csv and as_json:
            raise VersoError("bad_usage", "Ask for --json or for --csv.")
        with connect(api) as server:
            if metrics is not None:
                gauges = server.ask("GET", "/v1/analytics/metrics").body
                if str(metrics) == "-":
                    out.copy(gauges.decode("utf-8", "replace"))
                else:
                    _write(metrics, gauges)
                return
            query = {name.removesuffix("_day"): value for name, value in period.items()}
            query = {{"first": "from", "last": "to"}.get(name, name): value for name, value in query.items()}
            if as_csv:
                found = server.ask("GET", _url(project), query={**query, "format": "csv"})
                out.copy(found.body.decode("utf-8", "replace"))
                return
            told = server.ask("GET", _url(project), query=query).json()
        out.tell(told, _table(told, project))


def _url(project: str | None) -> str:
    named = named_project(project)
    return f"/v1/projects/{quote(named, safe='')}/analytics" if named else "/v1/analytics"


def _write(file: Path, text: bytes) -> None:
    """Whoever reads the file meanwhile sees the old text or the new one."""
    file = replaceable(file)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(handle, "wb") as new:
            new.write(text)
        Path(name).chmod(0o644)  # the exporter is another user
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _table(told: dict[str, Any], project: str | None) -> str:
    """Aligned columns that no terminal's width breaks."""
    parts = [name for name in _PARTS if name in {"start" if told["group"] else "", told["by"]}]
    lines = [[*parts, *_SHOWN]]
    for row in told["rows"]:
        keys = [row[name]["slug"] if name == "project" else row[name] or "-" for name in parts]
        lines.append([*keys, *(_cell(title, row[name]) for title, name in _SHOWN.items())])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    head = f"{project or 'Figures'}, {told['from']} to {told['to']}"
    return "\n".join([head, *("  ".join(_aligned(line, widths, len(parts))) for line in lines)])


def _aligned(line: list[str], widths: list[int], keys: int) -> list[str]:
    return [
        cell.ljust(width) if n < keys else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def _cell(title: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return span(value["p90" if title == "p90" else "p50"])
    return f"{value:.0%}" if isinstance(value, float) else f"{value:,}"


def span(seconds: float) -> str:
    """A time in its largest unit: 40 s, 12 min, 3.5 h, 2.1 d."""
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
