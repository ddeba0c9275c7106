"""A project out of its API into a file.

1  Rows are read part by part into files beside the target. When anything happened in the project meanwhile,
   what grew is read on and what may change is read again, until the rows are those of one moment.
2  The history is checked on the way: a bundle is never made of rows that don't verify.
3  The manifest, the rows, then every content as it streams in, hashed before it is written.
4  The file gets its name when it is whole.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from app.client.bulk import TRIES, asked_contents, batches
from app.client.bundle.container import PIECE, Writer
from app.client.bundle.history import Findings, HistoryCheck
from app.client.bundle.parts import (
    FORM,
    FORMAT,
    GROWING,
    MANIFEST,
    PARTS,
    ContentFacts,
    Manifest,
    NewestChange,
    PartFacts,
    ProjectFacts,
    content_name,
    line_of,
    rows_name,
)
from app.client.history import home_of
from app.errors import VersoError
from app.progress import Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from app.client.api import Api
    from app.client.bundle.parts import Row

ROUNDS = 20
"""How often rows are read on when the project is written to meanwhile."""
_IN_MEMORY = 1024 * 1024


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    file: str
    bytes: int
    checksum: str
    """SHA-256 of all bytes before the last member, which holds it."""
    project: str
    slug: str
    changes: int
    change_hash: str | None
    contents: int
    content_bytes: int
    events: int


def export_bundle(api: Api, project: str, path: Path, *, progress: Progress = no_progress) -> Exported:
    """Write everything of a project into a file, for whoever is its member.

    Raises VersoError: the server's refusals, `history_altered` when its rows don't verify, `content_erased`,
    `project_busy` when it is written to without a pause. A file that is there already is replaced at the end.
    """
    with tempfile.TemporaryDirectory(prefix=".verso-bundle-", dir=path.parent) as name:
        spool = Path(name)
        rows = _Rows(api, project, spool)
        with HistoryCheck(rows.head["id"], Findings(), directory=spool) as history:
            manifest = rows.read(history, progress)
            part = spool / "bundle"
            with part.open("wb") as file:
                writer = Writer(file)
                line = line_of(manifest)
                writer.add(MANIFEST, len(line), [line])
                for each in PARTS:
                    with (spool / each).open("rb") as kept:
                        size = manifest.parts[each].bytes
                        writer.add(rows_name(each), size, iter(lambda: kept.read(PIECE), b""))
                _write_contents(api, manifest, history, writer, progress)
                checksum = writer.close()
            part.replace(path)
    return Exported(
        file=str(path),
        bytes=path.stat().st_size,
        checksum=checksum,
        project=manifest.project.id,
        slug=manifest.project.slug,
        changes=manifest.change.sequence,
        change_hash=manifest.change.hash,
        contents=manifest.contents.count,
        content_bytes=manifest.contents.bytes,
        events=manifest.events,
    )


class _Part:
    """The rows of a part in a file, with what the manifest says of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cursor: str | None = None
        self.clear()

    def clear(self) -> None:
        self.path.write_bytes(b"")
        self.rows, self.bytes, self._digest = 0, 0, hashlib.sha256()
        self.cursor = None

    def add(self, rows: list[Row]) -> None:
        data = b"".join(line_of(row) for row in rows)
        with self.path.open("ab") as file:
            file.write(data)
        self._digest.update(data)
        self.rows += len(rows)
        self.bytes += len(data)

    def facts(self) -> PartFacts:
        return PartFacts(self.rows, self.bytes, self._digest.hexdigest())


class _Rows:
    """All rows of a project as they were at one moment."""

    def __init__(self, api: Api, project: str, spool: Path) -> None:
        self._api = api
        self._home = f"{home_of(project)}/rows"
        self._parts = {part: _Part(spool / part) for part in PARTS}
        self.head = self._project()

    def read(self, history: HistoryCheck, progress: Progress) -> Manifest:
        for _ in range(ROUNDS):
            before = self.head["event_sequence"]
            for part in PARTS:
                self._fetch(part, history, progress)
            self.head = self._project()
            # Every write has an event, under the project's lock: no new event, nothing happened.
            if self.head["event_sequence"] == before:
                return self._manifest(history)
        raise VersoError(
            "project_busy",
            "The project is being written to without a pause, so there is no moment to bundle. Try again "
            "later, or archive it meanwhile.",
        )

    def _project(self) -> Row:
        rows: list[Row] = self._api.get(f"{self._home}/project")["items"]
        return rows[0]

    def _fetch(self, part: str, history: HistoryCheck, progress: Progress) -> None:
        kept = self._parts[part]
        if part not in GROWING:
            kept.clear()
        while True:
            page: dict[str, Any] = self._api.get(f"{self._home}/{part}", cursor=kept.cursor)
            if part == "erasures":
                for row in page["items"]:
                    history.erase(row["sha256"], row["size"])
            if part == "changes":
                for row in page["items"]:
                    history.add(row)
                progress(history.sequence, max(history.sequence, self.head["change_sequence"]), "changes")
            kept.add(page["items"])
            if page["next"] is None:
                return
            kept.cursor = page["next"]

    def _manifest(self, history: HistoryCheck) -> Manifest:
        newest = NewestChange(self.head["change_sequence"], self.head["change_hash"])
        if history.findings.count or (history.sequence, history.hash) != (newest.sequence, newest.hash):
            first = next(iter(history.findings.first), None)
            raise VersoError(
                "history_altered",
                "The server's history doesn't verify, so no bundle is made of it. Tell the operator; "
                "`verso verify --project` names everything that is wrong.",
                finding=None if first is None else f"{first.where}: {first.what}",
            )
        return Manifest(
            format=FORMAT,
            form=FORM,
            project=ProjectFacts(self.head["id"], self.head["slug"], self.head["name"]),
            change=newest,
            events=self.head["event_sequence"],
            parts={name: part.facts() for name, part in self._parts.items()},
            contents=ContentFacts(*history.count("present")),
            absent=ContentFacts(*history.count("absent")),
        )


def _write_contents(
    api: Api, manifest: Manifest, history: HistoryCheck, writer: Writer, progress: Progress
) -> None:
    written = 0
    for sha256, size, file in stream_contents(api, manifest.project.id, history.contents()):
        writer.add(content_name(sha256), size, iter(lambda: file.read(PIECE), b""))  # noqa: B023
        written += size
        progress(written, manifest.contents.bytes, "bytes")


def stream_contents(
    api: Api, project: str, wanted: Iterable[tuple[str, int]]
) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Contents of a project in the order asked for, each proven by its hash; small ones in memory.

    What breaks off goes on where it was. Raises VersoError `content_altered`, `content_erased`.
    """
    for asked in batches(wanted):
        for tries_left in reversed(range(TRIES)):
            try:
                for sha256, size, file in _ask(api, project, asked):
                    # First: whoever gets it may take its time, and must not be given it again.
                    del asked[sha256]
                    with file:
                        yield sha256, size, file
            except VersoError as error:
                if error.code != "unreachable" or not tries_left:
                    raise
            else:
                break


def _ask(api: Api, project: str, asked: dict[str, int]) -> Iterator[tuple[str, int, IO[bytes]]]:
    order = list(asked)
    with asked_contents(api, home_of(project), order) as members:
        for sha256, size, pieces in members:
            if not order or sha256 != order.pop(0):
                break
            yield sha256, size, _proven(sha256, asked[sha256], pieces)
        else:
            if not order:
                return
    raise VersoError(
        "content_erased",
        "The server has the bytes of a version no more: they were erased in this moment. Run it again.",
        sha256=next(iter(asked)),
    )


def _proven(sha256: str, size: int, pieces: Iterator[bytes]) -> IO[bytes]:
    digest = hashlib.sha256()
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - whoever gets it closes it
    for piece in pieces:
        digest.update(piece)
        file.write(piece)
    if digest.hexdigest() != sha256 or file.tell() != size:
        file.close()
        raise VersoError(
            "content_altered", "The server sent other bytes than it said. Run it again.", sha256=sha256
        )
    file.seek(0)
    return file
