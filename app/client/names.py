"""Which documents may become files here, under what names; what would reach beyond the folder never does.

A project's paths are chosen by others. Written as they are, `.git/hooks/post-checkout` would run, `.GIT` and
`git~1` would be the same folder on some systems, and `con.txt` would be a device on Windows.
"""

from __future__ import annotations

import ntpath
import os
import posixpath
import re
import unicodedata
from typing import TYPE_CHECKING

import msgspec

from app.client.place import HIDDEN

if TYPE_CHECKING:
    from pathlib import Path

ORDINARY, EXECUTABLE, SYMLINK, SUBMODULE = "100644", "100755", "120000", "160000"
THEIRS = ".theirs"
_OURS = frozenset({".git", HIDDEN, ".verso"})
# What HFS+ leaves out when it compares names (git's CVE-2014-9390), and what Windows drops at a name's end.
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_SHORT = re.compile(r"(?:git|gi[0-9a-f]{4}|verso|ve[0-9a-f]{4}|verso-)~[0-9]+\Z")
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\\]')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?:\.|\Z)")


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


def kept_out(path: str, *, mode: str = ORDINARY, windows: bool = os.name == "nt") -> str | None:
    """Why a document isn't written as a file here, or None when it may be."""
    if mode == SUBMODULE:
        return "is a submodule of the Git repository that it came from"
    for segment in path.split("/"):
        plain = _IGNORABLE.sub("", unicodedata.normalize("NFC", segment)).casefold()
        # On Windows a name ends before its last dots and blanks, and before a colon (a stream of the file).
        ended = plain.partition(":")[0].rstrip(" .")
        if ended in _OURS or _SHORT.match(ended):
            return f"would write into {segment}"
        if windows and (_NOT_ON_WINDOWS.search(segment) or segment != segment.rstrip(" .")):
            return "has characters that no name has on Windows"
        if windows and _DEVICE.match(plain):
            return f"is named like the device {segment.partition('.')[0].upper()} of Windows"
    return None


def stays_inside(path: str, target: str) -> bool:
    """Whether a symbolic link at a document's path points to something of the same folder."""
    if (
        not target
        or "\x00" in target
        or "\\" in target
        or target.startswith("/")
        or ntpath.splitdrive(target)[0]
    ):
        return False
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return reached != ".." and not reached.startswith("../") and kept_out(reached, windows=False) is None


def beside(path: str, number: int = 1) -> str:
    """The name for theirs beside yours: `a/name.theirs.ext`, then `a/name.theirs-2.ext`."""
    folder, _, name = path.rpartition("/")
    stem, ext = posixpath.splitext(name)
    which = THEIRS if number == 1 else f"{THEIRS}-{number}"
    return f"{folder}/{stem}{which}{ext}" if folder else f"{stem}{which}{ext}"
