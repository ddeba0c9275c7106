"""A working folder against Git's: how long a look takes, and what travels.

`verso status` and `git status` are measured as people run them, each a process from its start to its end. The
look alone, in a process that runs already, is what `watch` and the first `status` after an edit have to do.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.client.api import Api
from app.client.folder import open_folder
from app.client.pull import clone, pull
from app.client.push import push
from tests.benchmarks.bench import PROJECT
from tests.benchmarks.cases import Row
from tests.benchmarks.interleaved import Pair, interleave

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.bench import Bench

EDITED = 1000
IN_A_FOLDER = 100
_RACY_SECONDS = 2.5
"""Files that were written so shortly before a look are read again, by Git as by Verso."""


def folder(bench: Bench, directory: Path, *, files: int, rounds: int) -> list[Row]:
    """(k) looks at many files once warm, (l) a push of a thousand, (m) a pull of a little of it."""
    mine, other = directory / "mine", directory / "other"
    with Api(bench.service.url, bench.token) as api:
        place, _ = clone(api, PROJECT, mine)
        place_of_other, _ = clone(api, PROJECT, other)
        _write(mine, files, turn=0)
        with open_folder(place) as opened:
            push(api, opened)
            with open_folder(place_of_other) as pulling:
                pull(api, pulling)
            rows = _status(opened.look, mine, rounds=rounds)
            _write(mine, min(files, EDITED), turn=1)
            pushed = push(api, opened)
            (mine / "d0" / "one more.md").write_text("new\n" * 100)
            push(api, opened)
        with open_folder(place_of_other) as pulling:
            pulled = pull(api, pulling)
            contents = sum((other / path).stat().st_size for path in pulled.written)
    return [
        *rows,
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


def _status(look: Callable[[], object], root: Path, *, rounds: int) -> list[Row]:
    git = ("git", "-c", "user.name=b", "-c", "user.email=b@example.com")
    for command in (("init", "-q"), ("add", "d*"), ("commit", "-q", "-m", "all")):
        subprocess.run([*git, *command], cwd=root, check=True)
    (root / ".git" / "info" / "exclude").write_text(".verso-work/\n")
    time.sleep(_RACY_SECONDS)
    theirs = partial(_run, root, "git", "status", "--short")
    ours = partial(_run, root, str(Path(sys.executable).with_name("verso")), "status")
    for warm in (ours, theirs, ours, theirs):
        warm()
    whole, computed = _processes(ours, theirs, turns=rounds)
    alone = interleave(look, theirs, turns=rounds)
    count = sum(1 for _ in root.glob("d*/*.md"))
    return [
        Row(
            f"status of {count:,} files, warm, process against process: CPU",
            f"{computed.ours * 1000:.1f} ms",
            f"{computed.peer * 1000:.1f} ms: git status",
            computed.ratio,
            2,
        ),
        Row(
            "the same by the clock, which other processes of the machine lengthen",
            f"{whole.ours * 1000:.1f} ms",
            f"{whole.peer * 1000:.1f} ms: git status",
            whole.ratio,
        ),
        Row(
            f"a whole look at {count:,} files (the first after an edit), without the start of Python",
            f"{alone.ours * 1000:.1f} ms",
            f"{alone.peer * 1000:.1f} ms: git status",
            alone.ratio,
            4,
        ),
    ]


def _processes(ours: Callable[[], None], theirs: Callable[[], None], *, turns: int) -> tuple[Pair, Pair]:
    """The clock's and the CPU's time of both, turn by turn."""
    taken: dict[Callable[[], None], list[float]] = {ours: [], theirs: []}

    def noting(way: Callable[[], None]) -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        way()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken[way].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    clock = interleave(partial(noting, ours), partial(noting, theirs), turns=turns)
    return clock, Pair(statistics.median(taken[ours]), statistics.median(taken[theirs]))


def _run(root: Path, *command: str) -> None:
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def _write(root: Path, files: int, *, turn: int) -> None:
    for number in range(files):
        file = root / f"d{number // IN_A_FOLDER}" / f"{number}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"# File {number}\n\nturn {turn}\n" * 20)
