"""Run the embedded Supabase: `python -m app.local --data DIR`. One JSON line on stdout says it's ready."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from app.local.binaries import PostgresError, port_unusable
from app.local.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT, SIGTERM or the end of the lifeline; return the exit status.

    A failure to start is a sentence on stderr and status 1.
    """
    options = _parse(arguments)
    # Until the event loop has its own handlers a signal must unwind too, so that PostgreSQL stops in order.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        with _listen(options.port) as listener:
            postgres = Postgres(options.data, bin_dir=options.bin_dir, port=_choose(options.db_port))
            try:
                postgres.launch()
                # Imported late: PostgreSQL starts while Python loads the servers.
                from app.local.migrate import MigrationError  # noqa: PLC0415 - PostgreSQL starts meanwhile
                from app.local.serving import serve_until_told  # noqa: PLC0415 - PostgreSQL starts meanwhile

                try:
                    serve_until_told(
                        postgres,
                        listener=listener,
                        migrations=options.migrations,
                        lifeline=options.lifeline_fd,
                        file_size_limit=options.file_size_limit,
                        site_url=options.site_url,
                    )
                except MigrationError as error:
                    sys.stderr.write(f"{error}\n")
                    return 1
            finally:
                postgres.stop()
    except PostgresError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(
            f"{options.data} can't be used: {error}. Make room or rights there, or choose another --data.\n"
        )
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m app.local", description="An embedded Supabase on 127.0.0.1."
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="the data directory; made when it isn't there"
    )
    parser.add_argument(
        "--port", type=int, default=54321, help="of the API; 0 takes a free one (default: 54321)"
    )
    parser.add_argument(
        "--db-port", type=int, help="let PostgreSQL listen on this port too, with a password; 0 is free"
    )
    parser.add_argument(
        "--lifeline-fd", type=int, help="stop when this inherited descriptor is closed at its other end"
    )
    parser.add_argument("--bin-dir", type=Path, help="the directory of PostgreSQL's programs")
    parser.add_argument("--migrations", type=Path, help="the directory of migrations to apply")
    parser.add_argument(
        "--file-size-limit",
        type=int,
        default=5 * 1024**3,
        help="the most bytes of one object (default: 5 GiB)",
    )
    parser.add_argument(
        "--site-url",
        help="where sign-ins end unless they say otherwise (default: config.toml's auth.site_url)",
    )
    return parser.parse_args(arguments)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise port_unusable(port, error) from error
    return listener


def _choose(port: int | None) -> int | None:
    """A free port for 0. PostgreSQL binds it later, so another process may take it: rare, and an error."""
    if port != 0:
        return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        chosen: int = probe.getsockname()[1]
        return chosen


if __name__ == "__main__":
    sys.exit(main())
