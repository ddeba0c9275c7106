"""A process that reads a stranger's bundle and imports it for whoever started it.

    python -m app.sources.git.worker MEMORY_BYTES PROCESSOR_SECONDS < orders and answers > questions

Whatever a bundle holds is taken apart here: with a bound to memory and time, without a token, an address or
a secret, and with nobody else's data in the same memory. It can ask for what one import into one project
needs, and nothing else. It ends when its standard input does.
"""

from __future__ import annotations

import errno
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import msgspec
import pygit2

from app.errors import VersoError
from app.git.read.bundle import incomplete, unbundle
from app.git.read.deltas import too_large
from app.git.read.history import Choices, History
from app.git.read.people import People
from app.git.read.repository import Repository
from app.model.imports import Batch, ImportAnswer, ImportState
from app.sources.filters import Filter
from app.sources.git import frames
from app.sources.git.run import GitImport
from app.sources.git.target import ChangesRead

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.sources.git.report import Report
    from app.sources.git.target import TagSent

T = TypeVar("T")
MOST_TOLD = 50
"""So many authors, paths and tags are told one by one."""
_MOST_BRANCHES = 200
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PAUSE = 0.1
_WINDOW = 64 << 20
_MAPPED = 512 << 20


class Asking:
    """A `Target` at the other end of two pipes."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, project: str) -> None:
        self._source = source
        self._sink = sink
        self.project = project

    def state(self) -> ImportState:
        """Where the import stands."""
        return self._ask(frames.AskState(), ImportState)

    def commits(self) -> list[str]:
        """The imported commits in their order."""
        return self._ask(frames.AskCommits(), list[str])

    def history(self, after: int) -> ChangesRead:
        """Some of the changes that follow a change."""
        return self._ask(frames.AskHistory(after), ChangesRead)

    def held(self, contents: Sequence[str]) -> set[str]:
        """Those of the contents that the project has."""
        return set(self._ask(frames.AskHeld(list(contents)), list[str]))

    def send(self, batch: Batch, contents: Mapping[str, bytes]) -> ImportAnswer:
        """Have a batch written."""
        self._ask(frames.Begin(msgspec.Raw(msgspec.msgpack.encode(batch))), type(None))
        for sha256, data in contents.items():
            for at in range(0, len(data) or 1, frames.PIECE):
                last = at + frames.PIECE >= len(data)
                self._say(frames.Piece(sha256, data[at : at + frames.PIECE], last))
        return self._ask(frames.End(), ImportAnswer)

    def tags(self) -> set[str]:
        """The names of the project's tags."""
        return set(self._ask(frames.AskTags(), list[str]))

    def make_tag(self, tag: TagSent) -> None:
        """Make a tag."""
        self._ask(frames.MakeTag(tag), type(None))

    def _say(self, value: object) -> None:
        frames.write_frame(self._sink, value)

    def _ask(self, question: object, kind: type[T]) -> T:
        self._say(question)
        answer = msgspec.msgpack.decode(frames.read_frame(self._source), type=frames.Answer | frames.Refused)
        if isinstance(answer, frames.Refused):
            raise VersoError(answer.code, answer.sentence, **answer.detail)
        return msgspec.msgpack.decode(answer.value, type=kind)


class _Telling:
    """Says how far it is, not more often than somebody can read."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._what = ""
        self._next = 0.0

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if what != self._what or done == total or now >= self._next:
            self._what, self._next = what, now + _PAUSE
            frames.write_frame(self._sink, frames.Progressed(done, total, what))


def work(order: frames.Order, source: BinaryIO, sink: BinaryIO) -> frames.Outcome | frames.Refused:
    """Do what is ordered; what the bundle is to blame for becomes a refusal."""
    try:
        return _work(order, source, sink)
    except VersoError as error:
        if error.code != "git_object_missing":
            return frames.Refused(error.code, error.sentence, error.detail)
        refused = incomplete(
            f"it lacks the commit {error.detail['object'][:12]}, as those of shallow clones do"
        )
    except (MemoryError, RecursionError) as error:
        what = "it needs too much memory" if isinstance(error, MemoryError) else "its folders are too deep"
        refused = too_large(what)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        refused = VersoError("disk_full", "This server's disk is full. Nothing was changed; try again later.")
    except Exception:  # noqa: BLE001 - whatever bytes of a stranger bring about here is what they are refused for
        traceback.print_exc()
        refused = VersoError(
            "bundle_unreadable", "This bundle holds something that can't be read as a history."
        )
    return frames.Refused(refused.code, refused.sentence)


def _work(order: frames.Order, source: BinaryIO, sink: BinaryIO) -> frames.Outcome:
    progress = _Telling(sink)
    opened = unbundle(
        Path(order.bundle),
        Path(order.scratch) / "history.git",
        limits=order.limits,
        watch=lambda done, total: progress(done, total, "objects read"),
    )
    repository = Repository(opened, shown=order.name)
    history = History(
        repository,
        rules=Filter(order.include, order.exclude),
        people=People(),
        choices=Choices(branch=order.branch),
    )
    target = Asking(source, sink, order.project)
    going = GitImport(target, history, source=order.name, progress=progress)
    report = going.plan() if order.act == "look" else going.run()
    return _outcome(report, opened, order.branch)


def _outcome(report: Report, opened: Any, branch: str | None) -> frames.Outcome:
    tags = report.tags
    outcome = frames.Outcome(
        report=report,
        authors=len(report.authors),
        left_out=_counted(report, report.left_out),
        rewritten=_counted(report, report.rewritten),
        tags_made=len(tags.made) if tags else 0,
        tags_left_out=len(tags.left_out) if tags else 0,
        branch=branch or ("" if opened.head_is_detached else str(opened.head.shorthand)),
        branches=sorted(opened.branches.local)[:_MOST_BRANCHES],
    )
    for notes in (report, tags, report.proof):
        for name in msgspec.structs.asdict(notes) if notes else ():
            value = getattr(notes, name)
            if isinstance(value, list):
                del value[MOST_TOLD:]
    report.reasons = {}
    return outcome


def _counted(report: Report, notes: Sequence[Any]) -> int:
    return sum(report.reasons[reason] for reason in {note.reason for note in notes})


def _limit(memory: int, seconds: int) -> None:
    pygit2.settings.mwindow_size = _WINDOW  # libgit2 would map a pack of a gigabyte whole
    pygit2.settings.mwindow_mapped_limit = _MAPPED
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - there is none on Windows

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Take one order, and say what came of it."""
    # Ctrl-C in a terminal reaches the whole group: whoever started this decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(int(sys.argv[1]), int(sys.argv[2]))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    try:
        order = msgspec.msgpack.decode(frames.read_frame(source), type=frames.Order)
        frames.write_frame(sink, work(order, source, sink))
    except (EOFError, BrokenPipeError):
        sys.stderr.close()  # nobody waits for this any more


if __name__ == "__main__":
    main()
