"""A folder on this machine. Links are never followed: what they point to is not what was asked for."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from app.model.modes import EXECUTABLE, SYMLINK
from app.sources.listing import PIECE, File, Limits, Walk, exactly
from app.sources.names import stays_inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from app.model import LeftOut
    from app.sources.filters import Filter


class FolderSource:
    """The files of a folder, by name."""

    def __init__(self, root: Path, chosen: Filter, limits: Limits) -> None:
        self._root = root
        self._chosen = chosen
        self._limits = limits
        self._walk = Walk(chosen, limits)

    @property
    def left_out(self) -> list[LeftOut]:
        """What the last walk didn't take."""
        return self._walk.left_out

    def files(self) -> Iterator[File]:
        """Walk the folder."""
        self._walk = Walk(self._chosen, self._limits)
        yield from self._enter(str(self._root), "")

    def _enter(self, folder: str, prefix: str) -> Iterator[File]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._walk.skip(prefix or ".", f"can't be read ({error.strerror})")
            return
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                reason = self._chosen.verdict(name, is_dir=True)
                if reason is None:
                    yield from self._enter(entry.path, f"{name}/")
                else:
                    self._walk.skip(f"{name}/", reason)
                continue
            file = self._file(entry, name)
            if file is not None:
                yield file

    def _file(self, entry: os.DirEntry[str], name: str) -> File | None:
        try:
            facts = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(facts.st_mode):
                return self._link(entry, name)
        except OSError as error:
            self._walk.skip(name, f"can't be read ({error.strerror})")
            return None
        if not stat.S_ISREG(facts.st_mode):
            self._walk.skip(name, "is no file (a device, a socket or a pipe)")
            return None
        if not os.access(entry.path, os.R_OK):
            self._walk.skip(name, "can't be read")
            return None
        path = self._walk.take(name, facts.st_size)
        if path is None:
            return None
        executable = os.name != "nt" and facts.st_mode & stat.S_IXUSR
        return File(
            path=path,
            size=facts.st_size,
            mode=EXECUTABLE if executable else None,
            read=lambda: exactly(_read(entry.path), facts.st_size, name),
        )

    def _link(self, entry: os.DirEntry[str], name: str) -> File | None:
        target = os.readlink(entry.path).replace(os.sep, "/")  # noqa: PTH115 - a Path would mend `./x`
        if not stays_inside(name, target):
            self._walk.skip(name, "is a link that leads out of the folder")
            return None
        data = os.fsencode(target)
        path = self._walk.take(name, len(data))
        return (
            None
            if path is None
            else File(path=path, size=len(data), mode=SYMLINK, read=lambda: iter((data,)))
        )


def _read(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:  # noqa: PTH123 - a name that is no text is a path all the same
        while piece := file.read(PIECE):
            yield piece
