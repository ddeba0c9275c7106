"""`verso dev`: one small process that starts the embedded Supabase and the API, and looks after them.

1  own the data directory, take the ports
2  start both children at once; the API loads while PostgreSQL starts
3  give the API its settings as soon as Supabase has said them; wait until /health/ready
4  sign the demo people in; on the first start tell the demo's story through the front door
5  write dev.json, print where everything is, and watch: a child that ends is started again
6  Ctrl-C: stop the API, then Supabase

After a kill -9 of this process the children's lifelines end, and they stop by themselves.
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from app.cli.children import ChildError
from app.cli.data_directory import DataDirectory, DataDirectoryError
from app.cli.loopback import RefusedError
from app.cli.ports import PortTakenError, check_port, take_port
from app.cli.run import Run, StoppedError

if TYPE_CHECKING:
    from app.cli.run import DevOptions

LET_GO_SECONDS = 10.0


def run_dev(options: DevOptions) -> int:
    """Run until told to stop; return the exit status. What goes wrong is told on stderr."""
    data = DataDirectory(options.data)
    try:
        _check_installed()
        with data.owned() as killed:
            if killed:
                data.await_supabase_end(LET_GO_SECONDS)
            return _run_owned(options, data, patience=LET_GO_SECONDS if killed else 0)
    except (DataDirectoryError, PortTakenError, ChildError, RefusedError, OSError) as error:
        sys.stderr.write(f"verso dev: {_advised(str(error), options)}\n")
        return 1


def _run_owned(options: DevOptions, data: DataDirectory, *, patience: float) -> int:
    began = time.monotonic()
    listener = take_port(options.port, option="--port", patience=patience)
    check_port(options.supabase_port, option="--supabase-port", patience=patience)
    data.handout.unlink(missing_ok=True)
    if options.reset:
        data.empty()
    run = Run(options, data, listener)
    try:
        run.start()
        sys.stdout.write(run.told(time.monotonic() - began))
        sys.stdout.flush()
        return run.watch()
    except StoppedError:
        return 0
    finally:
        run.stop()


def _check_installed() -> None:
    # Asked before a child fails on it: its traceback would help nobody.
    if find_spec("asyncpg") is None or find_spec("starlette") is None:
        raise ChildError("The embedded Supabase isn't installed. In a checkout: pip install '.[local]'")


def _advised(problem: str, options: DevOptions) -> str:
    """A problem, and what to do when the data is from another version of Verso."""
    if "new data directory" not in problem:
        return problem
    return (
        f"{problem}\nThe data in {options.data} was made by another version of Verso. "
        "`verso dev --reset` throws it away and starts anew; `verso dev --data OTHER` leaves it alone."
    )
