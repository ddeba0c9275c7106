"""`verso export git`: a project as a Git repository."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from app.cli.exits import api_option, json_option, telling
from app.cli.histories import project_option


@click.command(name="git")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@project_option
@api_option
@json_option
def export_git_command(directory: Path, project: str | None, *, api: str | None, as_json: bool) -> None:
    """Write the project's whole history into DIRECTORY, a bare Git repository.

    One commit a change, with authors, dates, messages and tags; what came from Git keeps its commits, and the
    same history always gives the same ones. Run it again to add what is new. `git clone DIRECTORY` makes a
    working copy of it, `git -C DIRECTORY fast-export --all` a stream.
    """
    with telling(as_json) as out:
        from app.cli.progressing import showing_progress
        from app.cli.reaching import reach
        from app.client.export_git import export_git

        with reach(api, project) as (client, named), showing_progress(quiet=as_json) as progress:
            made = export_git(client, named, directory, progress=progress)
        erased = f", {made.erased} of them erased" if made.erased else ""
        out.tell(
            made,
            f"{made.directory}: {made.new_changes} new commits, {made.changes} in all "
            f"({made.same_ids} with the ids that they came with), {made.contents} contents{erased}, "
            f"{made.tags} tags. `git clone {made.directory}` makes a working copy.",
        )
