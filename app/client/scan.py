"""The folder's files with their hashes: each is read again only when its stat says that it may be another.

The rule is that of git's index. A file whose size, times, inode and mode are those of the last time has the
content of the last time, unless it was modified so shortly before it was hashed that a later write may show
the same time ("racy"): such a file is read again. "Shortly before" is told by the file system's own clock,
since a file server's may differ from this machine's.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from typing import TYPE_CHECKING

import msgspec

from app.client.multipart import read_file
from app.client.place import HIDDEN
from app.errors import VersoError
from app.model import normal_path
from app.model.modes import EXECUTABLE, ORDINARY, SYMLINK
from app.sources.names import kept_out

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from app.client.work import Base
    from app.sources.filters import Filter

IGNORE_FILE = ".versoignore"
_RACY_NS = 2_000_000_000
"""The coarsest clock of a file system in use: FAT's, two seconds."""
_CACHE = "stat.cache"
_FORM = 2
_SPECIAL = re.compile(r"[\\*?\[\]]")
_ESCAPED = r"\\\g<0>"

Stat = tuple[int, int, int, int, int]
"""Size, mtime and ctime in ns, inode, mode."""


class Local(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A file of the folder: the document's path, the name on disk if it differs, content, mode and stat."""

    path: str
    real: str
    sha256: str
    size: int
    mode: str
    stat: Stat


class Scan(msgspec.Struct, frozen=True):
    """What the folder holds."""

    files: dict[str, Local]
    problems: dict[str, str]
    """Files that can't become documents, with why."""
    hashed: int
    """How many were read; 0 when nothing has changed since the last scan."""
    folders: dict[str, Stat] = {}
    """Those that were entered, by their name from the root (`""`), as they were before they were read."""
    ignoring: dict[str, Stat] = {}
    """The ignore files that were heeded, as they were before they were read."""


class _Cache(msgspec.Struct, frozen=True, array_like=True):
    form: int
    known: dict[str, Local]
    """By name on disk; only what may be trusted without reading the file."""


def scan(root: Path, *, bases: Mapping[str, Base], skip: Collection[str] = ()) -> Scan:
    """Walk the folder. What has a base is looked at even if it would be ignored; `skip` is left out.

    Raises VersoError `unreadable` for what can't be read: if it weren't seen, it would look deleted.
    """
    walk = _Walk(root, bases, skip)
    walk.enter(str(root), "")
    walk.keep()
    return Scan(walk.files, walk.problems, walk.hashed, walk.folders, walk.ignoring)


def stat_of(found: os.stat_result) -> Stat:
    """What of a stat tells whether a file is as it was."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, or of a symbolic link's target."""
    if path.is_symlink():
        return hashlib.sha256(link_target(path)).hexdigest()
    digest = hashlib.sha256()
    for piece in read_file(path):
        digest.update(piece)
    return digest.hexdigest()


def link_target(path: Path) -> bytes:
    """Where a symbolic link points to, as its document's content."""
    target = os.readlink(path)  # noqa: PTH115 - a Path would mend `./x` and `x/`, which are other bytes
    return os.fsencode(target.replace("\\", "/") if os.name == "nt" else target)


def file_system_time(hidden: Path) -> int:
    """Now, in ns, by the clock that gives files their times."""
    mark = hidden / "clock"
    mark.write_bytes(b"")
    os.utime(mark)
    return mark.stat().st_mtime_ns


def ignore_patterns(root: Path, folder: str = "") -> list[str]:
    """The patterns of a folder's .versoignore, as they would be written at the root."""
    try:
        lines = (root / folder / IGNORE_FILE).read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise VersoError("unreadable", f"{folder}/{IGNORE_FILE} can't be read: {error}.") from None
    patterns = [line for line in lines if line.strip() and not line.startswith("#")]
    return [_from_root(folder, pattern) for pattern in patterns] if folder else patterns


def _from_root(folder: str, pattern: str) -> str:
    """A pattern of a folder, which has no say outside of it (gitignore(5))."""
    takes_in = "!" if pattern.startswith("!") else ""
    body = pattern.removeprefix("!")
    # With a slash before its end a pattern is meant from its folder, without one at any depth below.
    anywhere = "" if "/" in body.rstrip().removesuffix("/") else "**/"
    return f"{takes_in}/{_SPECIAL.sub(_ESCAPED, folder)}/{anywhere}{body.removeprefix('/')}"


class _Walk:
    def __init__(self, root: Path, bases: Mapping[str, Base], skip: Collection[str]) -> None:
        self.files: dict[str, Local] = {}
        self.problems: dict[str, str] = {}
        self.hashed = 0
        self.folders: dict[str, Stat] = {}
        self.ignoring: dict[str, Stat] = {}
        self._patterns: list[str] = []
        self._root = root
        self._hidden = root / HIDDEN
        self._bases = bases
        self._skip = set(skip)
        self._ignoring: Filter | None = None
        self._known_folders: set[str] = set()
        for path in bases:
            folder = path.rpartition("/")[0]
            while folder and folder not in self._known_folders:
                self._known_folders.add(folder)
                folder = folder.rpartition("/")[0]
        self._cached = _load(self._hidden)
        self._known: dict[str, Local] = {}
        self._now: int | None = None
        self._windows = os.name == "nt"

    def enter(self, folder: str, prefix: str) -> None:
        """Take in a folder's files and those below it."""
        try:
            self.folders[prefix.rstrip("/")] = stat_of(os.lstat(folder))
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            raise VersoError(
                "unreadable", f"{folder} can't be read: {error.strerror}.", path=prefix
            ) from None
        if any(entry.name == IGNORE_FILE for entry in found):
            self._heed(prefix)
        cached, bases, known, files = self._cached, self._bases, self._known, self.files
        for entry in found:
            real = prefix + entry.name
            before = cached.get(real)
            if before is not None and before.path == real and (base := bases.get(real)) and not base.plain:
                # What is as it was: nearly all of ten thousand files, so this is all that is done for them.
                is_now = self._stat(entry)
                if before.stat == is_now:
                    known[real] = files[real] = before
                    continue
            self._enter(entry, real)

    def _enter(self, entry: os.DirEntry[str], real: str) -> None:
        """Take in what isn't a document that is as it was."""
        path = real if real.isascii() else unicodedata.normalize("NFC", real)
        if entry.is_dir(follow_symlinks=False):
            if entry.name in {HIDDEN, ".git"}:
                return
            if path in self._known_folders or not self._ignored(path, is_dir=True):
                self.enter(entry.path, real + "/")
        elif path not in self._skip and (path in self._bases or not self._ignored(path, is_dir=False)):
            now = self._stat(entry)
            if now is not None:
                self._look(entry, real, path, now)

    def keep(self) -> None:
        """Write the cache, if anything in it is new."""
        if self._known.keys() != self._cached.keys() or self.hashed:
            written = self._hidden / f"{_CACHE}.{os.getpid()}"
            written.write_bytes(msgspec.msgpack.encode(_Cache(_FORM, self._known)))
            written.replace(self._hidden / _CACHE)

    def _heed(self, prefix: str) -> None:
        """Take in a folder's ignore file; of rules, the deeper one says."""
        file = self._root / f"{prefix}{IGNORE_FILE}"
        self.ignoring[f"{prefix}{IGNORE_FILE}"] = stat_of(file.stat()) if file.exists() else (0, 0, 0, 0, 0)
        self._patterns += ignore_patterns(self._root, prefix.rstrip("/"))
        self._ignoring = None

    def _ignored(self, path: str, *, is_dir: bool) -> bool:
        if self._ignoring is None:
            from app.sources.filters import Filter  # noqa: PLC0415 - most scans meet nothing new

            self._ignoring = Filter(exclude=self._patterns)
        return self._ignoring.verdict(path, is_dir=is_dir) is not None

    def _stat(self, entry: os.DirEntry[str]) -> Stat | None:
        try:
            # A directory entry of Windows has no inode, and its times may be old.
            found = os.lstat(entry.path) if self._windows else entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None  # it went while we looked
        return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode)

    def _look(self, entry: os.DirEntry[str], real: str, path: str, now: Stat) -> None:
        """Take in a file that is new, or may have changed."""
        known = self._cached.get(real)
        base = self._bases.get(path)
        if not stat.S_ISLNK(now[4]) and not stat.S_ISREG(now[4]):
            self.problems[path] = "is neither a file nor a symbolic link"
            return
        if base is None and (why := _fault(path)) is not None:
            self.problems[path.encode("utf-8", "replace").decode()] = why
            return
        if path in self.files or (real != path and os.path.lexists(self._root / path)):
            # Two spellings of one name: the document is the one that is spelt as documents are.
            self.problems[f"{path} (another spelling)"] = "has the name of another file, in other code points"
            if real != path:
                return
        trusted = known is not None and known.stat == now
        if known is not None and trusted:
            sha256 = known.sha256
        else:
            hashed = self._hash(entry, now)
            if hashed is None:
                return
            sha256, now = hashed
            trusted = max(now[1], now[2]) + _RACY_NS < (self._now or 0)
        local = Local(path, real, sha256, now[0], self._mode(base, now[4]), now)
        self.files[path] = local
        if trusted:
            self._known[real] = local

    def _hash(self, entry: os.DirEntry[str], before: Stat) -> tuple[str, Stat] | None:
        if self._now is None:
            self._now = file_system_time(self._hidden)
        self.hashed += 1
        path = self._root / entry.path
        try:
            while True:
                sha256 = hash_file(path)
                after = stat_of(os.lstat(path))
                if after == before:
                    return sha256, after
                before = after  # it was written while it was read
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VersoError("unreadable", f"{entry.path} can't be read: {error.strerror}.") from None

    def _mode(self, base: Base | None, mode: int) -> str:
        if stat.S_ISLNK(mode):
            return SYMLINK
        if base is not None and (base.plain or (self._windows and base.mode == EXECUTABLE)):
            return base.mode
        return EXECUTABLE if mode & stat.S_IXUSR and not self._windows else ORDINARY


def _fault(path: str) -> str | None:
    try:
        path.encode()
        normal_path(path)
    except UnicodeEncodeError:
        return "has a name that isn't UTF-8"
    except VersoError as error:
        return f"can't be a document: {error.sentence}"
    return kept_out(path, windows=False)


def _load(hidden: Path) -> dict[str, Local]:
    try:
        cache = msgspec.msgpack.decode((hidden / _CACHE).read_bytes(), type=_Cache)
    except (OSError, msgspec.DecodeError):
        return {}  # it only saves time
    return cache.known if cache.form == _FORM else {}
