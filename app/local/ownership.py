"""Who owns a data directory: one process at a time, told by a lock that dies with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from pathlib import Path

from app.local.binaries import PostgresError
from app.local.private import private_dir

WAIT_SECONDS = 20.0


class DataDirectoryInUse(PostgresError):  # noqa: N818 - it says what is the matter
    """Another process owns this data directory."""


class Ownership:
    """The right to run PostgreSQL on `data_dir`/pg. The kernel takes the lock back when its holder dies."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock: int | None = None

    def take(self) -> None:
        """Become the owner, waiting for a killed owner's server to finish stopping.

        Raises DataDirectoryInUse when another process is the owner, or this one already is.
        """
        if self._lock is not None:
            raise DataDirectoryInUse(f"This process already runs PostgreSQL on {self._data_dir}.")
        private_dir(self._data_dir)
        lock = os.open(self._data_dir / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise DataDirectoryInUse(
                f"{self._data_dir} is in use by process {owner}. "
                "Stop that process, or choose another data directory."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock
        try:
            self._outlast_previous_server()
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Let another process become the owner."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _outlast_previous_server(self) -> None:
        """Wait for the server of a killed owner; forget a pid file that names an unrelated process.

        After a restart of the machine or container the old number is often somebody else's, and PostgreSQL
        would refuse to start for as long as that process lives.
        """
        cluster = self._data_dir / "pg"
        pid_file = cluster / "postmaster.pid"
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                pid = pid_file.read_text().partition("\n")[0].strip()
            except FileNotFoundError:  # the server takes it away at its end
                return
            if not pid.isdigit() or f"{cluster} " not in command_of(int(pid)):
                pid_file.unlink(missing_ok=True)
            elif time.monotonic() > deadline:
                raise DataDirectoryInUse(
                    f"PostgreSQL still runs on {self._data_dir}. Stop it with: kill -INT {pid}"
                )
            else:
                time.sleep(0.01)


def command_of(pid: int) -> str:
    """Show the command line of a running process, or an empty text when there's none."""
    if Path("/proc/self/cmdline").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return ""
    shown = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603 - our own programs
    return shown.stdout.decode(errors="replace")
