"""Write unified diffs that ``git apply`` and GNU ``patch`` accept, byte for byte.

The format is git's (git-diff, "Generating patch text with -p") over POSIX unified hunks: an extended header
per file, ``/dev/null`` for a side that does not exist, C-quoted names, renames as renames, and a marker line
after a last line without newline. The ``index`` line has git's full names of both texts, so that a patch says
what it was made from and what must come out (`git apply --3way` uses them too).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from app.text.lines import Edit, Ignoring, line_diff, split_lines
from app.text.similarity import similarity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NO_NEWLINE = b"\\ No newline at end of file\n"

# git looks for a NUL in this many first bytes (FIRST_FEW_BYTES in xdiff-interface.c).
_BINARY_PROBE = 8000
_SECTION_BYTES = 80
_MODE = b"100644"
_ABSENT = b"0" * 40

_ESCAPES = {
    7: b"\\a",
    8: b"\\b",
    9: b"\\t",
    10: b"\\n",
    11: b"\\v",
    12: b"\\f",
    13: b"\\r",
    34: b'\\"',
    92: b"\\\\",
}
_FIRST_PRINTABLE, _DELETE = 0x20, 0x7F


def is_binary(data: bytes) -> bool:
    """Say whether git would call these bytes binary: a NUL among the first 8,000."""
    return b"\0" in data[:_BINARY_PROBE]


def unified_diff(
    old: bytes,
    new: bytes,
    *,
    old_path: str | None,
    new_path: str | None,
    context: int = 3,
    ignoring: Ignoring = Ignoring.NOTHING,
    text: bool = False,
) -> bytes:
    """Return the patch from old to new, or nothing if there is nothing to say.

    A path of None means that the document does not exist on that side; two different paths are a rename.
    `text` shows bytes with NULs as text too, where otherwise one line says that binary files differ.

    What `ignoring` leaves out stays as it is in old: the patch still applies to old, and gives new except for
    what was ignored.

    Raises ValueError if both paths are None, a path is empty or has a NUL, a text without path has bytes, or
    the context is negative.
    """
    header = _header(old_path, new_path)
    if (old_path is None and old) or (new_path is None and new):
        raise ValueError("A text without a path does not exist and must be empty.")
    one_sided = old_path is None or new_path is None
    if old == new:
        header += _rename(old_path, new_path, 1.0)
        if one_sided:
            header.append(_index(old, new, old_path, new_path))
        return b"".join(header) if one_sided or old_path != new_path else b""
    if not text and (is_binary(old) or is_binary(new)):
        header += _rename(old_path, new_path, 0.0)
        names = _side(b"a/", old_path), _side(b"b/", new_path)
        return b"".join(
            (*header, _index(old, new, old_path, new_path), b"Binary files %s and %s differ\n" % names)
        )
    old_lines, new_lines = split_lines(old), split_lines(new)
    edits = line_diff(old_lines, new_lines, ignoring=ignoring)
    if old_path != new_path:
        header += _rename(old_path, new_path, similarity(old_lines, new_lines, edits))
    if not edits:
        return b"".join(header) if old_path != new_path else b""
    if ignoring is Ignoring.NOTHING:
        header.append(_index(old, new, old_path, new_path))
    header.append(b"--- %s\n+++ %s\n" % (_side(b"a/", old_path), _side(b"b/", new_path)))
    return b"".join((*header, *write_hunks(old_lines, new_lines, edits, context=context)))


def git_blob_name(data: bytes) -> str:
    """Return the name that git gives to these bytes: the SHA-1 of a header and them, in hex."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def write_hunks(
    old: Sequence[bytes], new: Sequence[bytes], edits: Sequence[Edit], *, context: int
) -> Iterator[bytes]:
    """Yield the hunks' bytes: headers, and lines that are context (as in old), removed or added."""
    section, searched = b"", 0
    for group in hunk_groups(edits, context=context):
        first, last = group[0], group[-1]
        lead = min(first.old_start, context)
        tail = min(len(old) - last.old_end, context)
        old_start, old_end = first.old_start - lead, last.old_end + tail
        new_start, new_end = first.new_start - lead, last.new_end + tail
        section = section_before(old, old_start, searched) or section
        searched = old_start
        yield b"@@ -%s +%s @@%s\n" % (
            _extent(old_start, old_end),
            _extent(new_start, new_end),
            b" " + section if section else b"",
        )
        at = old_start
        for edit in group:
            yield from _marked(b" ", old[at : edit.old_start])
            yield from _marked(b"-", old[edit.old_start : edit.old_end])
            yield from _marked(b"+", new[edit.new_start : edit.new_end])
            at = edit.old_end
        yield from _marked(b" ", old[at:old_end])


def hunk_groups(edits: Sequence[Edit], *, context: int) -> Iterator[list[Edit]]:
    """Yield the edits of each hunk: those with at most twice the context between them share one.

    Raises ValueError if the context is negative.
    """
    if context < 0:
        raise ValueError("The number of context lines must not be negative.")
    group: list[Edit] = []
    for edit in edits:
        if group and edit.old_start - group[-1].old_end > 2 * context:
            yield group
            group = []
        group.append(edit)
    if group:
        yield group


def section_before(lines: Sequence[bytes], before: int, since: int) -> bytes:
    """Return the last Markdown heading in ``lines[since:before]`` as a hunk header shows it, or nothing."""
    for at in range(before - 1, since - 1, -1):
        line = lines[at]
        if line[:1] == b"#" and line.lstrip(b"#")[:1] in b" \t" and (heading := _printable(line)):
            return heading
    return b""


def _printable(line: bytes) -> bytes:
    # A hunk header is one line that other tools print: no control characters, no half characters.
    heading = line.rstrip()[:_SECTION_BYTES].decode("utf-8", errors="ignore")
    return heading.encode().strip() if heading.isprintable() else b""


def _extent(start: int, end: int) -> bytes:
    length = end - start
    if length == 1:
        return b"%d" % (start + 1)
    return b"%d,%d" % (start + 1 if length else start, length)


def _marked(mark: bytes, lines: Sequence[bytes]) -> Iterator[bytes]:
    if not lines:
        return
    yield mark + mark.join(lines)
    if not lines[-1].endswith(b"\n"):
        yield b"\n" + NO_NEWLINE


def _header(old_path: str | None, new_path: str | None) -> list[bytes]:
    for path in (old_path, new_path):
        if path is not None and (not path or "\0" in path):
            raise ValueError("A path in a diff must not be empty or contain a NUL.")
    here = old_path if new_path is None else new_path
    if here is None:
        raise ValueError("A diff needs a path on at least one side.")
    there = here if old_path is None else old_path
    header = [b"diff --git %s %s\n" % (_quoted(b"a/" + _raw(there)), _quoted(b"b/" + _raw(here)))]
    if old_path is None:
        header.append(b"new file mode %s\n" % _MODE)
    if new_path is None:
        header.append(b"deleted file mode %s\n" % _MODE)
    return header


def _index(old: bytes, new: bytes, old_path: str | None, new_path: str | None) -> bytes:
    before = _ABSENT if old_path is None else git_blob_name(old).encode()
    after = _ABSENT if new_path is None else git_blob_name(new).encode()
    # A mode here is one that both sides have.
    mode = b"" if old_path is None or new_path is None else b" " + _MODE
    return b"index %s..%s%s\n" % (before, after, mode)


def _rename(old_path: str | None, new_path: str | None, kept: float) -> list[bytes]:
    if old_path is None or new_path is None or old_path == new_path:
        return []
    return [
        b"similarity index %d%%\n" % int(100 * kept),
        b"rename from %s\n" % _quoted(_raw(old_path)),
        b"rename to %s\n" % _quoted(_raw(new_path)),
    ]


def _side(prefix: bytes, path: str | None) -> bytes:
    return b"/dev/null" if path is None else _quoted(prefix + _raw(path))


def _raw(path: str) -> bytes:
    return path.encode("utf-8", errors="surrogateescape")


def _quoted(name: bytes) -> bytes:
    """Quote a name as git does with core.quotePath: C escapes, and octal for all but printable ASCII.

    Names with blanks are quoted too, which git reads but does not write: GNU patch cuts them at a blank,
    and unidiff takes `` b/`` for the beginning of the other name.
    """
    quoted = b"".join(_ESCAPES.get(byte) or _plain_or_octal(byte) for byte in name)
    if quoted == name and b" " not in name:
        return name
    return b'"%s"' % quoted.replace(b" b/", b"\\040b/")


def _plain_or_octal(byte: int) -> bytes:
    return bytes((byte,)) if _FIRST_PRINTABLE <= byte < _DELETE else b"\\%03o" % byte
