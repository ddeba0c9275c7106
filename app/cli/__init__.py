"""The `verso` command.

What lives here: reading the command line (`commands`), and what each command does: `dev` runs everything on
one machine (`dev`, `run`, `children`, `api_process`, `place`, `ports`, `seeding`, `story`, `loopback`,
`handout`), `serve` runs the API against any Supabase (`serving`), `doctor` finds out what is missing
(`doctor/`), `migrate` applies the schema. The client's commands are thin (`working` and its neighbours): what
they do is in `app.client`, how they end and print is in `exits`.

What may not live here: anything that a request needs. The commands start things and talk to them by HTTP,
as a user would. Modules are imported when their command runs: `verso dev` must be ready in a moment, and
its parent process stays small.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line. The entry point of the installed `verso`."""
    from app.cli.commands import verso

    verso(prog_name="verso")
