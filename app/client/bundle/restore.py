"""A bundle put back into a Supabase, by its operator.

1  The whole file is verified first: what isn't whole never gets to the server.
2  Every content that is needed is stored and read back; contents that nothing names do no harm.
3  The rows are staged, then written in one transaction, in which the database computes every hash itself
   and compares it with the bundle's. Anything else than the same history is refused as a whole.

A project that is there already goes on, when what is there is the beginning of what the bundle has.
"""

from __future__ import annotations

import io
import tempfile
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import IO, TYPE_CHECKING, Any

import msgspec

from app.client.bundle.container import Reader
from app.client.bundle.parts import PARTS, line_of, read_manifest, rows_name, rows_of
from app.client.bundle.verify import verify_bundle
from app.errors import VersoError
from app.progress import Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from app.client.bundle.container import Member
    from app.client.bundle.operator import Operator
    from app.client.bundle.parts import Manifest, Row

STAGED_ROWS = 500
STAGED_BYTES = 2 * 1024 * 1024
SIDE_BY_SIDE = 8
_IN_MEMORY = 1024 * 1024
_CONTENTS = "contents/"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was put back."""

    project: str
    slug: str
    changes: int
    """Changes that were written now; 0 when all were there."""
    change_sequence: int
    change_hash: str | None
    events: int
    contents: int
    """Contents that were stored, or found there and proven."""
    owners: list[str]
    """Owners with a living account there. When there is none, nobody can open it: name one."""
    dry_run: bool = False


def restore_bundle(
    operator: Operator,
    path: Path,
    *,
    owner: str | None = None,
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> Restored:
    """Put a bundle back. `owner` names an account there that becomes an owner besides the bundle's.

    Raises VersoError: `bundle_refused` when the file doesn't verify (its detail has what is wrong),
    `restore_diverged`, `bundle_mismatch`, `slug_taken`, `person_not_found`, and Operator's own.
    """
    report = verify_bundle(path, progress=progress)
    if not report.whole:
        first = report.findings[0]
        raise VersoError(
            "bundle_refused",
            f"The bundle doesn't verify ({report.finding_count} faults; {first.where}: {first.what}). "
            "Nothing was written. `verso verify` names them all.",
            findings=msgspec.to_builtins(report.findings),
        )
    with path.open("rb") as file:
        members = Reader(file).members()
        manifest = read_manifest(b"".join(next(members).pieces))
        if dry_run:
            here = operator.project(manifest.project.id)
            return _told(
                manifest, {"changes": _missing(manifest, here), "events": manifest.events, "owners": []}
            )
        begun = operator.call("begin_restore", project=manifest.project.id)
        here = begun["project"] or {"change_sequence": 0}
        known = int(here["change_sequence"])
        wanted: set[bytes] = set()
        stage = _Stage(operator, begun["restore"])
        for part in PARTS:
            member = next(members)
            stage.part(part, _needed(part, member, known, wanted))
        stored = _store_all(
            operator, manifest, members=members, wanted=wanted, stage=stage, progress=progress
        )
        answer = operator.call("restore_bundle", once=True, restore=begun["restore"], owner=owner)
    return _told(manifest, answer, contents=stored)


class _Stage:
    """Rows on their way, some hundred at once."""

    def __init__(self, operator: Operator, attempt: str) -> None:
        self._operator = operator
        self._attempt = attempt

    def part(self, part: str, rows: Iterator[Row]) -> None:
        batch: list[Row] = []
        weight, first = 0, 1
        for row in rows:
            batch.append(row)
            weight += len(line_of(row))
            if len(batch) == STAGED_ROWS or weight >= STAGED_BYTES:
                self._send(part, first, batch)
                first += len(batch)
                batch, weight = [], 0
        if batch:
            self._send(part, first, batch)

    def _send(self, part: str, first: int, rows: list[Row]) -> None:
        self._operator.call("stage_restore", restore=self._attempt, part=part, first=first, rows=rows)


def _needed(part: str, member: Member, known: int, wanted: set[bytes]) -> Iterator[Row]:
    """The rows that the database must see: of changes the newest one that it has, and those after it."""
    if member.name != rows_name(part):
        raise AssertionError(member.name)
    for _, row in rows_of(member.pieces):
        if part == "changes":
            if row["sequence"] < known:
                continue
            if row["sequence"] > known:
                wanted.update(bytes.fromhex(v["sha256"]) for v in row["versions"] if v["sha256"] is not None)
        yield row


def _store_all(
    operator: Operator,
    manifest: Manifest,
    *,
    members: Iterator[Member],
    wanted: set[bytes],
    stage: _Stage,
    progress: Progress,
) -> int:
    """Store the contents side by side, a bounded number at once."""
    objects: list[Row] = []
    under_way: set[Future[Row]] = set()
    passed = 0

    def finish(some: set[Future[Row]]) -> None:
        for future in some:
            under_way.discard(future)
            objects.append(future.result())

    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        for member in members:
            sha256 = member.name.removeprefix(_CONTENTS)
            passed += member.size
            progress(passed, manifest.contents.bytes, "bytes stored")
            if bytes.fromhex(sha256) not in wanted:
                continue
            content = _taken(member)
            under_way.add(
                threads.submit(_store, operator, manifest.project.id, (sha256, member.size), content)
            )
            if len(under_way) >= 2 * SIDE_BY_SIDE:
                finish(wait(under_way, return_when=FIRST_COMPLETED).done)
        finish(wait(under_way).done)
    stage.part("objects", iter(objects))
    return len(objects)


def _store(operator: Operator, project: str, content: tuple[str, int], file: IO[bytes]) -> Row:
    sha256, size = content
    with file:
        return {"sha256": sha256, "size": size, "name": operator.store(project, sha256, size, file)}


def _taken(member: Member) -> IO[bytes]:
    """A content out of the stream: small ones in memory, large ones in a file."""
    if member.size <= _IN_MEMORY:
        return io.BytesIO(b"".join(member.pieces))
    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever stores it closes it
    for piece in member.pieces:
        file.write(piece)
    return file


def _missing(manifest: Manifest, here: dict[str, Any] | None) -> int:
    known = int(here["change_sequence"]) if here else 0
    if known > manifest.change.sequence:
        raise VersoError(
            "restore_diverged", "The project there is newer than the bundle. Nothing would be written."
        )
    return manifest.change.sequence - known


def _told(manifest: Manifest, answer: dict[str, Any], *, contents: int | None = None) -> Restored:
    return Restored(
        project=manifest.project.id,
        slug=manifest.project.slug,
        changes=answer["changes"],
        change_sequence=manifest.change.sequence,
        change_hash=manifest.change.hash,
        events=answer["events"],
        contents=manifest.contents.count if contents is None else contents,
        owners=answer["owners"],
        dry_run=contents is None,
    )
