"""`verso events`: what happened in a project, and what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from app.cli.exits import api_option, json_option, telling, until_interrupted
from app.cli.histories import project_option

if TYPE_CHECKING:
    from app.errors import VersoError

MOST_PATHS = 3
_TOLD_ELSEWHERE = {"sequence", "kind", "actor", "at", "change", "path"}


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on, event by event, until Ctrl-C.")
@click.option("--path", help="Only events about paths that begin so.")
@click.option(
    "--kind", "kinds", multiple=True, metavar="KIND", help="Only this kind, or `noun.*`; repeatable."
)
@click.option("--session", help="Only events about this session: its slug or id.")
@click.option(
    "--after",
    type=click.IntRange(0),
    metavar="N",
    help="Only events after number N. Unless said: all, and with --follow those to come.",
)
@project_option
@api_option
@json_option
def events(*, follow: bool, path: str | None, kinds: tuple[str, ...], session: str | None,
           after: int | None, project: str | None, api: str | None, as_json: bool) -> None:  # fmt: skip
    """What happened in the project, oldest first: changes, tags, remarks, members, stages.

    What --follow tells is each event once, in order: a connection that breaks is taken up again where it was.
    With --json each event is one line.
    """
    with telling(as_json) as out:
        from app.cli.reaching import reach
        from app.client.events import Wanted, follow_events, read_events

        wanted = Wanted(kinds=kinds, path=path, session=session)

        def offline(error: VersoError) -> None:
            out.note(f"{error.sentence} Trying again.")

        with reach(api, project) as (client, named), until_interrupted() as stop:
            if follow:
                told = follow_events(client, named, wanted, after=after, stop=stop, offline=offline)
            else:
                told = read_events(client, named, wanted, after=after or 0)
            for event in told:
                out.line(event, told_event(event))


def told_event(event: dict[str, Any]) -> str:
    """An event on one line: number, time, kind, who, and what it is about."""
    actor = event["actor"] or {}
    who = actor.get("handle") or actor.get("id") or "-"
    if "agent" in actor:
        who += f" (agent {actor['agent']})"
    line = f"{event['sequence']:>6}  {event['at'][:19]}  {event['kind']:<21} {who:<16} "
    change = event["change"]
    if change is None:
        fields = {name: value for name, value in event.items() if name not in _TOLD_ELSEWHERE and value}
        about = [event["path"]] if "path" in event else []
        return line + " ".join([*about, *(f"{name}={_plain(value)}" for name, value in fields.items())])
    paths = [_moved(each) for each in change["versions"][:MOST_PATHS]]
    more = change["version_count"] - len(paths)
    message = change["message"].partition("\n")[0]
    return (
        f"{line}#{change['sequence']} {', '.join(paths)}"
        + (f" and {more} more" if more > 0 else "")
        + (f": {message}" if message else "")
    )


def _plain(value: object) -> object:
    """A field's value; of a person the handle."""
    return value.get("handle") or value.get("id") if isinstance(value, dict) and "id" in value else value


def _moved(version: dict[str, Any]) -> str:
    sign = {"add": "+", "delete": "-"}.get(version["action"], "")
    before = version.get("from_path")
    return f"{before} → {version['path']}" if before else f"{sign}{version['path']}"
