"""Has anything here changed since the last look? If not, `verso status` says again what it said then.

A look reads ten thousand bases, compares ten thousand files, and loads the libraries for it: most of the time
of a `status` that finds everything as it was. So a look at a folder at rest leaves a file behind: what it
said, and the stats of all that its answer came from (files, folders, the hidden directory's own, the ignore
files, this program). While they are all the same, the answer is the same. One that differs, and all is looked
at anew.

The rule is that of the stat cache: nothing is trusted that was modified within two seconds of the look, by
the file system's own clock. A folder whose stat is the same has the names that it had (POSIX: whoever makes,
removes or renames an entry marks the folder's times); that this file system does so is seen when the file
is written. It only saves time, and may be deleted. This module loads nothing but `os` and `sys`: Python's own
start is a third of what `git status` takes.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.client.scan import Scan

    Stat = tuple[int, ...]

_NAME = "glance.cache"
_MAGIC = b"verso glance 01\n"
_HIDDEN = ".verso-work"
_RACY_NS = 2_000_000_000
_SOURCES = ("config.json", "work.db", "work.db-wal", "mirror.db", "mirror.db-wal")
"""What an answer comes from, of the hidden directory. A write to a database changes its file or its log."""
_NOTHING = (0, 0, 0, 0, 0)


def sources(root: str) -> dict[str, Stat]:
    """Stats of all but the folder's files that an answer comes from; take them before you look."""
    return {name: _source(root, name) for name in (*(f"{_HIDDEN}/{name}" for name in _SOURCES), "")}


def remember(
    root: str, *, before: dict[str, Stat], began_ns: int, found: Scan, text: str, json: bytes
) -> bool:
    """Leave what a look said for the next one; whether that was possible.

    `before` and `began_ns` are from before the look: the sources, and the file system's time.
    """
    from array import array  # noqa: PLC0415 - only those who write it need it

    for name, stat in found.ignoring.items():
        before[name] = _source(root, name)
        if before[name] != _written(stat):
            return False  # edited meanwhile
    folders: dict[str, list[tuple[str, Stat]]] = {folder: [] for folder in found.folders}
    for local in found.files.values():
        folder, _, name = local.real.rpartition("/")
        folders[folder].append((name, local.stat))
    words = [root, text, json.decode(), str(len(before)), *before]
    stats = list(before.values())
    for folder, files in folders.items():
        words += [folder, str(len(files)), *(name for name, _ in files)]
        stats += [found.folders[folder], *(stat for _, stat in files)]
    body = "\0".join(words)
    newest = max(max(stat[1], stat[2]) for stat in stats)
    clear = body.count("\0") == len(words) - 1 and not found.problems and os.name != "nt"
    if newest + _RACY_NS >= began_ns or not clear:
        return False
    try:
        numbers = array("Q", [number for stat in stats for number in stat]).tobytes()
    except OverflowError:
        return False  # a time before 1970
    hidden = f"{root}/{_HIDDEN}"
    fresh = f"{hidden}/{_NAME}.{os.getpid()}"
    try:
        with open(fresh, "wb") as file:  # noqa: PTH123 - pathlib takes longer to load than all of this
            file.write(_MAGIC + len(numbers).to_bytes(8, sys.byteorder) + numbers)
            file.write(body.encode("utf-8", "surrogateescape"))
        # A file system that doesn't mark folders for their entries would hide a new file.
        if marks := _stat(hidden)[1] >= began_ns:
            os.replace(fresh, f"{hidden}/{_NAME}")  # noqa: PTH105
        else:
            os.unlink(fresh)  # noqa: PTH108
    except OSError:
        return False  # a full disk, or a folder that is for reading only: it would only save time
    return marks


def recall(start: str, *, as_json: bool) -> bytes | None:
    """What the last look at the working folder around `start` said, if it would say the same now."""
    root = _root(start)
    if root is None or os.name == "nt":
        return None
    try:
        with open(f"{root}/{_HIDDEN}/{_NAME}", "rb") as file:  # noqa: PTH123
            data = file.read()
        return _answer(root, data, as_json=as_json)
    except (OSError, ValueError, TypeError, IndexError):
        return None  # not there, damaged, or a file went; whoever looks will find out


def _answer(root: str, data: bytes, *, as_json: bool) -> bytes | None:
    start = len(_MAGIC) + 8
    end = start + int.from_bytes(data[len(_MAGIC) : start], sys.byteorder)
    if not data.startswith(_MAGIC):
        return None
    numbers = memoryview(data)[start:end].cast("Q")
    was, text, json, count, *words = data[end:].decode("utf-8", "surrogateescape").split("\0")
    at = int(count)
    have = [n for name in words[:at] for n in _source(root, name)]
    position = len(have)
    if was != root or have != numbers[:position].tolist():
        return None
    while at < len(words):
        folder, first = words[at], at + 2
        at = first + int(words[at + 1])
        have = _of_folder(f"{root}/{folder}", words[first:at])
        if have != numbers[position : position + len(have)].tolist():
            return None
        position += len(have)
    # A file that was cut off by a power failure names fewer folders than it has numbers for.
    whole = position == len(numbers)
    return (json if as_json else text).encode("utf-8", "surrogateescape") if whole else None


def _of_folder(folder: str, names: list[str]) -> list[int]:
    """The stats of a folder and of its files, one after the other: compared as a whole, for speed."""
    # From an open folder, for each name only itself has to be found: a quarter of the time.
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        stat, now = os.stat, os.fstat(here)
        found = [now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, now.st_mode]
        for name in names:
            now = stat(name, dir_fd=here, follow_symlinks=False)
            found += (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, now.st_mode)
    finally:
        os.close(here)
    return found


def _root(start: str) -> str | None:
    """The working folder, as `app.client.place.find_place` finds it."""
    while True:
        if os.path.isfile(f"{start}/{_HIDDEN}/config.json"):  # noqa: PTH113
            return start
        above = os.path.dirname(start)  # noqa: PTH120
        if above == start:
            return None
        start = above


def _source(root: str, name: str) -> Stat:
    # What a linked ignore file says is in its target.
    return _written(_stat(f"{root}/{name}" if name else __file__, follow=True))


def _written(stat: Stat) -> Stat:
    # SQLite gives its log the database's owner whenever root opens it: only what is written is looked at.
    size, written, _, inode, mode = stat
    return (size, written, written, inode, mode)


def _stat(path: str, *, follow: bool = False) -> Stat:
    try:
        now = os.stat(path, follow_symlinks=follow)  # noqa: PTH116
    except FileNotFoundError:
        return _NOTHING
    return (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, now.st_mode)
