"""An import from beginning to end.

1  Ask where the import stands, and which commits are there; line up those that are still to come.
2  Where there are some already: learn which documents the paths were.
3  Batch by batch: ask which contents the server lacks, send the commits with those. Each batch names the
   change that it goes on from, so two imports at once, or a batch whose answer was lost, do no harm: the
   server refuses, and the import goes back to 1.
4  Make the tags, read the history back and prove it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.errors import VersoError
from app.model.imports import Batch
from app.progress import Progress, no_progress
from app.sources.git.batches import MOST_COMMITS, Gathered, ReadAhead, check, gather
from app.sources.git.past import read_past
from app.sources.git.proof import Kind, prove
from app.sources.git.report import Report, Tally
from app.sources.git.tags import import_tags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.git.read.history import History, Line, Past
    from app.model.imports import ImportAnswer, ImportState
    from app.sources.git.target import Fetch, Target

_TRIES = 8
"""How often to start over when somebody else imports at the same time."""


class _Astray(Exception):  # noqa: N818 - it says what is the matter
    """The server stands elsewhere, or lacks what was thought to be there: look again, and go on."""


def plan_history(history: History, *, source: str) -> Report:
    """What an import into an empty project would do. Reads the history, sends nothing. Raises VersoError."""
    report = _new_report(history, source=source, project=None, there=0, dry_run=True)
    started = time.monotonic()
    line = history.line()
    tally = Tally(history, report)
    for planned in map(check, history.plans(line)):
        tally.count(planned)
    return _finished(report, tally, line, started)


class GitImport:
    """One history on its way into one project."""

    def __init__(
        self,
        target: Target,
        history: History,
        *,
        source: str,
        progress: Progress = no_progress,
        batch: int = MOST_COMMITS,
        fetch: Fetch | None = None,
    ) -> None:
        """`batch`: how many commits go at once, at most 200. `fetch` is what a `full` proof needs."""
        self._target = target
        self._fetch = fetch
        self._history = history
        self._source = source
        self._progress = progress
        self._most_commits = batch
        self._trusting = True
        """Whether contents that the server says it has need not be sent."""

    def plan(self) -> Report:
        """What an import would do now. Sends nothing. Raises VersoError."""
        _, report, line, past, started = self._begin(dry_run=True)
        tally = Tally(self._history, report)
        coming: set[str] = set()
        for planned in map(check, self._history.plans(line, past)):
            coming.add(tally.count(planned).commit.id)
            self._progress(len(coming), len(line.commits), "commits read")
        found = self._history.repository.tags()
        report.tags = import_tags(self._target, found, imported=coming | line.imported, dry_run=True)
        return _finished(report, tally, line, started)

    def run(self, *, tags: bool = True, proof: Kind = "hashes") -> Report:
        """Import what is new, make the tags, and prove it all. Raises VersoError; what is done stays done."""
        if proof == "full" and self._fetch is None:
            raise ValueError("A full proof fetches contents: say how.")
        for tries_left in reversed(range(_TRIES)):
            try:
                report = self._import()
                break
            except _Astray as astray:
                if not tries_left:
                    raise astray.__cause__ or astray from None
        known = self._target.commits()
        if tags:
            found = self._history.repository.tags()
            report.tags = import_tags(self._target, found, imported=set(known))
        if proof != "none":
            report.proof = prove(
                self._target,
                self._history,
                upto=len(known),
                fetch=self._fetch if proof == "full" else None,
                progress=lambda done, total, _: self._progress(done, total, "commits proven"),
            )
        return report

    def _begin(self, *, dry_run: bool) -> tuple[ImportState, Report, Line, Past | None, float]:
        started = time.monotonic()
        state = self._target.state()
        done = self._target.commits() if state.count else []
        line = self._history.line(done)
        if line.commits and state.diverged:
            raise VersoError(
                "import_diverged",
                "The project was written to after the import, and nothing more can be imported below that. "
                "Write what is new as ordinary changes, or import into another project.",
            )
        past = None
        if done and line.commits:
            needed = {*line.needed.values(), *done[-1:]}
            past = read_past(self._target, upto=len(done), needed=needed)
        project = self._target.project
        report = _new_report(
            self._history, source=self._source, project=project, there=len(done), dry_run=dry_run
        )
        return state, report, line, past, started

    def _import(self) -> Report:
        state, report, line, past, started = self._begin(dry_run=False)
        tally = Tally(self._history, report)
        total = report.there_before + len(line.commits)
        self._progress(report.there_before, total, "commits imported")

        def batches() -> Iterator[Gathered]:
            planned = map(tally.count, self._history.plans(line, past))
            return gather(planned, self._history.contents, most_commits=self._most_commits)

        after = state.after
        sent = 0
        with ReadAhead(batches) as ahead:
            for batch in ahead:
                after = self._send(batch, after, report, is_first=state.count == 0 and self._trusting)
                sent += len(batch.commits)
                self._progress(report.there_before + sent, total, "commits imported")
        return _finished(report, tally, line, started)

    def _send(self, batch: Gathered, after: str | None, report: Report, *, is_first: bool) -> str:
        """Send one batch; the hash of its last change."""
        known = set() if is_first or not self._trusting else self._held(batch)
        contents = {sha256: data for sha256, data in batch.contents.items() if sha256 not in known}
        try:
            answer = self._target.send(Batch(after=after, changes=batch.commits), contents)
        except VersoError as error:
            if error.code == "import_stale":
                raise _Astray from error
            if error.code in {"no_content", "blob_missing"} and self._trusting:
                self._trusting = False
                raise _Astray from error
            raise
        report.contents_sent += len(contents)
        report.bytes_sent += sum(map(len, contents.values()))
        self._compare(batch, answer)
        return answer.changes[-1].hash

    def _held(self, batch: Gathered) -> set[str]:
        return self._target.held(list(batch.contents)) if batch.contents else set()

    def _compare(self, batch: Gathered, answer: ImportAnswer) -> None:
        """See that the server made of each commit what was planned: what follows builds on that."""
        for planned, made in zip(batch.planned, answer.changes, strict=True):
            if (made.origin_id, made.version_count) != (planned.commit.id, len(planned.items)):
                raise VersoError(
                    "import_differs",
                    f"The server made {made.version_count} versions of commit {planned.commit.id}, not the "
                    f"{len(planned.items)} that were planned. Please report this; nothing is lost.",
                    commit=planned.commit.id,
                    change=made.sequence,
                )


def _new_report(history: History, *, source: str, project: str | None, there: int, dry_run: bool) -> Report:
    return Report(
        source=source,
        branch=history.choices.branch,
        tip=history.tip,
        project=project,
        dry_run=dry_run,
        there_before=there,
    )


def _finished(report: Report, tally: Tally, line: Line, started: float) -> Report:
    tally.finish()
    report.skipped_commits = len(line.commits) - report.commits
    report.seconds = round(time.monotonic() - started, 3)
    return report
