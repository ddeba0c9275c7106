"""A data directory that is ready, to begin with a copy of it: making one takes longer than most files of tests.

It has the cluster, the bootstrap and, where they are asked for, the migrations, and no keys: each stack makes its own. One is kept for
each state of what it is made from, in the machine's directory for temporary files; the first who needs it makes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[1]
KEPT = 8
_PARTS = ("pg", "storage", "postgres.password")
# Tests end processes, and never the machine: what was written is there without waiting for the disk.
_SETTINGS = "\nfsync = off\n"


def copy_template(
    data: Path, *, migrations: Path | None, bin_dir: Path | None, make: Callable[[Path], None]
) -> None:
    """Fill an empty data directory. `make` makes one from nothing, when there is none of this state yet."""
    home = Path(tempfile.gettempdir()) / f"verso-templates-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    template = home / _state(migrations, bin_dir)
    if not template.is_dir():
        with _locked(home, fcntl.LOCK_EX):
            if not template.is_dir():
                made = _make(home, make)
                with contextlib.suppress(OSError):  # somebody edited a migration meanwhile, and it is there
                    made.rename(home / _state(migrations, bin_dir))
    with _locked(home, fcntl.LOCK_SH):
        data.mkdir(parents=True, exist_ok=True)
        if template.is_dir():
            # `cp` keeps owners, which matter where PostgreSQL runs as somebody else.
            subprocess.run(["cp", "-a", *(template / part for part in _PARTS), data], check=True)
            with (data / "pg" / "postgresql.conf").open("a") as settings:
                settings.write(_SETTINGS)


def _make(home: Path, make: Callable[[Path], None]) -> Path:
    kept = sorted((each for each in home.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime)
    for old in kept[: 1 - KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="verso-template-"))
    try:
        make(fresh)
        made = Path(tempfile.mkdtemp(dir=home, prefix="new-"))
        for part in _PARTS:
            shutil.move(fresh / part, made / part)
        return made
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _state(migrations: Path | None, bin_dir: Path | None) -> str:
    """What a data directory is made from: the SQL, how clusters are made, and whose PostgreSQL."""
    state = hashlib.sha256(str(bin_dir).encode())
    local = REPOSITORY / "app" / "local"
    sources = [*local.glob("*.py"), *(local / "bootstrap").iterdir()]
    sources += [] if migrations is None else migrations.glob("*.sql")
    for path in sorted(sources):
        if path.is_file():
            state.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()[:32]


@contextlib.contextmanager
def _locked(home: Path, how: int) -> Iterator[None]:
    with (home / "lock").open("ab") as lock:
        fcntl.flock(lock, how)
        yield
