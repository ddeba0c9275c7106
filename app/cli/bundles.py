"""`verso export bundle`, `verso verify`, `verso import bundle`: a project as one file, checked, put back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.exits import Exit, api_option, json_option, telling
from app.cli.histories import project_option
from app.cli.reaching import connect, reach
from app.cli.secret_key import checked_address, needed_secret_key, secret_key_option

if TYPE_CHECKING:
    from app.client.bundle.verify import Report

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(name="bundle")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
@project_option
@api_option
@json_option
def export_bundle(file: Path, *, project: str | None, force: bool, api: str | None, as_json: bool) -> None:
    """Write everything of a project into FILE: history, contents, reviews, comments, members, events.

    The file can be checked without any server (`verso verify`) and put back elsewhere (`verso import
    bundle`). The same history gives the same file, byte for byte.
    """
    with telling(as_json) as out:
        from app.cli.given import replaceable
        from app.cli.progressing import showing_progress
        from app.client.bundle.export import export_bundle as export
        from app.errors import VersoError

        if file.exists() and not force:
            raise VersoError("file_exists", f"{file} is there already. Name another file, or say --force.")
        file = replaceable(file)
        with reach(api, project) as (server, named), showing_progress(quiet=as_json) as progress:
            made = export(server, named, file, progress=progress)
        out.tell(
            made,
            f"{made.file}: {made.slug} up to change {made.changes}, {made.contents} contents, "
            f"{made.bytes:,} bytes.\nnewest change {made.change_hash}\nchecksum      {made.checksum}",
        )


@click.command()
@click.argument("file", type=_FILE, required=False)
@click.option("--project", "-p", metavar="P", help="Check a live project through its API instead of a file.")
@click.option("--rows-only", is_flag=True, help="With --project: hashes of rows, without fetching contents.")
@click.option("--hash", "expected", metavar="HASH", help="What the newest change's hash must be.")
@api_option
@json_option
def verify(
    file: Path | None,
    *,
    project: str | None,
    rows_only: bool,
    expected: str | None,
    api: str | None,
    as_json: bool,
) -> None:
    """Check every hash of a bundle, or of a live project: 0 when all is whole, else 1 and what is wrong.

    A file needs no server and no account. That it is whole says that nothing was altered by accident, and
    that the history is one; whether it is *the* history is said by its newest hash: compare it (--hash).
    """
    with telling(as_json) as out:
        from app.cli.progressing import showing_progress
        from app.errors import VersoError

        if (file is None) == (project is None):
            raise VersoError("bad_usage", "Name a file, or a project with --project.")
        if rows_only and file is not None:
            raise VersoError("bad_usage", "--rows-only is for a live project: a file is checked whole.")
        with showing_progress(quiet=as_json) as progress:
            if file is not None:
                from app.client.bundle.verify import verify_bundle

                report = verify_bundle(file, progress=progress)
            else:
                from app.client.bundle.live import verify_project

                with connect(api) as server:
                    report = verify_project(server, str(project), contents=not rows_only, progress=progress)
        if expected is not None and report.change_hash != expected:
            raise VersoError(
                "other_history",
                f"This is another history: its newest change is {report.change_hash}.",
                whole=report.whole,
                change_hash=report.change_hash,
            )
        out.tell(report, _told(report))
        if not report.whole:
            sys.exit(Exit.REFUSED)


@click.command(name="bundle")
@click.argument("file", type=_FILE)
@click.option("--supabase", metavar="URL", envvar="SUPABASE_URL", required=True, help="Or SUPABASE_URL.")
@secret_key_option
@click.option("--owner", metavar="HANDLE", help="An account there that becomes an owner.")
@click.option("--dry-run", is_flag=True, help="Verify the file and say what would be written.")
@json_option
def import_bundle(
    file: Path, *, supabase: str, secret_key_stdin: bool, owner: str | None, dry_run: bool, as_json: bool
) -> None:
    """Put a bundle back into a Supabase: an operator's act, with its secret key.

    Ids, hashes and dates are those of the bundle, or nothing is written. A project that is there already goes
    on, when what is there is the beginning of the bundle's history. The key is used for this run and kept
    nowhere.
    """
    with telling(as_json) as out:
        from app.cli.progressing import showing_progress
        from app.client.bundle.operator import Operator
        from app.client.bundle.restore import restore_bundle

        key = needed_secret_key(from_stdin=secret_key_stdin)
        with (
            Operator(checked_address(supabase), key) as operator,
            showing_progress(quiet=as_json) as progress,
        ):
            done = restore_bundle(operator, file, owner=owner, dry_run=dry_run, progress=progress)
        would = "would be " if done.dry_run else ""
        lines = [f"{done.slug}: {done.changes} changes {would}put back, up to change {done.change_sequence}."]
        if not done.owners and not done.dry_run:
            lines.append(
                "Nobody who has an account there owns it: run this again with --owner HANDLE, and they do."
            )
        out.tell(done, "\n".join(lines))


def _told(report: Report) -> str:
    gone = f", {report.erased} more erased" if report.erased else ""
    head = (
        f"{report.slug}: {report.changes} changes, {report.versions} versions of {report.documents} "
        f"documents, {report.contents} contents ({report.content_bytes:,} bytes){gone}\n"
        f"newest change {report.change_hash}"
    )
    if report.slug is None:
        return "\n".join(f"{finding.where}: {finding.what}" for finding in report.findings)
    if report.whole:
        return f"{head}\nWhole: every hash was computed again, and all are right."
    faults = [f"  {finding.where}: {finding.what}" for finding in report.findings]
    more = report.finding_count - len(faults)
    return "\n".join(
        [head, f"{report.finding_count} faults:", *faults, *([f"  … and {more} more"] if more else [])]
    )
