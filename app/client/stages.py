"""What `verso stage` does on this machine: counting the marks that a document still has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MARK = re.compile(rb"\[REQUIRES INPUT\b[^\]\n]*\]")
"""`[REQUIRES INPUT]`, also with words after it: `[REQUIRES INPUT: which database?]`."""
LONGEST = 64 * 1024 * 1024
"""Bytes of a file that is read."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A mark in a file."""

    path: str
    line: int
    """From 1."""
    text: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in some files."""

    files: int
    requires_input: int
    marks: list[Mark]


def check_files(paths: Iterable[Path]) -> Checked:
    """Count the marks of files, and of all files below folders (hidden ones left out).

    Raises VersoError `bad_usage` for what can't be read.
    """
    files, marks = 0, []
    for path in _files(paths):
        files += 1
        try:
            with path.open("rb") as file:
                data = file.read(LONGEST + 1)  # of /dev/zero there would be no end
            if len(data) > LONGEST:
                raise VersoError("bad_usage", f"{path} is too long to be checked.")
        except OSError as error:
            raise VersoError("bad_usage", f"{path} can't be read: {error.strerror}.") from None
        marks += [
            Mark(path=str(path), line=number, text=found[0].decode("utf-8", "replace"))
            for number, line in enumerate(data.split(b"\n"), 1)
            for found in MARK.finditer(line)
        ]
    return Checked(files=files, requires_input=len(marks), marks=marks)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for below in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in below.relative_to(path).parts)
            if not hidden and below.is_file():
                yield below
