"""Child processes that never outlive this one.

A child holds the read end of a pipe, its *lifeline*. The operating system closes the write end when this
process ends in whatever way, kill -9 included; the child reads the end of the file and stops by itself.
What the child has to know at its start may be written into the same pipe.

A child says on stdout, in one line of JSON, that it is ready; what it writes on stderr goes to its log.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

STOP_SECONDS = 25.0
LOOK_SECONDS = 0.1
LOG_LINES_TOLD = 12
LONGEST_LOG = 16 * 1024 * 1024


class ChildError(Exception):
    """A child ended instead of getting ready, or took too long; the message ends with what it wrote."""


class Child:
    """One child process, `python -m <module> <arguments> --lifeline-fd N`, with its log file."""

    def __init__(
        self, *, name: str, module: str, arguments: Sequence[str], log: Path, inherited: Sequence[int] = ()
    ) -> None:
        self.name = name
        self.log = log
        self._module = module
        self._arguments = list(arguments)
        self._inherited = tuple(inherited)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id, or None when it isn't running."""
        return None if self._process is None else self._process.pid

    def start(self, on_end: Callable[[Child, int], None]) -> None:
        """Start it; `on_end` is called from a thread with its process id when it has ended, asked or not."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LONGEST_LOG:
                self.log.replace(self.log.with_suffix(".log.old"))
        reader, self._lifeline = os.pipe()
        # -P: a folder `app` where somebody works must not be taken for this one.
        command = [sys.executable, "-P", "-m", self._module, *self._arguments, "--lifeline-fd", str(reader)]
        try:
            with open(self.log, "ab", opener=_private) as log:
                self._log_start = log.tell()
                self._process = subprocess.Popen(  # noqa: S603 - our own module
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    pass_fds=(reader, *self._inherited),
                    # A Ctrl-C in the terminal is for this process, which then stops its children in order.
                    start_new_session=True,
                )
        finally:
            os.close(reader)
        process = self._process

        def wait() -> None:
            process.wait()
            on_end(self, process.pid)

        threading.Thread(target=wait, name=f"wait-{self.name}", daemon=True).start()

    def tell(self, message: Any) -> None:
        """Write a line of JSON into its lifeline."""
        if self._lifeline is not None:
            with contextlib.suppress(BrokenPipeError):  # it ended: its exit is told by on_end
                os.write(self._lifeline, json.dumps(message).encode() + b"\n")

    def wait_until_ready(self, seconds: float, *, unless: Callable[[], bool]) -> Any:
        """The JSON of its ready line; None as soon as `unless` says so.

        Raises ChildError when it ends first or needs longer.
        """
        process = self._process
        if process is None or process.stdout is None:
            raise ChildError(f"{self.name} isn't running.")
        deadline = time.monotonic() + seconds
        received = b""
        while not received.endswith(b"\n"):
            readable, _, _ = select.select([process.stdout], [], [], LOOK_SECONDS)
            if not readable and unless():
                return None
            if not readable and time.monotonic() < deadline:
                continue
            if not readable:
                raise ChildError(
                    f"{self.name} wasn't ready after {seconds:.0f} s.\n{self.last_words()}".strip()
                )
            part = os.read(process.stdout.fileno(), 65536)
            if not part:
                raise ChildError(self.last_words() or f"{self.name} ended without a word; see {self.log}.")
            received += part
        return json.loads(received)

    def last_words(self) -> str:
        """The last lines that it has written since its start."""
        with contextlib.suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(self._log_start)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-LOG_LINES_TOLD:])
        return ""

    def stop(self) -> None:
        """Ask it to stop, wait, and kill it when it doesn't. Does nothing when it isn't running."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
