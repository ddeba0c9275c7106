"""`verso export folder`: a project's files at a point."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from app.cli.exits import api_option, json_option, telling
from app.cli.histories import project_option


@click.command(name="folder")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--at", metavar="POINT", help="A change, tag, hash or time; now unless said.")
@project_option
@api_option
@json_option
def export_folder_command(
    directory: Path, at: str | None, project: str | None, *, api: str | None, as_json: bool
) -> None:
    """Write the project's files as they are, or were at a point, into DIRECTORY.

    Run it again to bring the folder to another point: only what differs is fetched. Files that you changed
    there are never overwritten. To work on the documents and send them back, use `verso clone`.
    """
    with telling(as_json) as out:
        from app.cli.progressing import showing_progress
        from app.cli.reaching import reach
        from app.client.export_folder import export_folder

        with reach(api, project) as (client, named), showing_progress(quiet=as_json) as progress:
            made = export_folder(client, named, directory, at=at, progress=progress)
        told = f"{made.files} files as of change #{made.change} ({made.written} new, {made.removed} removed)"
        left_out = [f"Left out: {each.path} {each.reason}." for each in made.left_out]
        out.tell(made, "\n".join([f"{made.directory}: {told}.", *left_out]))
