"""The API as a child of `verso dev`: `python -m app.cli.api_process --listen-fd N --lifeline-fd N`.

It is started at the same moment as the embedded Supabase, loads the service, and then waits for one line on
its lifeline: the settings as an object of environment variables, which exist only once Supabase answers.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import socket
import sys

DRAIN_SECONDS = 3


def main() -> int:
    """Serve until told or until the parent is gone; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.cli.api_process")
    parser.add_argument("--listen-fd", type=int, required=True, help="an inherited socket that listens")
    parser.add_argument("--lifeline-fd", type=int, required=True, help="an inherited pipe of settings")
    options = parser.parse_args()
    # stdout carries one line, to the parent; whatever else is printed belongs into the log.
    parent = os.dup(1)
    os.dup2(2, 1)

    # What is loaded stays: looking for garbage in it, now and later, costs a tenth of the loading.
    gc.disable()
    # httpx and structlog load rich, click and pygments for terminals wherever they find them; here there is
    # none, and that was a tenth of the loading, too.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # None is how the import system says: not here
    from app.cli.serving import serve_socket
    from app.settings import Settings, SettingsError

    gc.freeze()
    gc.enable()
    line = read_line(options.lifeline_fd)
    if not line:
        return 0
    try:
        settings = Settings.from_environment({**os.environ, **json.loads(line)})
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2

    def say_ready() -> None:
        os.write(parent, b'{"ready":true}\n')
        os.close(parent)

    listener = socket.socket(fileno=options.listen_fd)
    return serve_socket(
        settings, listener=listener, lifeline=options.lifeline_fd, on_ready=say_ready, drain=DRAIN_SECONDS
    )


def read_line(descriptor: int) -> bytes:
    """The first line, or nothing when the parent is gone; what follows it is the watcher's to read."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(descriptor, 4096)
        if not part:
            return b""
        line += part
    return line


if __name__ == "__main__":
    sys.exit(main())
