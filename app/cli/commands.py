"""The command line: `verso` and its commands. What they do is imported when they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import rich_click as click

from app.cli.agents import agents
from app.cli.auditing import audit
from app.cli.bundles import verify
from app.cli.completing import completion
from app.cli.erasing import erase, erasures
from app.cli.exits import Group
from app.cli.exporting import exporting
from app.cli.figures import analytics
from app.cli.finding import FINDING
from app.cli.following import events
from app.cli.importing import importing
from app.cli.looking import LOOKING
from app.cli.members import invitations, members
from app.cli.rollups import rollups
from app.cli.signing_in import login, logout, token, whoami
from app.cli.stages import stage
from app.cli.users import users
from app.cli.webhooks import webhooks
from app.cli.working import WORKING

PORT = click.IntRange(0, 65535)
NOT_CONFIGURED = 2


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.command_panel("Who you are", commands=["login", "whoami", "logout", "token"])
@click.command_panel(
    "A working folder",
    commands=["clone", "status", "pull", "push", "mv", "rm", "restore", "resolve", "watch"],
)
@click.command_panel(
    "History",
    commands=["log", "show", "diff", "blame", "when", "bisect", "search", "tag", "events", "open"],
)
@click.command_panel("Pipelines", commands=["stage", "analytics"])
@click.command_panel("In and out", commands=["import", "export", "verify"])
@click.command_panel(
    "A project's people and programs",
    commands=["members", "invitations", "agents", "webhooks", "erase", "erasures"],
)
@click.command_panel(
    "Running it", commands=["dev", "serve", "doctor", "migrate", "users", "audit", "rollups"]
)
@click.version_option(package_name="verso", message="verso %(version)s")
def verso() -> None:
    """Document versioning on Supabase: immutable versions, with history, diffs and restores.

    Begin with `verso login https://your.server` and `verso clone PROJECT`. `verso dev` runs a server on this
    machine, with a demo project to try things on.
    """


@verso.command()
@click.option(
    "--port",
    type=PORT,
    default=8000,
    show_default=True,
    envvar="VERSO_PORT",
    help="Port of the API; 0 takes a free one.",
)
@click.option(
    "--supabase-port",
    type=PORT,
    default=54321,
    show_default=True,
    envvar="VERSO_SUPABASE_PORT",
    help="Port of the embedded Supabase; 0 takes a free one.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".verso"),
    show_default=True,
    help="Where the data is kept.",
)
@click.option("--reset", is_flag=True, help="Throw the data away and start anew.")
@click.option("--no-demo", is_flag=True, help="Load no demo project and no demo people.")
@click.option(
    "--with-parent", is_flag=True, hidden=True, help="Stop when the process that started this one is gone."
)
def dev(  # noqa: PLR0917 - click passes options by name
    port: int, supabase_port: int, data: Path, reset: bool, no_demo: bool, with_parent: bool
) -> None:
    """Run everything on this machine, with a demo project. For laptops and demos.

    Starts an embedded Supabase and the API, both on 127.0.0.1 only, and needs no account, Docker or Node.
    Stop it with Ctrl-C; the data stays for the next time.
    """
    from app.cli.dev import run_dev
    from app.cli.run import DevOptions

    options = DevOptions(
        port=port,
        supabase_port=supabase_port,
        data=data,
        reset=reset,
        demo=not no_demo,
        with_parent=with_parent,
    )
    sys.exit(run_dev(options))


@verso.command()
@click.option("--host", help="Address to bind; unless given, VERSO_HOST or 127.0.0.1.")
@click.option("--port", type=PORT, help="Port to bind; unless given, VERSO_PORT or 8000.")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes to serve with."
)
@click.option(
    "--drain",
    type=click.IntRange(0, 3600),
    default=30,
    show_default=True,
    help="Seconds that requests under way get to finish when told to stop.",
)
def serve(host: str | None, port: int | None, workers: int, drain: int) -> None:
    """Serve the API against the Supabase that the environment names.

    SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY say which; docs/settings.md lists everything that can be set.
    """
    import msgspec

    from app.settings import Settings, SettingsError

    try:
        settings = Settings.from_environment()
        given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
        settings = msgspec.structs.replace(settings, **given).checked()
    except SettingsError as error:
        _fail(str(error), code=NOT_CONFIGURED)
    for directory in (settings.cache_dir, settings.git_dir, settings.spool_dir):
        if directory is not None:
            # One that can't be is said now, in a sentence.
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    from app.cli.ports import PortTakenError
    from app.cli.serving import serve_address

    click.echo(
        f"Verso serves http://{settings.host}:{settings.port} against {settings.supabase_url}. "
        "GET /health/ready says whether all is well, and `verso doctor` what is wrong.",
        err=True,
    )
    try:
        code = serve_address(settings, workers=workers, drain=drain)
    except PortTakenError as error:
        _fail(str(error), code=1)
    sys.exit(code)


@verso.command()
@click.option("--email", help="Sign in as this person, to check what only a signed-in person sees.")
@click.option(
    "--password", envvar="VERSO_DOCTOR_PASSWORD", help="Their password; better: VERSO_DOCTOR_PASSWORD."
)
@click.option(
    "--token", envvar="VERSO_DOCTOR_TOKEN", help="An access token instead; better: VERSO_DOCTOR_TOKEN."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".verso"),
    show_default=True,
    help="Where `verso dev` keeps its data: examined when no SUPABASE_URL is set.",
)
def doctor(email: str | None, password: str | None, token: str | None, as_json: bool, data: Path) -> None:
    """Examine a Supabase: is all there that Verso needs, and does it behave as it must.

    Connects as the service does, and says in plain words what is missing and how to fix it. As a signed-in
    person it also writes a version into a project `verso-doctor` of theirs and reads it back. Exit code 0:
    all is well.
    """
    from app.cli.doctor import Credentials, DoctorError, run_doctor

    try:
        code = run_doctor(
            Credentials(email=email, password=password, token=token), data=data, as_json=as_json
        )
    except DoctorError as error:
        _fail(str(error), code=NOT_CONFIGURED)
    sys.exit(code)


@verso.command()
@click.option(
    "--db-url",
    required=True,
    envvar="VERSO_DB_URL",
    metavar="URL",
    help="postgresql://postgres:…@host:5432/postgres, as the schema's owner; better: VERSO_DB_URL.",
)
def migrate(db_url: str) -> None:
    """Apply Verso's schema to a Supabase database, as `supabase db push` does.

    Both record what they applied in the same place, so either may go on where the other stopped.
    """
    from app.cli.migrating import MigrateError, apply_migrations

    try:
        applied = apply_migrations(db_url)
    except MigrateError as error:
        _fail(str(error), code=1)
    for name in applied:
        click.echo(f"applied {name}")
    click.echo(
        f"{len(applied)} migrations applied."
        if applied
        else "Nothing to do: the database has every migration."
    )


verso.add_command(exporting)
verso.add_command(importing)
verso.add_command(verify)
verso.add_command(agents)
verso.add_command(members)
verso.add_command(invitations)
verso.add_command(stage)
verso.add_command(erase)
verso.add_command(erasures)
verso.add_command(users)
verso.add_command(analytics)
verso.add_command(rollups)
verso.add_command(events)
verso.add_command(audit)
verso.add_command(webhooks)
for signing in (login, logout, whoami, token):
    verso.add_command(signing)
for working in WORKING:
    verso.add_command(working)
for reading in (*LOOKING, *FINDING, completion):
    verso.add_command(reading)


def _fail(sentence: str, *, code: int) -> NoReturn:
    click.echo(f"verso: {sentence}", err=True)
    sys.exit(code)
