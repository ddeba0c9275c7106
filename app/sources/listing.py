"""What a source is, and the rules that hold for each: names, links, limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from app.errors import VersoError
from app.model import LeftOut, normal_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.sources.filters import Filter

MIB = 1024 * 1024
PIECE = 256 * 1024
RATIO_FROM = 16 * MIB
"""Below this size nothing is a bomb, however well it was compressed: a page of blanks is."""


@dataclass(frozen=True)
class Limits:
    """What a source may hold. Bytes, except `files` and `ratio`."""

    files: int = 200_000
    total: int = 20 * 1024 * MIB
    file: int = 2048 * MIB
    ratio: int = 200
    """The most bytes that an archive may hold for each of its own."""


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a source. `read` gives its bytes anew: exactly `size` of them, or VersoError."""

    path: str
    size: int
    mode: str | None
    """100755 or 120000; None for ordinary files."""
    read: Callable[[], Iterator[bytes]]


class Source(Protocol):
    """What is imported. `files` can be walked more than once; `left_out` is filled by each walk anew."""

    @property
    def left_out(self) -> list[LeftOut]:
        """What the last walk didn't take."""

    def files(self) -> Iterator[File]:
        """The files in the order in which they are best read."""


@dataclass
class Walk:
    """One walk of a source: which names were taken, and how much."""

    chosen: Filter
    limits: Limits
    compressed: int | None = None
    """The archive's own size; None for a folder."""
    left_out: list[LeftOut] = field(default_factory=list)
    _taken: dict[str, str] = field(default_factory=dict)
    _bytes: int = 0

    def skip(self, path: str, reason: str) -> None:
        """Leave a path out."""
        self.left_out.append(LeftOut(path.encode("utf-8", "replace").decode(), reason))

    def take(self, name: str, size: int) -> str | None:
        """The document path for a file's name, or None when it is left out. Raises VersoError at a limit."""
        try:
            path = normal_path(name)
        except VersoError as error:
            self.skip(name, error.sentence)
            return None
        reason = self.chosen.verdict(path)
        if reason is None and path in self._taken:
            reason = f"has the same name as {self._taken[path]}"
        if reason is None and size > self.limits.file:
            reason = f"is larger than {self.limits.file:,} bytes"
        if reason is not None:
            self.skip(name, reason)
            return None
        self._taken[path] = name
        self._count(size)
        return path

    def _count(self, size: int) -> None:
        self._bytes += size
        if len(self._taken) > self.limits.files:
            raise refused(f"it holds more than {self.limits.files:,} files")
        if self._bytes > self.limits.total:
            raise refused(f"it holds more than {self.limits.total:,} bytes")
        if self.compressed is not None and self._bytes > max(RATIO_FROM, self.compressed * self.limits.ratio):
            raise refused(f"it would grow to more than {self.limits.ratio} times its size")


def exactly(pieces: Iterator[bytes], size: int, path: str) -> Iterator[bytes]:
    """The pieces of a file whose size was told before. Raises VersoError `file_changed`."""
    came = 0
    for piece in pieces:
        came += len(piece)
        if came > size:
            break
        yield piece
    if came != size:
        raise VersoError(
            "file_changed", f"{path} was written to while it was read. Run the import again.", path=path
        )


def refused(why: str) -> VersoError:
    """The refusal of a source as a whole."""
    return VersoError("archive_refused", f"This is not imported: {why}.")
