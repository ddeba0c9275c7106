"""`verso dev` as a process of its own, in a directory of its own, on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

import psutil

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 90
END_SECONDS = 20


def clean_environment(**variables: str) -> dict[str, str]:
    """Ours without what would point the command at another Supabase."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("VERSO_", "SUPABASE_"))}
    return kept | variables


def verso(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env=clean_environment(**variables),
        cwd=cwd or REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Dev:
    """A running `verso dev`."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.exit_status: int | None = None
        self.output = ""
        self._ready = threading.Event()
        self._family: set[psutil.Process] = set()
        # Where somebody works on a project of their own, whose package has the same name as this one.
        elsewhere = data.parent / "elsewhere"
        (elsewhere / "app").mkdir(parents=True, exist_ok=True)
        (elsewhere / "app" / "__init__.py").write_text("raise ImportError('somebody else')\n")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "app.cli",
                "dev",
                "--data",
                str(data),
                *_ports(arguments),
                *arguments,
            ],
            env=clean_environment(),
            cwd=elsewhere,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready.wait(START_SECONDS)
        if "Ready in" not in self.output:
            self.kill()
            raise AssertionError(f"verso dev didn't get ready:\n{self.output}")
        self.note_family()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def values(self) -> dict[str, Any]:
        """dev.json."""
        return dict(json.loads((self.data / "dev.json").read_text()))

    def headers(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.values['people'][role]['access_token']}"}

    def child(self, word: str) -> psutil.Process:
        """The child process with a word in its command line."""
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # one that has ended has no command line
                if any(word in part for part in child.cmdline()):
                    return child
        raise AssertionError(f"there is no {word}")

    def note_family(self) -> set[psutil.Process]:
        """Remember every process that was started, however deep and whoever its parent is by now."""
        self._family |= set(psutil.Process(self.process.pid).children(recursive=True))
        for process in psutil.process_iter(["cmdline"]):
            # PostgreSQL and its watchdog name the data directory, wherever they were adopted.
            if any(str(self.data) in part for part in process.info["cmdline"] or ()):
                self._family.add(process)
        self._family.discard(psutil.Process(os.getpid()))
        return self._family

    def left_over(self) -> list[str]:
        """The command lines of what still runs after END_SECONDS; empty as soon as nothing does."""
        deadline = time.monotonic() + END_SECONDS
        while True:
            alive = [process for process in self._family if _runs(process)]
            if not alive or time.monotonic() > deadline:
                return [_command(process) for process in alive]
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal, wait, and give the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(60)
        self._reader.join(10)
        return status

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if "Ready in" in line:
                self._ready.set()
        self._ready.set()


def _ports(arguments: tuple[str, ...]) -> list[str]:
    """Free ports, unless the test names its own."""
    free = {"--port": "0", "--supabase-port": "0"}
    return [word for name, port in free.items() if name not in arguments for word in (name, port)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())}"
    except psutil.NoSuchProcess:
        return str(process.pid)
