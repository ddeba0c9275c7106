"""`verso import git`: a Git history into a project."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import rich_click as click

from app.cli.exits import Exit, api_option, json_option, telling

if TYPE_CHECKING:
    from app.cli.exits import Teller
    from app.client.api import Api
    from app.sources.git.report import Report


@click.command(name="git")
@click.argument("source")
@click.option(
    "--project", "-p", metavar="PROJECT", help="Slug or id of the project; not needed to --dry-run."
)
@click.option("--create", is_flag=True, help="Make the project if there is none of that slug.")
@click.option("--branch", metavar="NAME", help="The branch; unless given, the one that is checked out.")
@click.option("--first-parent", is_flag=True, help="Only the branch itself: a merge is one change.")
@click.option(
    "--include", metavar="PATTERN", multiple=True, help="Take only paths like this (.gitignore's rules)."
)
@click.option(
    "--exclude", metavar="PATTERN", multiple=True, help="Leave out paths like this; !PATTERN takes in."
)
@click.option("--no-default-excludes", is_flag=True, help="Take credentials and virtual environments, too.")
@click.option("--keep-keys", is_flag=True, help="Take contents that hold private keys, too.")
@click.option("--skip-empty", is_flag=True, help="Leave out commits that change nothing of what is taken.")
@click.option(
    "--authors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Who is who: lines `Name <mail> = account`.",
)
@click.option("--no-tags", is_flag=True, help="Make no tags.")
@click.option(
    "--proof",
    type=click.Choice(["hashes", "full", "none"]),
    default="hashes",
    show_default=True,
    help="Compare every tree with Git's: by contents' hashes, by fetching every content, or not.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 200),
    default=100,
    show_default=True,
    help="How many commits go in one request: each is there as a whole, or not at all.",
)
@click.option("--dry-run", is_flag=True, help="Say what would happen, and do nothing.")
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the whole report there, as JSON."
)
@api_option
@json_option
def import_git(  # noqa: PLR0917 - click passes options by name
    source: str,
    project: str | None,
    create: bool,
    branch: str | None,
    first_parent: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    no_default_excludes: bool,
    keep_keys: bool,
    skip_empty: bool,
    authors: Path | None,
    no_tags: bool,
    proof: Literal["hashes", "full", "none"],
    batch: int,
    dry_run: bool,
    report: Path | None,
    api: str | None,
    as_json: bool,
) -> None:
    """Import a Git history: every commit becomes a change, with author, dates, message and renames.

    SOURCE is a repository's folder or URL. End it whenever you like and run it again: it goes on. Run it
    later and it adds what is new, as long as nothing else was written to the project.
    """
    with telling(as_json) as out, tempfile.TemporaryDirectory(prefix="verso-import-") as scratch:
        from app.cli.creating import find_or_create
        from app.cli.given import given_text
        from app.cli.progressing import showing_progress
        from app.client.import_git import import_into
        from app.errors import VersoError
        from app.git.read.history import Choices, History
        from app.git.read.people import People, read_mailmap
        from app.git.read.repository import open_repository
        from app.sources.filters import Filter
        from app.sources.git.run import plan_history

        if project is None and not dry_run:
            raise VersoError(
                "bad_usage", "Name the project with --project, or ask what would happen: --dry-run."
            )
        repository = open_repository(source, branch=branch, scratch=Path(scratch))
        lines = given_text(authors).splitlines() if authors else ()
        history = History(
            repository,
            rules=Filter(include, exclude, defaults=not no_default_excludes),
            people=People(lines, mailmap=read_mailmap(repository.opened)),
            choices=Choices(
                branch=branch, first_parent=first_parent, skip_empty=skip_empty, keep_keys=keep_keys
            ),
        )
        if project is None:
            made = plan_history(history, source=source)
        else:
            with _api(api) as server:
                is_there = find_or_create(server, project, create=create, dry_run=dry_run)
                with showing_progress(quiet=as_json) as progress:
                    going = import_into(
                        server, project, history, source=source, progress=progress, batch=batch
                    )
                    if not is_there:
                        made = plan_history(history, source=source)
                    else:
                        made = going.plan() if dry_run else going.run(tags=not no_tags, proof=proof)
        _tell(out, made, report)
        if not made.is_proven:
            sys.exit(Exit.REFUSED)


def _api(asked: str | None) -> Api:
    from app.client.credentials import Logins
    from app.client.place import find_place, open_api

    logins = Logins.of_this_machine()
    return open_api(asked, place=find_place(Path()), environment=os.environ, logins=logins)


def _tell(out: Teller, made: Report, file: Path | None) -> None:
    import msgspec

    from app.cli.import_told import told

    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    out.tell(made, lambda console: told(made, console))
