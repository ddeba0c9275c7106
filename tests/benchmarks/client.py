"""A working folder against Git's: how long a look takes, and what travels."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from app.client.api import Api
from app.client.folder import open_folder
from app.client.pull import clone, pull
from app.client.push import push
from tests.benchmarks.bench import PROJECT
from tests.benchmarks.cases import Row
from tests.benchmarks.interleaved import interleave

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.bench import Bench

BATCH = 1000
_RACY_SECONDS = 2.5
"""Files that were written so shortly before a look are read again, by Git as by Verso."""


def folder(bench: Bench, directory: Path, *, files: int, rounds: int) -> list[Row]:
    """(k) a look at many files once warm, (l) a push of a thousand, (m) a pull of a little of it."""
    mine, other = directory / "mine", directory / "other"
    with Api(bench.service.url, bench.token) as api:
        place, _ = clone(api, PROJECT, mine)
        place_of_other, _ = clone(api, PROJECT, other)
        _write(mine, files, turn=0)
        with open_folder(place) as opened:
            for start in range(0, files, BATCH):
                push(api, opened, paths=[f"d{start // BATCH}"])
            with open_folder(place_of_other) as pulling:
                pull(api, pulling)
            row = _status(opened.look, mine, rounds=rounds)
            _write(mine, min(files, BATCH), turn=1)
            pushed = push(api, opened)
            (mine / "d0" / "one more.md").write_text("new\n" * 100)
            push(api, opened)
        with open_folder(place_of_other) as pulling:
            pulled = pull(api, pulling)
            contents = sum((other / path).stat().st_size for path in pulled.written)
    return [
        row,
        Row(
            f"requests of a push of {len(pushed.paths):,} edited files",
            f"{pushed.requests}",
            f"{len(pushed.paths):,}: one a file",
            pushed.requests,
            5,
            unit=" requests",
        ),
        Row(
            f"bytes of a pull of {len(pulled.written):,} of {files:,} files",
            f"{pulled.received_bytes:,} bytes, history with its hashes included",
            f"{contents:,} bytes of contents",
            pulled.received_bytes / max(contents, 1),
        ),
    ]


def _status(look: object, root: Path, *, rounds: int) -> Row:
    git = ("git", "-c", "user.name=b", "-c", "user.email=b@example.com")
    for command in (("init", "-q"), ("add", "d*"), ("commit", "-q", "-m", "all")):
        subprocess.run([*git, *command], cwd=root, check=True)
    (root / ".git" / "info" / "exclude").write_text(".verso-work/\n")
    time.sleep(_RACY_SECONDS)

    def ours() -> None:
        assert callable(look)
        look()

    def theirs() -> None:
        subprocess.run(["git", "status", "--short"], cwd=root, check=True, capture_output=True)

    for warm in (ours, theirs, ours, theirs):
        warm()
    pair = interleave(ours, theirs, turns=rounds)
    count = sum(1 for _ in root.glob("d*/*.md"))
    return Row(
        f"status of {count:,} files, warm (without the start of Python)",
        f"{pair.ours * 1000:.1f} ms",
        f"{pair.peer * 1000:.1f} ms: git status",
        pair.ratio,
        2,
    )


def _write(root: Path, files: int, *, turn: int) -> None:
    for number in range(files):
        file = root / f"d{number // BATCH}" / f"{number}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"# File {number}\n\nturn {turn}\n" * 20)
