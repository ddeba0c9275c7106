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
import fcntl
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

if TYPE_CHECKING:
    from collections.abc import Mapping

# sun_path is 108 bytes on Linux, 104 on macOS, and PostgreSQL appends "/.s.PGSQL.5432".
LONGEST_SOCKET_DIR = 85
START_SECONDS = 60.0
STOP_SECONDS = 20.0
LONGEST_LOG = 16 * 1024 * 1024

# The inner subshell is orphaned on purpose: a child of the postmaster that it doesn't know would look like a
# crashed backend to it. A line on the pipe means "stopped in order", and nobody is signalled: by then the pid
# may belong to another process.
WATCHDOG = '( { read -r line || kill -INT $$; } <&"$0" >/dev/null 2>&1 & ); exec "$@"'

SETTINGS = {
    "cluster_name": "supabase",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u ",
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0700",
}


class DataDirectoryInUse(PostgresError):
    """Another process owns this data directory."""


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
        self._lock: int | None = None
        self._pipe: int | None = None
        self._binaries: Binaries | None = None

    @property
    def pid(self) -> int:
        """The postmaster's process id. Raises PostgresError when it isn't running."""
        if self._process is None:
            raise PostgresError("PostgreSQL isn't running; call start() first.")
        return self._process.pid

    @property
    def socket_dir(self) -> Path:
        """The 0700 directory of the unix socket: in the data directory, or in /tmp where that is too long."""
        inside = self.data_dir / "run"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_DIR:
            return inside
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"verso-{os.getuid()}-{digest}"

    @property
    def password(self) -> str:
        """The password of role postgres, kept in the data directory (0600)."""
        path = self.data_dir / "postgres.password"
        with contextlib.suppress(FileNotFoundError):
            return path.read_text()
        self._private_dir(self.data_dir)
        with open(path, "x", opener=_private) as file:  # noqa: PTH123 - Path.open has no opener
            file.write(secrets.token_urlsafe(24))
        return path.read_text()

    def dsn(self, user: str = "postgres", database: str = "postgres") -> str:
        """A connection string through the unix socket, where the directory's permissions are the password."""
        return f"postgresql://{user}@/{database}?host={quote(str(self.socket_dir), safe='/')}&port={self.port or 5432}"

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
        self._private_dir(self.data_dir)
        self._own()
        try:
            self._binaries = self._binaries or find_binaries(self._bin_dir)
            if not (self.data_dir / "pg" / "PG_VERSION").exists():
                self._create_cluster(self._binaries)
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

    @staticmethod
    def _private_dir(path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.getuid() not in (0, path.lstat().st_uid):
            raise PostgresError(f"{path} belongs to somebody else; choose another data directory.")
        path.chmod(0o700)

    def _own(self) -> None:
        if self._lock is not None:
            raise DataDirectoryInUse(f"This process already runs PostgreSQL on {self.data_dir}.")
        lock = os.open(self.data_dir / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise DataDirectoryInUse(
                f"{self.data_dir} is in use by process {owner}. Stop that process, or choose another data directory."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock
        self._await_previous()

    def _await_previous(self) -> None:
        """Let a killed owner's server finish stopping; forget a pid file that names an unrelated process.

        After a machine or container restart the old pid is often somebody else's, and PostgreSQL would refuse
        to start for as long as that process lives.
        """
        pid_file = self.data_dir / "pg" / "postmaster.pid"
        deadline = time.monotonic() + STOP_SECONDS
        while pid_file.exists():
            words = pid_file.read_text().split()
            if not words or str(self.data_dir / "pg") not in _command_of(int(words[0])):
                pid_file.unlink(missing_ok=True)
            elif time.monotonic() > deadline:
                self._disown()
                raise DataDirectoryInUse(
                    f"PostgreSQL (process {words[0]}) still runs on {self.data_dir}. Stop it: kill -INT {words[0]}"
                )
            else:
                time.sleep(0.01)

    def _disown(self) -> None:
        self._process = None
        self._release_watchdog()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _release_watchdog(self) -> None:
        if self._pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._pipe, b"\n")
            os.close(self._pipe)
            self._pipe = None

    def _create_cluster(self, binaries: Binaries) -> None:
        """Run initdb beside the final place and move it there, so that a crash leaves no half cluster."""
        fresh = self.data_dir / f"pg.{secrets.token_hex(4)}"
        command = [*binaries.as_unprivileged(self.data_dir), binaries.initdb, f"--pgdata={fresh}"]
        command += ["--username=supabase_admin", "--auth=trust", "--encoding=UTF8", "--data-checksums"]
        command += binaries.locale_options()
        done = subprocess.run(command, capture_output=True, check=False, env=binaries.environment(), cwd="/")  # noqa: S603 - our own programs
        if done.returncode != 0:
            raise PostgresError(f"initdb failed:\n{done.stderr.decode(errors='replace').strip()}")
        (fresh / "pg_hba.conf").write_text(
            "# The socket's directory is readable by its owner alone; over TCP a password is needed.\n"
            "local all all trust\n"
            "host all all 127.0.0.1/32 scram-sha-256\n"
        )
        fresh.rename(self.data_dir / "pg")

    def _spawn(self, binaries: Binaries) -> None:
        self._release_watchdog()
        self._private_dir(self.socket_dir)
        with contextlib.suppress(FileNotFoundError):
            if self._log_path.stat().st_size > LONGEST_LOG:
                self._log_path.rename(self._log_path.with_suffix(".log.old"))
        settings = SETTINGS | {"unix_socket_directories": str(self.socket_dir), "listen_addresses": ""}
        if self.port is not None:
            settings |= {"listen_addresses": "127.0.0.1"}
        arguments = [f"-c{name}={value}" for name, value in (settings | self._options).items()]
        server = [
            binaries.postgres,
            "-D",
            str(self.data_dir / "pg"),
            "-p",
            str(self.port or 5432),
            *arguments,
        ]
        reader, writer = os.pipe()
        try:
            with self._log_path.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own programs
                    [
                        "/bin/sh",
                        "-c",
                        WATCHDOG,
                        str(reader),
                        *binaries.as_unprivileged(self.data_dir),
                        *server,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(reader,),
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

    def _is_ready(self) -> bool:
        """Read the status that the postmaster keeps in the eighth line of its pid file, as pg_ctl does."""
        try:
            lines = (self.data_dir / "pg" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"  # noqa: PLR2004


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _command_of(pid: int) -> str:
    """The command line of a running process, or an empty text when there's none."""
    if Path("/proc/self/cmdline").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return ""
    shown = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603
    return shown.stdout.decode(errors="replace")
