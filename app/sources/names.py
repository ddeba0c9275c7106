"""Which documents may be files, and where links may lead; what would reach beyond the folder never does.

A project's paths are chosen by others. Written as they are, `.git/hooks/post-checkout` would run, `.GIT` and
`git~1` would be the same folder on some systems, and `con.txt` would be a device on Windows.
"""

from __future__ import annotations

import ntpath
import os
import posixpath
import re

from app.model import nfc
from app.model.modes import ORDINARY, SUBMODULE

_OURS = frozenset({".git", ".verso-work", ".verso"})
"""Directories that are a tool's own: Git's, a working folder's, and that of `verso dev`."""
# What HFS+ leaves out when it compares names (git's CVE-2014-9390), and what Windows drops at a name's end.
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_SHORT = re.compile(r"(?:git|gi[0-9a-f]{4}|verso|ve[0-9a-f]{4}|verso-)~[0-9]+\Z")
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\\]')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?:\.|\Z)")


def kept_out(path: str, *, mode: str = ORDINARY, windows: bool = os.name == "nt") -> str | None:
    """Why a document isn't written as a file here, or None when it may be."""
    if mode == SUBMODULE:
        return "is a submodule of the Git repository that it came from"
    for segment in path.split("/"):
        plain = _IGNORABLE.sub("", nfc(segment)).casefold()
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
