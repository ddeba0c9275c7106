"""The data directory of `verso dev`: who may use it, where things are in it, and how it is emptied."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARKER = "This directory belongs to `verso dev`; `verso dev --reset` empties it.\n"


class DataDirectoryError(Exception):
    """The directory can't be used; the message says why and what to do."""


class DataDirectory:
    """`.verso` and what is in it. Everything in it is readable by its owner only."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.supabase = self.directory / "supabase"
        self.handout = self.directory / "dev.json"
        self.cache = self.directory / "cache"
        self.repositories = self.directory / "git"

    def log(self, name: str) -> Path:
        """The log of a child process."""
        return self.directory / f"{name}.log"

    def header(self, person: str) -> Path:
        """The file with a person's Authorization header, as `curl -H @file` takes it."""
        return self.directory / f"{person}.header"

    @contextlib.contextmanager
    def owned(self) -> Iterator[bool]:
        """Make the directory and own it; gives whether the last run was killed and may have left children.

        Raises DataDirectoryError when the directory holds other things, or another run owns it.
        """
        marker = self.directory / "README"
        try:
            new = not self.directory.exists() or not any(self.directory.iterdir())
            if not new and not marker.exists():
                raise DataDirectoryError(
                    f"{self.directory} holds other things than `verso dev`'s data. "
                    "Choose another directory with --data."
                )
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if new:
                self.directory.chmod(0o700)
                marker.write_text(MARKER, encoding="utf-8")
                # Tokens and data of a demo are nobody's commit.
                (self.directory / ".gitignore").write_text("*\n", encoding="utf-8")
            lock = os.open(self.directory / "dev.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataDirectoryError(
                f"{self.directory} can't be used: {error.strerror}. Choose another directory with --data."
            ) from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DataDirectoryError(self._in_use(lock)) from None
            killed = bool(os.pread(lock, 32, 0))
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield killed
            os.ftruncate(lock, 0)
        finally:
            os.close(lock)

    def await_supabase_end(self, seconds: float) -> None:
        """Wait until a killed run's Supabase has let go of its data, or for so many seconds."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(FileNotFoundError), (self.supabase / "owner.lock").open("rb") as lock:
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    time.sleep(0.02)
                else:
                    return

    def empty(self) -> None:
        """Remove the data, keeping the directory itself and its lock. Call it while it is owned."""
        for entry in self.directory.iterdir():
            if entry.name in {"dev.lock", "README", ".gitignore"}:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def write(self, path: Path, text: str) -> None:
        """Replace a file in one step, readable by its owner only: a reader sees the old or the new one."""
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with open(fresh, "x", encoding="utf-8", opener=_private) as file:
            file.write(text)
        fresh.replace(path)

    def write_json(self, path: Path, value: Any) -> None:
        """Replace a file by indented JSON."""
        self.write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def _in_use(self, lock: int) -> str:
        owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        return (
            f"`verso dev` runs on {self.directory} already (process {owner}); "
            f"{self.handout} says where it answers. Stop it first, or choose another directory with --data."
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
