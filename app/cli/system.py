"""What the operating system doesn't let a command do, in a sentence: a full disk, no permission, odd bytes.

None of that is a bug of ours, so it shows no trace.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING

from app.errors import VersoError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_DISK = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_PRIMARY = 0xFF
"""The part of SQLite's extended codes that is the primary one."""
_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}


def refusal_of(error: Exception) -> VersoError | None:
    """What the system refuses, as a refusal of ours; None for everything else, a closed pipe included."""
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return VersoError("bad_usage", f"{error.object!r} is not text in UTF-8, which all names here are.")
    if isinstance(error, OSError) and error.strerror:
        if error.filename == _STREAMS["stdout"]:
            drop_output()
            return VersoError(
                "output_lost",
                f"The output can't be written ({error.strerror}). What the command has done stays done. Make "
                "room, or write elsewhere.",
            )
        names = [
            os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)
        ]
        what = f"{' and '.join(names)}: {error.strerror}" if names else error.strerror
        return _refused(what)
    # Of SQLite only what is the disk's: a statement that is wrong is a bug.
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & _PRIMARY in _DISK:
        return _refused(f"the files that this command keeps can't be used ({error})")
    return None


def drop_output() -> None:
    """Let standard output lead nowhere, so that Python doesn't fail on it once more when it ends."""
    with suppress(OSError):  # a test's own stream has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def prepare_streams() -> None:
    """Make the standard streams ones that every command can use, whatever they were started with.

    What the shell has closed (`>&-`) is opened onto nothing: the next file to be opened would be taken for
    it. Names of files and what is piped in may be no text, and a terminal may not have every character.
    """
    while (free := os.open(os.devnull, os.O_RDWR)) <= _STREAMS["stderr"]:
        pass
    os.close(free)
    for name, descriptor in _STREAMS.items():
        if getattr(sys, name) is None:
            stream = open(descriptor, "w" if descriptor else "r", encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays
            setattr(sys, name, stream)
    for each, errors in (
        (sys.stdin, "replace"),
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
    ):
        if isinstance(each, TextIOWrapper):
            each.reconfigure(errors=errors)
    if (
        isinstance(sys.stdout, TextIOWrapper) and os.name != "nt"
    ):  # Windows has a way of its own to its console
        sys.stdout = TextIOWrapper(
            BufferedWriter(_Output(sys.stdout.fileno(), "w", closefd=False)),
            encoding=sys.stdout.encoding,
            errors=sys.stdout.errors,
            line_buffering=sys.stdout.line_buffering,
        )


class _Output(FileIO):
    """Standard output, whose refusals bear its number in place of a file's name."""

    def write(self, data: ReadableBuffer) -> int:
        """Write, as a file does."""
        try:
            return super().write(data) or 0
        except OSError as error:
            error.filename = self.fileno()
            raise


def _refused(what: str) -> VersoError:
    return VersoError(
        "system_refused", f"The system refuses it: {what}. Mend that, and run the command again."
    )
