"""What an import did, or would do: for people, for programs, and for the file that is kept of a cut-over."""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec

from app.git.read.people import Author
from app.model import LeftOut
from app.model.modes import ORDINARY
from app.sources.git.proof import Proof
from app.sources.git.tags import TagsReport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.git.read.history import History, PlannedChange

_MOST_NAMED = 200
"""Of what is only good to know, so many are named."""


class Rename(msgspec.Struct, frozen=True, kw_only=True):
    """A document that another path continues, or a copy."""

    commit: str
    source: str
    target: str


class Report(msgspec.Struct, kw_only=True):
    """What an import did. Counts are of this run; `there_before` says what earlier ones did."""

    source: str
    branch: str | None
    tip: str
    project: str | None
    dry_run: bool
    there_before: int
    """Commits that were imported already."""
    first_at: datetime | None = None
    last_at: datetime | None = None
    """The earliest and the latest date that the authors of this run's commits say."""
    commits: int = 0
    empty_commits: int = 0
    """Of them, those that change nothing of what is taken."""
    skipped_commits: int = 0
    """Empty ones that were left out on request."""
    merges: int = 0
    versions: dict[str, int] = {}
    """By action: add, edit, move, delete, restore."""
    taken: int = 0
    """Versions that only bring back what another branch had: steps of the line, nobody's work."""
    merged: int = 0
    """Versions that take in another branch's."""
    renames: int = 0
    copies: int = 0
    renamed: list[Rename] = []
    copied: list[Rename] = []
    renames_skipped: list[str] = []
    """Commits that change so many paths that only equal contents were taken for renames."""
    modes: dict[str, int] = {}
    """Versions that are executable (100755), symbolic links (120000) or submodules (160000)."""
    contents: int = 0
    """Different contents."""
    content_bytes: int = 0
    binaries: int = 0
    lfs_pointers: int = 0
    """Contents that only point to one that Git LFS keeps elsewhere. They are taken as they are."""
    dates_adjusted: int = 0
    """Commits whose date was before that of a commit ahead of them: the change has that one's."""
    contents_sent: int = 0
    bytes_sent: int = 0
    left_out: list[LeftOut] = []
    rewritten: list[LeftOut] = []
    """Paths that Verso has otherwise than Git."""
    reasons: dict[str, int] = {}
    """How many paths for each reason to leave one out or to rewrite it."""
    authors: list[Author] = []
    shallow: bool = False
    tags: TagsReport | None = None
    proof: Proof | None = None
    seconds: float = 0.0

    @property
    def is_proven(self) -> bool:
        """Whether nothing was found that differs."""
        return self.proof is None or not self.proof.differences


class Tally:
    """Counts planned changes as they pass, in the thread that reads them."""

    def __init__(self, history: History, report: Report) -> None:
        self._history = history
        self._report = report
        self._contents: set[bytes] = set()

    def count(self, planned: PlannedChange) -> PlannedChange:
        """Count one."""
        report, commit = self._report, planned.commit
        report.commits += 1
        report.empty_commits += not planned.items
        report.merges += len(commit.parents) > 1
        at = commit.author.moment
        report.first_at, report.last_at = min(report.first_at or at, at), max(report.last_at or at, at)
        report.dates_adjusted += planned.committed_at != commit.committer.moment
        for item in planned.items:
            report.versions[item.action] = report.versions.get(item.action, 0) + 1
            report.taken += item.take is not None
            report.merged += item.merge is not None
            if item.source is not None and item.take is None:
                report.renames += 1
                _name(report.renamed, [Rename(commit=commit.id, source=item.source, target=item.path)])
            if item.content is not None:
                self._content(item.content.mode, item.content.oid)
        report.copies += len(planned.copies)
        _name(
            report.copied,
            (Rename(commit=commit.id, source=old, target=new) for new, old in planned.copies.items()),
        )
        if planned.renames_skipped:
            report.renames_skipped.append(commit.id)
        return planned

    def finish(self) -> None:
        """Take over what was found on the way."""
        findings = self._history.trees.findings
        self._report.left_out = findings.left_out
        self._report.rewritten = findings.rewritten
        self._report.reasons = findings.counts  # the proof may find more
        authors = self._history.people.authors.values()
        self._report.authors = sorted(authors, key=lambda each: (-each.commits, each.name, each.email))
        self._report.shallow = self._history.repository.is_shallow

    def _content(self, mode: str, oid: bytes) -> None:
        report = self._report
        if mode != ORDINARY:
            report.modes[mode] = report.modes.get(mode, 0) + 1
        known = self._history.contents.look(mode, oid)
        if known.sha256 not in self._contents:
            self._contents.add(known.sha256)
            report.contents += 1
            report.content_bytes += known.size
            report.binaries += known.binary
            report.lfs_pointers += known.lfs_pointer


def _name(named: list[Rename], more: Iterable[Rename]) -> None:
    for each in more:
        if len(named) < _MOST_NAMED:
            named.append(each)
