"""The `verso` command.

What lives here: reading the command line (`commands`), and what each command does: `dev` runs everything on
one machine (`dev`, `run`, `children`, `api_process`, `data_directory`, `ports`, `seeding`, `story`,
`loopback`, `handout`), `serve` runs the API against any Supabase (`serving`), `doctor` finds out what is
missing (`doctor/`), `migrate` applies the schema. The client's commands are thin (`working` and its
neighbours): what they do is in `app.client`, how they end and print is in `exits`.

What may not live here: anything that a request needs. The commands start things and talk to them by HTTP,
as a user would. Modules are imported when their command runs: `verso dev` must be ready in a moment, and
its parent process stays small.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line. The entry point of the installed `verso`."""
    # Before click and all that it needs are loaded, which takes longer than the whole of `git status`.
    if sys.argv[1:] in (["status"], ["status", "--json"]) and sys.stdout and _told_again():
        # All is written; taking ten thousand stats apart again would take 3 ms of 50.
        os._exit(0)
    try:
        _run()
    except KeyboardInterrupt:
        # While modules were loaded: nothing was begun.
        sys.exit(130)


def _run() -> None:
    from app.cli.system import drop_output, prepare_streams

    prepare_streams()
    from app.cli.commands import verso

    try:
        verso(prog_name="verso")
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            # What Python would write as it ends, with a trace.
            drop_output()
            if not isinstance(error, BrokenPipeError):
                sys.stderr.write(f"verso: The output can't be written ({error.strerror}).\n")
                sys.exit(1)


def _told_again() -> bool:
    """Say what the last `status` said, if nothing has changed since; whether that was so."""
    from app.client.glance import recall

    try:
        said = recall(os.getcwd(), as_json=len(sys.argv) > 2)  # noqa: PTH109, PLR2004 - pathlib takes time
        if said is None:
            return False
        sys.stdout.buffer.write(said)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has enough. Python would say so again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError:
        return False  # the folder that we are in was deleted: the command says so
    return True
