"""API processes that begin where their imports end: those are most of what a start takes, and tests start many.

A server of forks has imported the service, once for all tests of a process. What is the service's own begins in
each fork: its settings are read from an environment, its application is made, and it listens.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

# The service, and what uvicorn and Litestar import by their options when it begins.
_IMPORTED = (
    "app.main",
    "litestar.plugins.attrs",
    "litestar.plugins.pydantic",
    "uvicorn.lifespan.on",
    "uvicorn.main",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
    "uvloop",
)


def start_service(
    listener: socket.socket, *, directory: Path, log: Path, environment: dict[str, str], options: list[str]
) -> ForkServerProcess:
    """Start `uvicorn app.main:create_app` with these options; what it writes on stdout and stderr is the log."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(list(_IMPORTED))
    # As a daemon it is ended with the process of the tests.
    process = forks.Process(target=_serve, args=(listener, directory, log, environment, options), daemon=True)
    process.start()
    return process


def _serve(
    listener: socket.socket, directory: Path, log: Path, environment: dict[str, str], options: list[str]
) -> None:
    gc.freeze()  # what was imported is nobody's garbage
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for standard in (sys.stdout, sys.stderr):
        standard.flush()
        os.dup2(descriptor, standard.fileno())
    os.close(descriptor)
    from uvicorn.main import main  # noqa: PLC0415 - who starts this need not import it

    main(["--factory", "app.main:create_app", "--fd", str(listener.fileno()), *options])
