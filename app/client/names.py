"""Names of files on this machine: which are the same to it, and what theirs is called beside yours."""

from __future__ import annotations

import posixpath
import unicodedata
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

_THEIRS = ".theirs"


class Folding(msgspec.Struct, frozen=True):
    """What a file system takes for the same name."""

    case: bool
    """`A` and `a` are one file."""
    normal: bool
    """`é` in one code point and in two are one file."""

    def fold(self, path: str) -> str:
        """What two paths have in common that can't both be files here."""
        folded = unicodedata.normalize("NFC", path) if self.normal else path
        return folded.casefold() if self.case else folded


def probe_folding(hidden: Path) -> Folding:
    """Find out what this file system takes for the same name."""
    name = "Probe-\u00e9"
    probe = hidden / name
    probe.touch()
    try:
        return Folding(
            case=(hidden / name.lower()).exists(),
            normal=(hidden / unicodedata.normalize("NFD", name)).exists(),
        )
    finally:
        probe.unlink()


def beside(path: str, number: int = 1) -> str:
    """The name for theirs beside yours: `a/name.theirs.ext`, then `a/name.theirs-2.ext`."""
    folder, _, name = path.rpartition("/")
    stem, ext = posixpath.splitext(name)
    which = _THEIRS if number == 1 else f"{_THEIRS}-{number}"
    return f"{folder}/{stem}{which}{ext}" if folder else f"{stem}{which}{ext}"
