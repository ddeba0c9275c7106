"""Zip and tar. Nothing is unpacked to the disk.

Archives come from anywhere: names that lead out refuse them whole, and sizes are held to what was said.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

from app.errors import VersoError
from app.model.modes import EXECUTABLE, SYMLINK
from app.sources.listing import PIECE, File, Limits, Walk, exactly, refused
from app.sources.names import stays_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.model import LeftOut
    from app.sources.filters import Filter

_LONGEST_LINK = 4096
_ENCRYPTED = 0x1


class _Archive:
    def __init__(self, size: int, chosen: Filter, limits: Limits, strip: int) -> None:
        self._size = size
        self._chosen = chosen
        self._limits = limits
        self._strip = strip
        self._walk = Walk(chosen, limits, size)

    @property
    def left_out(self) -> list[LeftOut]:
        """What the last walk didn't take."""
        return self._walk.left_out

    def _begin(self) -> Walk:
        self._walk = Walk(self._chosen, self._limits, self._size)
        return self._walk

    def _name(self, name: str) -> str | None:
        """A member's name without the folders that are stripped; a name that leads out refuses all."""
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or name[1:2] == ":":
            raise refused(f"it has a name that leads out of it ({name[:200]!r})")
        parts = [part for part in parts if part not in {"", "."}][self._strip :]
        return "/".join(parts) or None

    def _made(self, name: str, size: int, mode: int, opened: Callable[[], IO[bytes]]) -> File | None:
        """A member as a file, its link read, or None when it is left out."""
        if stat.S_ISLNK(mode):
            with opened() as file:
                data = file.read(_LONGEST_LINK + 1)
            return self._link(name, data)
        path = self._walk.take(name, size)
        if path is None:
            return None
        executable = EXECUTABLE if mode & stat.S_IXUSR else None
        return File(
            path=path, size=size, mode=executable, read=lambda: exactly(_pieces(opened, name), size, name)
        )

    def _link(self, name: str, data: bytes) -> File | None:
        target = data.decode("utf-8", "surrogateescape")
        if len(data) > _LONGEST_LINK or not stays_inside(name, target):
            self._walk.skip(name, "is a link that leads out of the archive")
            return None
        path = self._walk.take(name, len(data))
        return (
            None
            if path is None
            else File(path=path, size=len(data), mode=SYMLINK, read=lambda: iter((data,)))
        )


class ZipSource(_Archive):
    """The files of a zip."""

    def __init__(
        self, file: zipfile.ZipFile, size: int, chosen: Filter, limits: Limits, strip: int = 0
    ) -> None:
        super().__init__(size, chosen, limits, strip)
        self._file = file

    def files(self) -> Iterator[File]:
        """Walk the central directory; sizes are those that it says, and reading holds it to them."""
        walk = self._begin()
        for info in self._file.infolist():
            name = self._name(info.filename)
            if name is None or info.is_dir():
                continue
            if info.flag_bits & _ENCRYPTED:
                walk.skip(name, "is encrypted")
                continue
            found = self._made(
                name,
                info.file_size,
                info.external_attr >> 16,
                lambda info=info: self._file.open(info),  # type: ignore[misc]
            )
            if found is not None:
                yield found


class TarSource(_Archive):
    """The files of a tar, compressed or not."""

    def __init__(
        self, tar: tarfile.TarFile, size: int, chosen: Filter, limits: Limits, strip: int = 0
    ) -> None:
        super().__init__(size, chosen, limits, strip)
        self._tar = tar

    def files(self) -> Iterator[File]:
        """Walk the members in their order; read each as it comes, because going back costs a new start."""
        walk = self._begin()
        # Not getmembers(): a bomb is noticed at its limit, not after its end.
        for seen, info in enumerate(self._members(), 1):
            if seen > self._limits.files * 2:
                raise refused(f"it holds more than {self._limits.files:,} files")
            name = self._name(info.name)
            if name is None or info.isdir():
                continue
            if info.issym():
                found = self._link(name, info.linkname.encode("utf-8", "surrogateescape"))
            elif info.isreg():
                found = self._made(name, info.size, info.mode, lambda info=info: self._opened(info))  # type: ignore[misc]
            else:
                walk.skip(name, "is no file (a hard link, a device or a pipe)")
                continue
            if found is not None:
                yield found

    def _members(self) -> Iterator[tarfile.TarInfo]:
        try:
            yield from self._tar
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise VersoError(
                "source_unreadable", f"The archive is damaged: {error}. Get it anew, or pack it again."
            ) from None

    def _opened(self, info: tarfile.TarInfo) -> IO[bytes]:
        file = self._tar.extractfile(info)
        if file is None:
            raise VersoError("source_unreadable", f"{info.name} can't be read.")
        return file


def _pieces(opened: Callable[[], IO[bytes]], name: str) -> Iterator[bytes]:
    try:
        with opened() as file:
            while piece := file.read(PIECE):
                yield piece
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, zlib.error, RuntimeError) as error:
        raise VersoError(
            "source_unreadable", f"{name} in the archive is damaged: {error}. Get it anew, or pack it again."
        ) from None
    except NotImplementedError as error:
        raise VersoError(
            "source_unreadable", f"{name}: {error}. Unpack the archive and import the folder."
        ) from None
