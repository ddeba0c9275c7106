"""Cut an untrusted patch into files and hunks, in linear time, before any other parser sees it.

unidiff reads the hunks' lines, but must not see what others wrote around them: 24 kB after ``Binary files``
cost its regular expressions two seconds, as do addresses in a ``diff --git`` line; a range of 5,000 digits,
a path with `` b/`` in it or an empty line at the end make it fail or err. So headers are read here, and what
is passed on are hunks whose lines have been counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.text.errors import PatchUnreadableError
from app.text.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_NEWLINE = b"\\ No newline at end of file\n"

# Nine digits hold any line number here, and keep int() far from its limit of 4,300.
_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_INDEX = re.compile(rb"index ([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: \d{1,6})?$")
_MAX_HEADER = 16_384
# The usual ones, and those of diff.mnemonicPrefix: index, work tree, commit, object; -R turns them.
_MNEMONIC = {(b"i/", b"w/"), (b"c/", b"w/"), (b"c/", b"i/"), (b"o/", b"w/")}
PREFIXES = {(b"a/", b"b/")} | _MNEMONIC | {(new, old) for old, new in _MNEMONIC}
_ESCAPE = re.compile(rb'\\([0-7]{3}|[abtnvfr"\\])')
_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}


@dataclass(frozen=True)
class ScannedHunk:
    """A hunk header and lines that fulfil it, each with its mark; markers of missing newlines are git's."""

    header: bytes
    section: bytes
    lines: tuple[bytes, ...]


@dataclass
class ScannedFile:
    """The headers of one file, as they are found, and its hunks."""

    old_name: bytes | None = None
    new_name: bytes | None = None
    is_git: bool = False
    git_names: tuple[bytes, bytes] | None = None
    rename: dict[bytes, bytes] = field(default_factory=dict)
    created: bool = False
    deleted: bool = False
    old_blob: bytes | None = None
    new_blob: bytes | None = None
    hunks: list[ScannedHunk] = field(default_factory=list)


def scan(data: bytes, *, max_files: int) -> list[ScannedFile]:
    """Return the files of a patch in order; text around them (a mail, a commit message) is passed over.

    Raises PatchUnreadableError, with the number of the line.
    """
    lines = split_lines(data)
    if lines and not lines[-1].endswith(b"\n"):
        raise PatchUnreadableError(
            "The patch ends in the middle of a line. Send it whole, with its last newline."
        )
    files: list[ScannedFile] = []
    at = 0
    body = -1
    while at < len(lines):
        line = lines[at]
        if line.startswith(b"@@ "):
            # As in git: what lies in between may be a damaged hunk, and the rest of a patch is not the patch.
            if at != body:
                raise _unreadable(
                    at, "a hunk comes neither after its file's names (--- and +++) nor after a hunk"
                )
            at = body = _scan_hunk(lines, at, files[-1])
        elif line.startswith(b"--- ") and at + 1 < len(lines) and lines[at + 1].startswith(b"+++ "):
            at = body = _scan_names(lines, at, files)
        else:
            at = _scan_header(lines, at, files)
        if len(files) > max_files:
            raise PatchUnreadableError(f"The patch changes more than {max_files} files. Send it in parts.")
    if any(file.old_name is not None and not file.hunks for file in files):
        raise PatchUnreadableError(
            "The patch names a file (--- and +++) and says nothing of it, as if cut off. Send it whole."
        )
    return files


def _scan_header(lines: Sequence[bytes], at: int, files: list[ScannedFile]) -> int:
    line = lines[at].rstrip(b"\r\n")
    if len(line) > _MAX_HEADER:
        raise _unreadable(at, "a line outside the hunks is too long")
    if line.startswith((b"Binary files ", b"GIT binary patch")):
        raise _unreadable(at, "it changes a binary file; upload that file instead")
    if line.startswith(b"diff --git "):
        files.append(ScannedFile(is_git=True, git_names=_git_names(line.removeprefix(b"diff --git "))))
    elif files and files[-1].is_git and files[-1].old_name is None:
        _scan_extended(at, line, files[-1])
    return at + 1


def _scan_names(lines: Sequence[bytes], at: int, files: list[ScannedFile]) -> int:
    old, new = (line.rstrip(b"\r\n") for line in lines[at : at + 2])
    if max(len(old), len(new)) > _MAX_HEADER:
        raise _unreadable(at, "a line outside the hunks is too long")
    if not files or files[-1].old_name is not None:
        files.append(ScannedFile())
    files[-1].old_name = _name(at, old[4:])
    files[-1].new_name = _name(at + 1, new[4:])
    return at + 2


def _scan_extended(at: int, line: bytes, file: ScannedFile) -> None:
    if line.startswith((b"copy from ", b"copy to ")):
        raise _unreadable(at, "it copies a file; add the copy as a new file instead")
    for key in (b"rename from ", b"rename to "):
        if line.startswith(key):
            file.rename[key.strip()] = _unquoted(at, line.removeprefix(key))
    file.created = file.created or line.startswith(b"new file mode ")
    file.deleted = file.deleted or line.startswith(b"deleted file mode ")
    if index := _INDEX.match(line):
        file.old_blob, file.new_blob = index.groups()


def _scan_hunk(lines: Sequence[bytes], at: int, file: ScannedFile) -> int:
    match = _HUNK.match(lines[at])
    if match is None:
        raise _unreadable(at, "this hunk header is not of the form @@ -line,count +line,count @@")
    section = lines[at][match.end() :].strip()
    old_left, new_left = int(match[2] or b"1"), int(match[4] or b"1")
    if not old_left and not new_left:
        raise _unreadable(at, "this hunk has no lines")
    body: list[bytes] = []
    start = at
    at += 1
    while (old_left or new_left) and at < len(lines):
        line = lines[at]
        mark = line[:1]
        if mark in b"\r\n":
            # Some mailers strip the blank of an empty line of context.
            line, mark = b" " + line, b" "
        if mark == b"\\" and body:
            body.append(NO_NEWLINE)
        elif mark in (b" ", b"-", b"+"):
            old_left -= mark != b"+"
            new_left -= mark != b"-"
            body.append(line)
        else:
            raise _unreadable(at, "a line in a hunk must begin with a blank, +, - or \\")
        at += 1
        if old_left < 0 or new_left < 0:
            break
    if old_left or new_left:
        raise _unreadable(start, "this hunk does not have the numbers of lines that its header says")
    if at < len(lines) and lines[at].startswith(b"\\"):
        # Written in the language of whoever made the patch; only the backslash counts.
        body.append(NO_NEWLINE)
        at += 1
    file.hunks.append(ScannedHunk(match[0], section, tuple(body)))
    return at


def _name(at: int, field_text: bytes) -> bytes:
    """Return the name in a --- or +++ line; a tab begins a date."""
    return _unquoted(at, field_text if field_text.startswith(b'"') else field_text.partition(b"\t")[0])


def _unquoted(at: int, name: bytes) -> bytes:
    if not name.startswith(b'"'):
        return name
    end = name.rfind(b'"')
    if end < 1:
        raise _unreadable(at, "a quoted name does not end")
    return _ESCAPE.sub(_unescaped, name[1:end])


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes((_ESCAPES[code] if code in _ESCAPES else int(code, 8) & 0xFF,))


def _git_names(names: bytes) -> tuple[bytes, bytes] | None:
    """Return the two names of a ``diff --git`` line where they are the same but for their prefixes, if any.

    Only then are they unambiguous, and only then are they needed: a rename says both again.
    """
    if names.startswith(b'"'):
        names = b" ".join(_ESCAPE.sub(_unescaped, part) for part in names[1:].rstrip(b'"').split(b'" "'))
    half = len(names) // 2
    old, blank, new = names[:half], names[half : half + 1], names[half + 1 :]
    is_prefixed = (old[:2], new[:2]) in PREFIXES and old[2:] == new[2:]
    return (old, new) if blank == b" " and (is_prefixed or old == new) else None


def _unreadable(at: int, reason: str) -> PatchUnreadableError:
    return PatchUnreadableError(f"Line {at + 1} of the patch cannot be read: {reason}.")
