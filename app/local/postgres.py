"""The launcher of PostgreSQL: one server per data directory, which never outlives its owner.

Three processes matter. The *owner* (this process) holds `owner.lock` in the data directory and the write end
of a pipe. The *watchdog* is a shell that reads that pipe: when the owner dies, even by kill -9, the read ends
without a line and the shell stops PostgreSQL. *PostgreSQL* itself is the process that started the watchdog,
so there's no moment at which one runs without the other.

PostgreSQL refuses to run as root. For root it runs in a user namespace that shows root as user 1000, which
needs no new account and changes no permissions; where namespaces are switched off it runs as `nobody`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from app.local.binaries import Binaries, PostgresError, find_binaries
from app.local.cluster import SETTINGS, create_cluster
from app.local.ownership import Ownership
from app.local.private import private_dir, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

# sun_path is 108 bytes on Linux, 104 on macOS, and PostgreSQL appends "/.s.PGSQL.5432".
LONGEST_SOCKET_DIR = 85
START_SECONDS = 60.0
STOP_SECONDS = 20.0
LONGEST_LOG = 16 * 1024 * 1024

# Run with the pipe as standard input. The inner subshell is orphaned on purpose: a child of the postmaster
# that it doesn't know would look like a crashed backend to it. A line on the pipe means "stopped in order",
# and nobody is signalled: by then the pid may belong to another process.
WATCHDOG = (
    'exec 3<&0; ( { read -r line || kill -INT $$; } <&3 3<&- >/dev/null 2>&1 & ); exec "$@" 3<&- </dev/null'
)


class Postgres:
    """One PostgreSQL server on `data_dir`/pg, owned by this process.

    `bin_dir` names the PostgreSQL programs to use; without it the wheel's are taken, else a system
    PostgreSQL 15 or newer. With `port` the server also listens on 127.0.0.1, with a password.
    `options` are further `postgresql.conf` settings. Methods block: call them off the event loop.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        bin_dir: Path | None = None,
        port: int | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self._bin_dir = bin_dir
        self._options = dict(options or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: int | None = None
        self._ownership = Ownership(self.data_dir)
        self._binaries: Binaries | None = None

    @property
    def pid(self) -> int:
        """The postmaster's process id. Raises PostgresError when it isn't running."""
        if self._process is None:
            raise PostgresError("PostgreSQL isn't running; call start() first.")
        return self._process.pid

    @property
    def socket_dir(self) -> Path:
        """The 0700 directory of the unix socket: in the data directory, or in /tmp where that can't be.

        A comma in a path would make a list of it, both for PostgreSQL and for its clients.
        """
        inside = self.data_dir / "run"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_DIR and "," not in str(inside):
            return inside
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"verso-{os.getuid()}-{digest}"

    @property
    def password(self) -> str:
        """The password of role postgres, kept in the data directory (0600)."""
        path = self.data_dir / "postgres.password"
        with contextlib.suppress(FileNotFoundError):
            return path.read_text()
        private_dir(self.data_dir)
        write_private(path, secrets.token_urlsafe(24))
        return path.read_text()

    def dsn(self, user: str = "postgres", database: str = "postgres") -> str:
        """A connection string through the unix socket, where the directory's permissions are the password."""
        host = quote(str(self.socket_dir), safe="/")
        return f"postgresql://{user}@/{database}?host={host}&port={self.port or 5432}"

    def url(self, database: str = "postgres") -> str:
        """The connection string to hand out: loopback TCP as postgres when there is a port, else `dsn()`."""
        if self.port is None:
            return self.dsn(database=database)
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Create the cluster when there is none, start the server and wait until it answers.

        Raises DataDirectoryInUse when another process owns the directory, PostgresError when it can't start.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the server without waiting for it, so that the caller can do its imports meanwhile."""
        self._ownership.take()
        try:
            self._binaries = self._binaries or find_binaries(self._bin_dir)
            if not (self.data_dir / "pg" / "PG_VERSION").exists():
                create_cluster(self._binaries, self.data_dir)
            self._binaries.check_cluster(self.data_dir / "pg")
            self._spawn(self._binaries)
        except BaseException:
            self._disown()
            raise

    def wait_until_ready(self) -> None:
        """Wait until the server takes connections, starting it again while a dead one's backends linger.

        After kill -9 of the postmaster its backends need a moment to notice, and until the last of them is
        gone PostgreSQL refuses to start on their shared memory. Raises PostgresError after START_SECONDS.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            process = self._process
            if process is None:
                raise PostgresError("PostgreSQL isn't running; call start() first.")
            if process.poll() is None:
                time.sleep(0.004)
            elif "shared memory block" in (tail := self._log_tail()) and time.monotonic() < deadline:
                time.sleep(0.02)
                self._spawn(self._binaries or find_binaries(self._bin_dir))
            else:
                self._disown()
                raise PostgresError(f"PostgreSQL didn't start. Its log ({self._log_path}) ends with:\n{tail}")
            if time.monotonic() > deadline:
                self.kill()
                raise PostgresError(
                    f"PostgreSQL didn't answer in {START_SECONDS:.0f} s; see {self._log_path}."
                )

    def wait(self) -> int:
        """Block until the server process ends, and return its exit status. Callable from any thread."""
        process = self._process
        return process.wait() if process else 0

    def restart(self) -> None:
        """Start again after the server died, keeping the data directory's ownership."""
        self._spawn(self._binaries or find_binaries(self._bin_dir))
        self.wait_until_ready()

    def stop(self) -> None:
        """Stop in order (checkpoint, clients disconnected) and give the data directory up."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # Immediate shutdown; the next start recovers from the log.
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()
        self._disown()

    def kill(self) -> None:
        """Kill the server as a power cut would, and give the data directory up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._disown()

    @property
    def _log_path(self) -> Path:
        return self.data_dir / "postgres.log"

    def _log_tail(self) -> str:
        return "\n".join(self._log_path.read_text(errors="replace").splitlines()[-8:])

    def _disown(self) -> None:
        self._process = None
        self._release_watchdog()
        self._ownership.give_up()

    def _release_watchdog(self) -> None:
        if self._pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._pipe, b"\n")
            os.close(self._pipe)
            self._pipe = None

    def _spawn(self, binaries: Binaries) -> None:
        self._release_watchdog()
        private_dir(self.socket_dir)
        with contextlib.suppress(FileNotFoundError):
            if self._log_path.stat().st_size > LONGEST_LOG:
                self._log_path.rename(self._log_path.with_suffix(".log.old"))
        cluster = str(self.data_dir / "pg")
        server = [binaries.postgres, "-D", cluster, "-p", str(self.port or 5432), *self._settings()]
        unprivileged = binaries.as_unprivileged(self.data_dir, self.data_dir / "pg", self.socket_dir)
        watched = ["/bin/sh", "-c", WATCHDOG, "watchdog", *unprivileged, *server]
        reader, writer = os.pipe()
        try:
            with self._log_path.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own programs
                    watched,
                    stdin=reader,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the owner, which then stops the server in order
                    env=binaries.environment(),
                    cwd="/",
                )
        except BaseException:
            os.close(writer)
            raise
        finally:
            os.close(reader)
        self._pipe = writer

    def _settings(self) -> list[str]:
        settings = {
            **SETTINGS,
            "unix_socket_directories": '"{}"'.format(str(self.socket_dir).replace('"', '""')),
            "listen_addresses": "" if self.port is None else "127.0.0.1",
            **self._options,
        }
        return [f"-c{name}={value}" for name, value in settings.items()]

    def _is_ready(self) -> bool:
        """Read the status that the postmaster keeps in the eighth line of its pid file, as pg_ctl does."""
        try:
            lines = (self.data_dir / "pg" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"  # noqa: PLR2004
