"""What a copy remembers of the history that it was made from, in SQLite inside of the repository.

Everything in it can be made again from the history; it saves walking there. It is written after the objects
that it names and before the refs, so that a copy that was killed goes on where it was.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FORM = "1"
"""Goes up when the same history would give other objects."""
_BUSY = "Another export is writing there. Wait for it, or choose another place."
_TABLES = """
create table if not exists about (name text primary key, value text not null) without rowid;
create table if not exists commits (
  sequence integer primary key, id blob not null, tree blob not null, hash text not null, origin text unique);
create table if not exists documents (id text primary key, path text not null) without rowid;
create table if not exists versions (
  hash text primary key, sequence integer not null, path text not null) without rowid;
create table if not exists blobs (
  sha256 text primary key, id blob not null, erased integer not null) without rowid;
create table if not exists tags (
  name text primary key, ref text unique not null, id blob not null) without rowid;
"""


def newest_hash(path: Path, *, erasures: int = 0) -> str | None:
    """The newest change's hash of the copy whose state is in this file.

    None when there is no such copy, or one that was made when another number of contents was erased.
    """
    if not path.is_file():
        return None
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            row = db.execute("select hash from commits order by sequence desc limit 1").fetchone()
            form = db.execute("select value from about where name = 'form'").fetchone()
            known = db.execute("pragma user_version").fetchone()
        finally:
            db.close()
    except sqlite3.DatabaseError:
        return None
    return row[0] if row is not None and form == (FORM,) and known == (erasures,) else None


class Written(NamedTuple):
    """The commit of a change."""

    sequence: int
    id: bytes
    tree: bytes
    hash: str
    """The change's hash."""


class State:
    """One copy's memory. Not for two threads at once; `close` it."""

    def __init__(self, path: Path, *, project: str) -> None:
        """Raises VersoError `other_export` when it is of another project or form, else as `_open` does."""
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        with ExitStack() as opened:
            opened.callback(self._db.close)
            about = self._open(path)
            if not about:
                facts = [("project", project), ("form", FORM)]
                self._db.executemany("insert into about values (?, ?)", facts)
            elif about != {"project": project, "form": FORM}:
                raise VersoError(
                    "other_export",
                    "What is there is of another project, or was written by another version of Verso. Choose "
                    "another directory.",
                )
            opened.pop_all()

    def _open(self, path: Path) -> dict[str, str]:
        """What it is about. Raises VersoError `folder_busy` and `export_damaged`."""
        try:
            self._db.executescript("pragma journal_mode = wal; pragma synchronous = normal;" + _TABLES)
            return dict(self._db.execute("select name, value from about"))
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise VersoError("folder_busy", _BUSY) from error
            raise VersoError("export_damaged", f"{path} can't be read: {error}. Make a new copy.") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def erasures(self) -> int:
        """How many of the project's contents were erased when this copy was begun."""
        return int(self._db.execute("pragma user_version").fetchone()[0])

    def note_erasures(self, count: int) -> None:
        """Remember that number."""
        self._db.execute(f"pragma user_version = {int(count)}")

    def begin(self) -> None:
        """Begin a transaction, if none is open; what is not committed is as if it had not been."""
        if not self._db.in_transaction:
            try:
                self._db.execute("begin immediate")
            except sqlite3.OperationalError as error:
                raise VersoError("folder_busy", _BUSY) from error

    def commit(self) -> None:
        """Keep what was remembered since `begin`."""
        self._db.execute("commit")

    def rollback(self) -> None:
        """Forget what was remembered since `begin`."""
        if self._db.in_transaction:
            self._db.execute("rollback")

    def newest(self) -> Written | None:
        """The newest change's commit."""
        row = self._db.execute(
            "select sequence, id, tree, hash from commits order by sequence desc limit 1"
        ).fetchone()
        return None if row is None else Written(*row)

    def add_commit(self, written: Written, *, origin: str | None) -> None:
        """Remember the commit of a change, and of which Git commit it was imported."""
        self._db.execute("insert into commits values (?, ?, ?, ?, ?)", (*written, origin))

    def commit_of(self, sequence: int) -> bytes | None:
        """The commit of a change."""
        found: bytes | None = self._one("select id from commits where sequence = ?", sequence)
        return found

    def commit_of_origin(self, origin: str) -> bytes | None:
        """The commit of the change that a Git commit was imported as."""
        found: bytes | None = self._one("select id from commits where origin = ?", origin)
        return found

    def path_of(self, document: str) -> str | None:
        """Where a document is now; None when it isn't live."""
        path: str | None = self._one("select path from documents where id = ?", document)
        return path

    def place(self, document: str, path: str | None) -> None:
        """Remember where a document is now."""
        if path is None:
            self._db.execute("delete from documents where id = ?", (document,))
        else:
            self._db.execute("insert or replace into documents values (?, ?)", (document, path))

    def add_versions(self, versions: Iterable[tuple[str, int, str]]) -> None:
        """Remember versions: hash, change, path."""
        self._db.executemany("insert into versions values (?, ?, ?)", versions)

    def reference_of(self, version: str) -> tuple[str, str] | None:
        """The commit (hex) and path of a version."""
        row = self._db.execute(
            "select c.id, v.path from versions v join commits c using (sequence) where v.hash = ?", (version,)
        ).fetchone()
        return None if row is None else (row[0].hex(), row[1])

    def blob_of(self, sha256: str) -> bytes | None:
        """The Git object of a content."""
        found: bytes | None = self._one("select id from blobs where sha256 = ?", sha256)
        return found

    def add_blob(self, sha256: str, oid: bytes, *, erased: bool) -> None:
        """Remember a content's Git object."""
        self._db.execute("insert or replace into blobs values (?, ?, ?)", (sha256, oid, erased))

    def tags(self) -> dict[str, tuple[str, bytes]]:
        """Every tag's ref and object."""
        return {name: (ref, oid) for name, ref, oid in self._db.execute("select name, ref, id from tags")}

    def add_tag(self, name: str, ref: str, oid: bytes) -> None:
        """Remember a tag."""
        self._db.execute("insert into tags values (?, ?, ?)", (name, ref, oid))

    def commits(self) -> Iterator[tuple[int, bytes, str | None]]:
        """Every change with its commit and its origin's id, oldest first."""
        yield from self._db.execute("select sequence, id, origin from commits order by sequence")

    def counts(self) -> dict[str, int]:
        """How many changes, contents, erased contents and tags there are."""
        row = self._db.execute(
            "select (select count(*) from commits), (select count(*) from blobs), "
            "(select count(*) from blobs where erased), (select count(*) from tags)"
        ).fetchone()
        return dict(zip(("changes", "contents", "erased", "tags"), row, strict=True))

    def _one(self, sql: str, value: object) -> Any:
        row = self._db.execute(sql, (value,)).fetchone()
        return None if row is None else row[0]
