"""`verso users import`: the accounts of an older system, brought into Supabase Auth by an operator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.exits import Exit, json_option, telling
from app.cli.progressing import showing_progress
from app.cli.secret_key import checked_address, needed_secret_key, quiet_logs, secret_key_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.flows.import_users import ImportedUser, UsersImported
    from app.flows.old_users import LeftOutUser, OldUser
    from app.progress import Progress


@click.group(name="users")
def users() -> None:
    """Bring people's accounts along. For operators: it takes the secret key."""


@users.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--supabase", metavar="URL", envvar="SUPABASE_URL", required=True, help="Or SUPABASE_URL.")
@secret_key_option
@click.option(
    "--people",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write here whose handle each name is, for `verso import idse --people`.",
)
@click.option("--dry-run", is_flag=True, help="Say what would happen.")
@json_option
def import_users(
    file: Path,
    *,
    supabase: str,
    secret_key_stdin: bool,
    people: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make accounts in Supabase Auth of the users that FILE tells: CSV with a header, or a JSON list.

    Fields: email, id, name, username, roles, verified, and a bcrypt or argon2 password_hash. Who is there
    already stays as they are, so it can be run again. An address that isn't said to be verified stays
    unconfirmed. Try it with --dry-run first. The key is used for this run and kept nowhere.
    """
    with telling(as_json) as out:
        import asyncio

        from app.cli.given import replaceable
        from app.flows.import_users import people_file
        from app.flows.old_users import read_users

        key = needed_secret_key(from_stdin=secret_key_stdin)
        # Before anybody's account is made: what can't be written is said now.
        people = people and replaceable(people)
        found, left_out = read_users(file.read_bytes())
        with showing_progress(quiet=as_json) as progress:
            done = asyncio.run(_run(supabase, key, found, left_out, dry_run=dry_run, progress=progress))
        if people is not None and not dry_run:
            people.write_text(people_file(done), "utf-8")
        out.tell(done, _told(done))
        if done.refused:
            sys.exit(Exit.REFUSED)


async def _run(
    supabase: str,
    key: str,
    users: Sequence[OldUser],
    left_out: Sequence[LeftOutUser],
    *,
    dry_run: bool,
    progress: Progress,
) -> UsersImported:
    from app.flows.import_users import import_users as run
    from app.settings import Settings
    from app.supabase.accounts import Accounts
    from app.supabase.pool import Pool

    quiet_logs()
    # The publishable key isn't needed: everything here is asked under the secret one.
    pool = Pool(Settings(supabase_url=checked_address(supabase), supabase_publishable_key="unused"))
    try:
        accounts = Accounts(pool.http, pool.url, key)
        return await run(accounts, users, left_out, dry_run=dry_run, progress=progress)
    finally:
        await pool.close()


def _told(done: UsersImported) -> str:
    would = "would be " if done.dry_run else ""
    counts = f"{done.made} accounts {would}made, {done.there} there already, {done.refused} refused"
    lines = [f"{counts}, {len(done.left_out)} lines left out."]
    lines += [_line(each) for each in done.users]
    lines += [f"  line {each.line}: left out, because {each.why}" for each in done.left_out]
    lines += [f"  more than one account has the name {name}: nobody gets it" for name in done.unclear]
    if done.dry_run:
        lines.insert(0, "Nothing was written. This would be:")
    return "\n".join(lines)


def _line(user: ImportedUser) -> str:
    parts = [f"  line {user.line}: {user.email} {user.outcome}"]
    if user.handle:
        parts.append(f"as {user.handle}")
    if user.outcome == "made":
        parts.append("with its password" if user.password else "without a password")
    return "; ".join([" ".join(parts), *user.notes])
