"""A bundle checked from its first byte to its last, with no server and no account.

1  The container: every header, every padding, the checksum of the whole.
2  The rows of each part against the manifest, line by line.
3  The history (`history`): every hash computed again. The newest one is what to compare with what one knows.
4  What else there is names only what there is: versions, events, people.
5  Every content of every version is there, once, and hashes to its name; except exactly those whose erasure
   is recorded.
"""

from __future__ import annotations

import hashlib
from typing import IO, TYPE_CHECKING

import msgspec

from app.client.bundle.container import Reader
from app.client.bundle.history import Finding, Findings, HistoryCheck
from app.client.bundle.parts import (
    MANIFEST,
    PARTS,
    content_name,
    malformed,
    read_manifest,
    rows_name,
    rows_of,
)
from app.client.bundle.references import References
from app.errors import VersoError
from app.progress import Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from app.client.bundle.container import Member
    from app.client.bundle.parts import Manifest

LONGEST_MANIFEST = 64 * 1024


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found. `change_hash` certifies the history: compare it with one that you trust."""

    whole: bool
    project: str | None
    slug: str | None
    changes: int
    change_hash: str | None
    versions: int
    documents: int
    contents: int
    content_bytes: int
    erased: int
    """Contents of versions whose bytes are absent, because they were erased, as the record says."""
    events: int
    findings: list[Finding]
    finding_count: int
    """May be more than are listed."""


def verify_bundle(path: Path, *, progress: Progress = no_progress) -> Report:
    """Check a file; what is wrong is in the report. Raises OSError when it can't be read."""
    findings = Findings()
    with path.open("rb") as file:
        return _Check(file, path.stat().st_size, findings, progress).run()


class _Check:
    def __init__(self, file: IO[bytes], size: int, findings: Findings, progress: Progress) -> None:
        self._file = file
        self._size = size
        self._findings = findings
        self._progress = progress
        self._manifest: Manifest | None = None

    def run(self) -> Report:
        try:
            members = Reader(self._file).members()
            self._manifest = _manifest_of(members)
            with HistoryCheck(self._manifest.project.id, self._findings) as history:
                references = References(self._manifest, history, self._findings)
                for part in PARTS:
                    self._part(part, _expect(members, rows_name(part)), references)
                references.finish()
                self._contents(members, history)
                return self._report(history)
        except VersoError as error:
            self._findings.note("the file", error.sentence)
        return self._report(None)

    def _part(self, part: str, member: Member, references: References) -> None:
        assert self._manifest is not None  # noqa: S101 - for the type checker; run() has set it
        facts = self._manifest.parts[part]
        digest, count = hashlib.sha256(), 0
        for line, row in rows_of(member.pieces):
            digest.update(line)
            count += 1
            references.add(part, row)
            if count % 1000 == 0:
                self._progress(self._file.tell(), self._size, "bytes")
        if (count, member.size, digest.hexdigest()) != (facts.rows, facts.bytes, facts.sha256):
            self._findings.note(member.name, "Its rows are not those that the manifest counts.")

    def _contents(self, members: Iterator[Member], history: HistoryCheck) -> None:
        for sha256, size in history.contents():
            member = next(members, None)
            if member is None:
                raise malformed("contents are missing at its end")
            # In order, each once: so one walk finds what is missing and what is too much.
            if member.name != content_name(sha256):
                raise malformed(f"where the content {sha256} belongs, there is {member.name}")
            digest = hashlib.sha256()
            for piece in member.pieces:
                digest.update(piece)
            if member.size != size or digest.hexdigest() != sha256:
                self._findings.note(member.name, "The bytes are not those that the name says.")
            self._progress(self._file.tell(), self._size, "bytes")
        for member in members:
            raise malformed(f"{member.name} belongs to no version")

    def _report(self, history: HistoryCheck | None) -> Report:
        manifest = self._manifest
        contents = history.count("present") if history else (0, 0)
        absent = history.count("absent") if history else (0, 0)
        if (
            manifest
            and history
            and (*contents, *absent)
            != (
                manifest.contents.count,
                manifest.contents.bytes,
                manifest.absent.count,
                manifest.absent.bytes,
            )
        ):
            self._findings.note(MANIFEST, "It counts other contents than there are.")
        return Report(
            whole=not self._findings.count,
            project=manifest.project.id if manifest else None,
            slug=manifest.project.slug if manifest else None,
            changes=history.sequence if history else 0,
            change_hash=history.hash if history else None,
            versions=history.versions if history else 0,
            documents=history.count("heads")[0] if history else 0,
            contents=contents[0],
            content_bytes=contents[1],
            erased=absent[0],
            events=manifest.events if manifest else 0,
            findings=self._findings.first,
            finding_count=self._findings.count,
        )


def _manifest_of(members: Iterator[Member]) -> Manifest:
    member = _expect(members, MANIFEST)
    if member.size > LONGEST_MANIFEST:
        raise malformed("the manifest is too long")
    return read_manifest(b"".join(member.pieces))


def _expect(members: Iterator[Member], name: str) -> Member:
    member = next(members, None)
    if member is None or member.name != name:
        raise malformed(f"where {name} belongs, there is {member.name if member else 'its end'}")
    return member
