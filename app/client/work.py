"""What the hidden directory knows of the folder: what each file was last equal to, and what is under way.

A *base* is the version that a file here was made from: the one that a push names. It changes only when the
file and the version have met: written by a pull, accepted by the server, or resolved by the person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec

from app.client.store import Store
from app.model.modes import ORDINARY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FORM = 1
_TABLES = """
create table notes (name text primary key, value blob not null) strict, without rowid;
create table bases (
  path text primary key, document text not null unique, version text not null, sha256 text not null,
  mode text not null, plain integer not null
) strict, without rowid;
create table moves (source text primary key, target text not null unique) strict, without rowid;
create table conflicts (
  path text primary key, document text not null unique, version text, beside text, beside_sha256 text,
  reason text not null
) strict, without rowid;
create table steps (position integer primary key, body blob not null) strict;
"""


class Base(msgspec.Struct, frozen=True, gc=False):
    """The version that the file at a path was made from."""

    path: str
    document: str
    version: str
    sha256: str
    mode: str = ORDINARY
    plain: bool = False
    """A symbolic link that is an ordinary file here, which holds its target."""


class Conflict(msgspec.Struct, frozen=True):
    """Yours and theirs can't be one: yours is at `path`, theirs is `version` (None: it was deleted)."""

    path: str
    document: str
    version: str | None
    beside: str | None
    """Where theirs was put, to be looked at."""
    beside_sha256: str | None
    reason: str


class Write(msgspec.Struct, frozen=True, tag="write"):
    """A content comes to a path, which holds `expected` (None: nothing) or that very content already."""

    document: str
    path: str
    sha256: str
    mode: str
    expected: str | None
    rescue: bool = False
    """Whether `expected` is in no history: a copy is kept then."""


class Rename(msgspec.Struct, frozen=True, tag="rename"):
    """A file that holds `sha256`, in no history, goes to a path that holds `expected` (None: nothing)."""

    document: str
    source: str
    path: str
    sha256: str
    expected: str | None


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    """A file goes away, if it holds `expected`."""

    document: str
    path: str
    expected: str


class Settle(msgspec.Struct, frozen=True, tag="settle"):
    """What is remembered once all files are in place."""

    drop: list[str] = []
    """Documents whose base goes."""
    bases: list[Base] = []
    clear: list[str] = []
    """Paths whose conflict is over."""
    conflicts: list[Conflict] = []


Step = Write | Rename | Remove | Settle


class Work:
    """The state of one working folder. A context manager, or `close` it."""

    def __init__(self, hidden: Path) -> None:
        self._store = Store(hidden / "work.db", tables=_TABLES, form=FORM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its file."""
        self._store.close()

    def bases(self) -> dict[str, Base]:
        """All bases by path."""
        rows = self._store.sql.execute("select path, document, version, sha256, mode, plain from bases")
        # Ten thousand of them at each `status`: positional is twice as fast as by name.
        return {row[0]: Base(row[0], row[1], row[2], row[3], row[4], row[5] == 1) for row in rows}

    def moves(self) -> dict[str, str]:
        """Moves that were made with `verso mv` and not pushed: from a base's path to where its file is."""
        return dict(self._store.sql.execute("select source, target from moves").fetchall())

    def set_moves(self, moves: Mapping[str, str]) -> None:
        """Replace them."""
        with self._store.writing() as sql:
            sql.execute("delete from moves")
            sql.executemany("insert into moves values (?, ?)", moves.items())

    def conflicts(self) -> dict[str, Conflict]:
        """What waits for a decision, by path."""
        rows = self._store.sql.execute(
            "select path, document, version, beside, beside_sha256, reason from conflicts order by path"
        )
        return {row[0]: Conflict(*row) for row in rows}

    def begin(self, steps: Iterable[Step]) -> None:
        """Write down what is going to be done, so that a kill in the middle is no end."""
        with self._store.writing() as sql:
            sql.executemany(
                "insert into steps (body) values (?)", [(msgspec.msgpack.encode(step),) for step in steps]
            )

    def steps(self) -> list[Step]:
        """What was begun and not finished, in order."""
        rows = self._store.sql.execute("select body from steps order by position")
        return [msgspec.msgpack.decode(body, type=Step) for (body,) in rows]

    def finish(self, settled: Settle) -> None:
        """Remember what was reached, and forget how, at once."""
        with self._store.writing() as sql:
            _settle(sql, settled)
            sql.execute("delete from steps")

    def settle(self, settled: Settle, **notes: object) -> None:
        """Remember bases and conflicts, and notes with them, at once."""
        with self._store.writing() as sql:
            _settle(sql, settled)
            for name, value in notes.items():
                _note(sql, name, value)

    def note(self, name: str, kind: Any) -> Any:
        """A note of a kind, or None."""
        found = self._store.sql.execute("select value from notes where name = ?", (name,)).fetchone()
        return None if found is None else msgspec.msgpack.decode(found[0], type=kind)

    def set_note(self, name: str, value: object) -> None:
        """Keep a note; None removes it."""
        with self._store.writing() as sql:
            _note(sql, name, value)


def _note(sql: sqlite3.Connection, name: str, value: object) -> None:
    if value is None:
        sql.execute("delete from notes where name = ?", (name,))
    else:
        sql.execute("insert or replace into notes values (?, ?)", (name, msgspec.msgpack.encode(value)))


def _settle(sql: sqlite3.Connection, settled: Settle) -> None:
    # All that goes, before anything comes: two documents may have swapped their paths.
    gone = [*settled.drop, *(base.document for base in settled.bases)]
    sql.executemany("delete from bases where document = ?", [(each,) for each in gone])
    sql.executemany(
        "insert or replace into bases values (?, ?, ?, ?, ?, ?)",
        [(b.path, b.document, b.version, b.sha256, b.mode, int(b.plain)) for b in settled.bases],
    )
    sql.executemany("delete from conflicts where path = ?", [(each,) for each in settled.clear])
    sql.executemany(
        "insert or replace into conflicts values (?, ?, ?, ?, ?, ?)",
        [(c.path, c.document, c.version, c.beside, c.beside_sha256, c.reason) for c in settled.conflicts],
    )
