"""The chain, computed again from rows: what docs/hashes.md says, and nothing that the rows say of themselves.

What is wrong is noted and the walk goes on, so that a report names all of it. State is kept in SQLite on
disk: memory stays flat, however long the history.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from app.errors import VersoError
from app.model import (
    Action,
    ActorKind,
    ChangeSummary,
    CommitOrigin,
    Person,
    VersionState,
    change_canonical,
    hash_of,
    is_sha256,
    normal_path,
    version_canonical,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from app.client.bundle.parts import Row

MOST_FINDINGS = 200
_TABLES = """
create table versions (
  hash text primary key, document text not null, sequence integer not null
) without rowid;
create table heads (
  document text primary key, hash text not null, number integer not null, sequence integer not null,
  path text not null, live integer not null
) without rowid;
create index heads_by_path on heads (path) where live = 1;
create table contents (sha256 text primary key, size integer not null) without rowid;
create table erased (sha256 text primary key, size integer not null) without rowid;
create view present as select * from contents where sha256 not in (select sha256 from erased);
create view absent as select * from contents where sha256 in (select sha256 from erased);
"""


class Finding(msgspec.Struct, frozen=True):
    """Something that is wrong, and where."""

    where: str
    what: str


class Head(msgspec.Struct, frozen=True):
    """Where a document stands after the changes that came."""

    hash: str
    number: int
    sequence: int
    path: str
    live: bool


class Findings:
    """What is wrong, as it is found. A file of junk is told by its first 200 faults, and their number."""

    def __init__(self) -> None:
        self.first: list[Finding] = []
        self.count = 0

    def note(self, where: str, what: str) -> None:
        """Something is wrong."""
        self.count += 1
        if len(self.first) < MOST_FINDINGS:
            self.first.append(Finding(where, what))


class HistoryCheck:
    """Takes the changes of one project in their order. A context manager, or `close` it."""

    def __init__(self, project: str, findings: Findings, *, directory: Path | None = None) -> None:
        self.project = project
        self.findings = findings
        self.sequence = 0
        self.hash: str | None = None
        self.versions = 0
        self._committed_at: datetime | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="verso-check-", dir=directory)
        self._sql = sqlite3.connect(Path(self._directory.name) / "check.db", isolation_level=None)
        # Thrown away at the end: nothing needs to survive a crash.
        self._sql.executescript("pragma journal_mode = off; pragma synchronous = off;" + _TABLES + "begin;")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Throw the state away."""
        self._sql.close()
        self._directory.cleanup()

    def add(self, row: Row) -> None:
        """The next change with its versions."""
        where = f"change {row.get('sequence')}"
        try:
            change, versions = _change(self.project, row), _versions(self.project, row)
        except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
            self.findings.note(where, f"It is no change: {error}.")
            self.sequence += 1
            return
        wrong = self.findings.note
        if change.sequence != self.sequence + 1:
            wrong(where, f"It follows change {self.sequence}.")
        if change.previous != self.hash:
            wrong(where, "The change before it has another hash than it names.")
        if self._committed_at is not None and change.committed_at < self._committed_at:
            wrong(where, "It is older than the change before it.")
        if [version.get("position") for version in row["versions"]] != list(
            range(1, change.version_count + 1)
        ):
            wrong(where, "It doesn't have the versions that it counts, in their order.")
        for version in versions:
            self._version(version, change.sequence, where)
        self._tree(versions, where)
        _check_origin(row, change, where, self.findings)
        if hash_of(change_canonical(change, [version.hash for version in versions])) != change.hash:
            wrong(where, "Its hash is not that of what it says.")
        self.sequence, self.hash, self._committed_at = change.sequence, change.hash, change.committed_at
        self.versions += len(versions)

    def _version(self, version: VersionState, sequence: int, where: str) -> None:
        def wrong(what: str) -> None:
            self.findings.note(f"{where}, {version.path}", what)

        before = self.head_of(version.document)
        for fault in _faults(version, before):
            wrong(fault)
        for source in (version.merged_from, version.restored_from):
            if source is not None and self.document_of(source) != version.document:
                wrong("It was made from a version that its document doesn't have.")
        if version.sha256 is not None and version.size is not None:
            self._content(version.sha256, version.size, wrong)
        self._sql.execute(
            "insert or replace into versions values (?, ?, ?)", (version.hash, version.document, sequence)
        )

    def _content(self, sha256: str, size: int, wrong: Any) -> None:
        if not is_sha256(sha256):
            wrong("Its content is not named by a SHA-256.")
        known = self._sql.execute("select size from contents where sha256 = ?", (sha256,)).fetchone()
        if known is None:
            self._sql.execute("insert into contents values (?, ?)", (sha256, size))
        elif known[0] != size:
            wrong("Its content has another size elsewhere.")

    def _tree(self, versions: list[VersionState], where: str) -> None:
        """Paths that are left in a change are free for it; then no two documents want one."""
        self._sql.executemany(
            "update heads set live = 0 where document = ?", [(version.document,) for version in versions]
        )
        self._sql.executemany(
            "insert or replace into heads values (?, ?, ?, ?, ?, ?)",
            [
                (v.document, v.hash, v.number, self.sequence + 1, v.path, int(v.action is not Action.delete))
                for v in versions
            ],
        )
        for version in versions:
            if version.action is not Action.delete and self._is_taken(version):
                self.findings.note(
                    f"{where}, {version.path}", "Another document has that path, or part of it."
                )

    def _is_taken(self, version: VersionState) -> bool:
        parts = version.path.split("/")
        names = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        marks = ", ".join("?" * len(names))
        taken = self._sql.execute(
            f"select 1 from heads where live = 1 and path in ({marks}) and document <> ? "  # noqa: S608 - marks
            "union all select 1 from heads where live = 1 and path > ? and path < ? limit 1",
            (*names, version.document, version.path + "/", version.path + "0"),
        ).fetchone()
        return taken is not None

    def document_of(self, version: str) -> str | None:
        """The document of a version that came already, or None."""
        found = self._sql.execute("select document from versions where hash = ?", (version,)).fetchone()
        return found and str(found[0])

    def sequence_of(self, version: str) -> int | None:
        """The change of a version that came already, or None."""
        found = self._sql.execute("select sequence from versions where hash = ?", (version,)).fetchone()
        return found and int(found[0])

    def head_of(self, document: str) -> Head | None:
        """A document's newest version, or None when no version of it came."""
        found = self._sql.execute(
            "select hash, number, sequence, path, live from heads where document = ?", (document,)
        ).fetchone()
        if found is None:
            return None
        return Head(hash=found[0], number=found[1], sequence=found[2], path=found[3], live=bool(found[4]))

    def count(self, table: str) -> tuple[int, int]:
        """How many `heads` there are, or contents `present` or `absent` with the sum of their sizes."""
        size = "0" if table == "heads" else "coalesce(sum(size), 0)"
        found = self._sql.execute(f"select count(*), {size} from {table}").fetchone()  # noqa: S608 - our names
        return int(found[0]), int(found[1])

    def contents(self) -> Iterator[tuple[str, int]]:
        """Every content that a version has and that wasn't erased, with its size, in order of the hashes."""
        yield from self._sql.execute("select sha256, size from present order by sha256")

    def erase(self, sha256: str, size: int) -> None:
        """Take note that a content was erased: its bytes are nowhere."""
        self._sql.execute("insert or replace into erased values (?, ?)", (sha256, size))

    def erased_for_nothing(self) -> list[str]:
        """Contents that were erased, as is said, and that no version has with that size."""
        rows = self._sql.execute(
            "select sha256 from erased where (sha256, size) not in (select sha256, size from contents)"
        )
        return [row[0] for row in rows]


def _faults(version: VersionState, before: Head | None) -> Iterator[str]:
    """What is wrong with a version that follows `before` in its document, as far as the two say."""
    action = version.action
    if hash_of(version_canonical(version)) != version.hash:
        yield "The version's hash is not that of what it says."
    expected = (before.number + 1, before.hash) if before else (1, None)
    if (version.number, version.parent) != expected:
        yield "The version doesn't follow the one before it in its document."
    was_there = before is not None and before.live
    if action is not Action.restore and (action is Action.add) == was_there:
        yield "What is there is not added, and what isn't there is not edited, moved or deleted."
    if {action is Action.delete} != {
        version.sha256 is None,
        version.size is None,
        version.media_type is None,
    }:
        yield "A delete, and nothing else, is without content."
    if (action is Action.restore) != (version.restored_from is not None):
        yield "A restore, and nothing else, names the version that it brings back."
    try:
        normal = normal_path(version.path) == version.path
    except VersoError:
        normal = False
    if not normal:
        yield "The path can't be a document's."


def _versions(project: str, row: Row) -> list[VersionState]:
    return [
        msgspec.convert({**version, "project": project, "document": version["document_id"]}, VersionState)
        for version in row["versions"]
    ]


def _change(project: str, row: Row) -> ChangeSummary:
    """A change as it is hashed, out of its row."""
    origin = None
    if row.get("origin_id") is not None:
        origin = {
            "id": row["origin_id"],
            "sha256": row["origin_sha256"],
            "size": row["origin_size"],
            "author_name": row["author_name"],
            "author_email": row["author_email"],
            "attributed_to": row["attributed_to"] and Person(id=row["attributed_to"]),
            "imported_at": row["imported_at"],
        }
    fields = {name: row[name] for name in ChangeSummary.__struct_fields__ if name in row}
    fields |= {"project": project, "author": Person(id=row["author_id"]), "actor": ActorKind(row["actor"])}
    fields["on_behalf_of"] = Person(id=row["on_behalf_of"]) if row.get("on_behalf_of") else None
    fields["origin"] = origin and msgspec.convert(origin, CommitOrigin)
    return msgspec.convert(fields, ChangeSummary)


def _check_origin(row: Row, change: ChangeSummary, where: str, findings: Findings) -> None:
    """The raw Git commit is the one that the change names: its SHA-256, and Git's own object id."""
    if change.origin is None:
        return
    try:
        raw = bytes.fromhex(str(row["origin"]).removeprefix("\\x"))
    except ValueError:
        raw = b""
    git = hashlib.sha1 if len(change.origin.id) == 40 else hashlib.sha256  # noqa: PLR2004 - Git's two forms
    named = git(b"commit %d\0" % len(raw) + raw).hexdigest()
    same = hashlib.sha256(raw).hexdigest() == change.origin.sha256 and len(raw) == change.origin.size
    if not same or named != change.origin.id:
        findings.note(where, "The Git commit that it keeps is not the one that it names.")
