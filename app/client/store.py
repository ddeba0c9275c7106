"""SQLite as the hidden directory's keeper: tables that survive a kill, and one lock for a whole folder."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BUSY_SECONDS = 30.0


class Store:
    """One SQLite file. It is made with its tables when it isn't there; `form` numbers them."""

    def __init__(self, path: Path, *, tables: str, form: int, durable: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # Transactions are begun by hand: Python's own way opens them where nobody sees it.
        self.sql = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            self.sql.execute("pragma journal_mode = wal")
            # NORMAL may lose the last transactions when the power fails: enough for what can be had again.
            self.sql.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
            if self._form() == 0:
                self._make(tables, form)
            if self._form() != form:
                raise VersoError(
                    "bad_working_folder", f"{path} was written by another `verso`. Clone into a new folder."
                )
        except sqlite3.OperationalError as error:
            self.sql.close()
            raise _refused(path, error) from None
        except sqlite3.DatabaseError as error:
            self.sql.close()
            raise VersoError(
                "bad_working_folder", f"{path} can't be used ({error}). Clone into a new folder."
            ) from None

    def close(self) -> None:
        """Close the file."""
        self.sql.close()

    def _form(self) -> int:
        return int(self.sql.execute("pragma user_version").fetchone()[0])

    def _make(self, tables: str, form: int) -> None:
        with self.writing():
            # Two processes may come here at once: the second one finds it done.
            if self._form() == 0:
                for statement in tables.split(";\n"):
                    self.sql.execute(statement)
                self.sql.execute(f"pragma user_version = {form}")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        self.sql.execute("begin immediate")
        try:
            yield self.sql
        except BaseException:
            self.sql.execute("rollback")
            raise
        self.sql.execute("commit")


@contextmanager
def folder_lock(hidden: Path, *, seconds: float = 60.0) -> Iterator[None]:
    """Nobody else changes this working folder meanwhile. A killed process's lock ends with it.

    Raises VersoError `folder_busy` when another `verso` keeps it for longer than `seconds`.
    """
    # SQLite's own lock works alike on every system; files that say "locked" outlive who wrote them.
    lock = sqlite3.connect(hidden / "lock.db", timeout=seconds, isolation_level=None)
    try:
        try:
            lock.execute("begin exclusive")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise _refused(hidden, error) from None
            raise VersoError(
                "folder_busy", "Another `verso` works in this folder. Wait for it, or end it, and try again."
            ) from None
        yield
    finally:
        lock.close()


def _refused(path: Path, error: sqlite3.OperationalError) -> VersoError:
    """The disk is full, or may not be written: nothing is wrong with what is there."""
    return VersoError(
        "system_refused", f"{path} can't be used ({error}). Mend that, and run the command again."
    )
