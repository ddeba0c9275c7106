"""Attributions that were computed once, beside the mirror: a version never changes, so they hold for ever.

Only a saving of time. Where the file can't be used everything is computed again.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Self

import msgspec

from app.client.store import Store
from app.errors import VersoError
from app.text.blame import Attribution, Run

if TYPE_CHECKING:
    from pathlib import Path

FORM = 1
_TABLES = "create table lines (version text primary key, runs blob not null) strict, without rowid;\n"


class KeptLines:
    """Attributions by the hash of their version. A context manager."""

    def __init__(self, hidden: Path) -> None:
        self._store: Store | None = None
        try:
            self._store = Store(hidden / "lines.db", tables=_TABLES, form=FORM, durable=False)
        except (VersoError, sqlite3.Error):
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()

    def find(self, version: str) -> Attribution | None:
        """What was kept of a version."""
        if self._store is None:
            return None
        try:
            query = "select runs from lines where version = ?"
            found = self._store.sql.execute(query, (version,)).fetchone()
            return None if found is None else tuple(msgspec.msgpack.decode(found[0], type=list[Run]))
        except (sqlite3.Error, msgspec.DecodeError):
            return None

    def keep(self, version: str, runs: Attribution) -> None:
        """Keep one, if that can be done."""
        if self._store is None:
            return
        try:
            self._store.sql.execute(
                "insert or ignore into lines values (?, ?)", (version, msgspec.msgpack.encode(runs))
            )
        except sqlite3.Error:
            return
