"""The API as users run it: a process of its own that listens, can be stopped, and can be killed."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 60


class Service:
    """One API process on a free port of the loopback; it ends with the process that made it.

    `environment` is what it is told beside the environment of this process, `prefix` a command to run it
    with, which must become it (exec). The same object can be started
    again after `kill` or `stop`, and then listens at the same address.
    """

    def __init__(self, environment: dict[str, str], *, log: Path, prefix: tuple[str, ...] = ()) -> None:
        self.environment = {"VERSO_LOG_LEVEL": "warning"} | environment
        self.log = log
        self._prefix = prefix
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def start(self) -> Self:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(1024)
        self.port = listener.getsockname()[1]
        reader, self._lifeline = os.pipe()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self._prefix, sys.executable, "-m", "app.cli.api_process"),
                    *("--listen-fd", str(listener.fileno()), "--lifeline-fd", str(reader)),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=(listener.fileno(), reader),
                cwd=REPOSITORY,
            )
        os.close(reader)
        listener.close()  # only the process itself listens: once it is dead, connecting is refused
        os.write(self._lifeline, json.dumps(self.environment).encode() + b"\n")
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        if not readable or b"ready" not in self._process.stdout.readline():
            self.kill()
            raise AssertionError(f"The API didn't start: {self.log.read_text()[-4000:]}")
        return self

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
        self._gone()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
        self._gone()

    def _gone(self) -> None:
        if self._process is not None:
            self._process.wait(30)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
