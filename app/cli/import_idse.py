"""`verso import idse`: pipelines that lived in folders become projects and sessions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.exits import api_option, json_option, telling
from app.cli.import_folder import told_left_out

if TYPE_CHECKING:
    from app.client.idse.run import IdseImported


@click.command(name="idse")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--project", "-p", metavar="P", help="For a tree of one project: which one it becomes.")
@click.option(
    "--people",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Lines `name = handle`: whose account the names in .owner and .collaborators are.",
)
@click.option(
    "--strip", metavar="N", type=click.IntRange(0, 20), default=0, help="Of an archive: drop N folders."
)
@click.option("--exclude", metavar="PATTERN", multiple=True, help="Not these; !PATTERN takes in again.")
@click.option("-m", "--message", default="", help="The changes' message.")
@click.option("--dry-run", is_flag=True, help="Say what would happen.")
@api_option
@json_option
def import_idse(  # each option is one
    path: Path,
    *,
    project: str | None,
    people: Path | None,
    strip: int,
    exclude: tuple[str, ...],
    message: str,
    dry_run: bool,
    api: str | None,
    as_json: bool,
) -> None:
    """Bring an IDSE tree in: each project with its sessions, stage documents and people.

    Reads projects/…, .idse/projects/… and the oldest layout, <stage>/projects/…. Try it with --dry-run first.
    Run it again at any time: it makes only what isn't there.
    """
    with telling(as_json) as out:
        from app.cli.given import given_text
        from app.cli.progressing import showing_progress
        from app.client.credentials import Logins
        from app.client.idse.metadata import read_people
        from app.client.idse.run import import_idse as run
        from app.client.place import open_api
        from app.sources.filters import Filter
        from app.sources.listing import Limits
        from app.sources.opening import open_source

        mapped = read_people(given_text(people)) if people is not None else {}
        logins = Logins.of_this_machine()
        with (
            open_api(api, place=None, environment=os.environ, logins=logins) as client,
            open_source(path, Filter(exclude=exclude), Limits(), strip=strip) as source,
            showing_progress(quiet=as_json) as progress,
        ):
            done = run(
                client,
                source,
                people=mapped,
                into=project,
                message=message or f"Import {path.name}",
                dry_run=dry_run,
                progress=progress,
            )
        out.tell(done, _told(done))


def _told(done: IdseImported) -> str:
    lines = []
    for project in done.projects:
        documents = project.documents
        new = " (new)" if project.is_new else ""
        lines.append(
            f"{project.slug}{new}: {len(documents.added)} documents added, {len(documents.edited)} edited, "
            f"{documents.unchanged} unchanged"
        )
        for session in project.sessions:
            parent = f" of {session.parent}" if session.parent else ""
            stages = ", ".join(f"{stage} {state}" for stage, state in session.stages.items())
            lines.append(
                f"  {session.slug}: {session.type}{parent}, {session.status}{'; ' + stages if stages else ''}"
            )
            lines += [f"    {note}" for note in session.notes]
        lines += [f"  {handle} is {role}" for handle, role in project.people.added.items()]
        lines += [f"  nobody is known for the name {name}" for name in project.people.unknown]
        lines += [f"  {note}" for note in project.notes]
        lines += [f"  {line}" for line in told_left_out(documents.left_out)]
    if done.dry_run:
        lines.insert(0, "Nothing was written. This would be:")
    return "\n".join(lines + told_left_out(done.left_out))
