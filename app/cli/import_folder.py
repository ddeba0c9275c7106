"""`verso import folder`: a folder, a zip or a tar into a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.exits import api_option, json_option, telling

if TYPE_CHECKING:
    from app.client.import_folder import Imported
    from app.model import LeftOut

SHOWN = 20


@click.command(name="folder")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--project", "-p", metavar="P", help="The project; unless given, the working folder's.")
@click.option("--create", is_flag=True, help="Make the project if there is none of that slug.")
@click.option("--under", metavar="FOLDER", default="", help="The folder of the project that it becomes.")
@click.option(
    "--strip", metavar="N", type=click.IntRange(0, 20), default=0, help="Of an archive: drop N folders."
)
@click.option("--include", metavar="PATTERN", multiple=True, help="Only these, as in .gitignore.")
@click.option("--exclude", metavar="PATTERN", multiple=True, help="Not these; !PATTERN takes in again.")
@click.option("--no-default-excludes", is_flag=True, help="Take credentials and virtual environments, too.")
@click.option("--delete", is_flag=True, help="Delete what the project has there and the source has not.")
@click.option("-m", "--message", default="", help="The change's message.")
@click.option("--dry-run", is_flag=True, help="Say what would happen.")
@api_option
@json_option
def import_folder(  # each option is one
    path: Path,
    *,
    project: str | None,
    create: bool,
    under: str,
    strip: int,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    no_default_excludes: bool,
    delete: bool,
    message: str,
    dry_run: bool,
    api: str | None,
    as_json: bool,
) -> None:
    """Bring a folder, a zip or a tar into a project: what differs becomes a change.

    Nothing is deleted without --delete. Credentials, virtual environments and other made things stay out and
    are listed. Run it again after anything went wrong: it sends what is left.
    """
    with telling(as_json) as out:
        from app.cli.creating import find_or_create
        from app.cli.progressing import showing_progress
        from app.cli.reaching import reach
        from app.client.import_folder import import_source
        from app.sources.filters import Filter
        from app.sources.listing import Limits
        from app.sources.opening import open_source

        chosen = Filter(include, exclude, defaults=not no_default_excludes)
        with (
            reach(api, project) as (client, named),
            open_source(path, chosen, Limits(), strip=strip) as source,
            showing_progress(quiet=as_json) as progress,
        ):
            # A dry run of a project that isn't there has nothing to compare with: it says so.
            find_or_create(client, named, create=create and not dry_run)
            done = import_source(
                client,
                named,
                source,
                under=under,
                delete=delete,
                message=message or f"Import {path.name}",
                dry_run=dry_run,
                progress=progress,
            )
        out.tell(done, _told(done))


def told_left_out(left_out: list[LeftOut]) -> list[str]:
    """What was left out, the first of each reason, and how many more."""
    reasons: dict[str, list[str]] = {}
    for each in left_out:
        reasons.setdefault(each.reason, []).append(each.path)
    lines = []
    for reason, paths in reasons.items():
        more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        lines.append(f"left out ({reason}): {', '.join(paths[:SHOWN])}{more}")
    return lines


def _told(done: Imported) -> str:
    counts = {
        "added": len(done.added),
        "edited": len(done.edited),
        "moved": len(done.moved),
        "deleted": len(done.deleted),
        "unchanged": done.unchanged,
    }
    line = ", ".join(f"{count} {what}" for what, count in counts.items())
    lines = [f"{'Would be: ' if done.dry_run else ''}{line}; {done.bytes:,} bytes."]
    if done.needed_changes > 1:
        lines.append(
            f"This takes {done.needed_changes} changes, because one would be too large: each is atomic, all "
            "of them together are not."
        )
    lines += [f"#{change.sequence} {change.hash} {change.versions} versions" for change in done.changes]
    return "\n".join(lines + told_left_out(done.left_out))
