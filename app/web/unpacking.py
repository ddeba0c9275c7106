"""An archive that somebody sent, taken apart in one pass and in bounded memory.

The rules for names, links and sizes are those of `verso import` (`app.sources`). What an uploaded one
may do besides is bounded here: how long a zip's directory is, how much a tar.gz grows to and how much of it
is read at once, and which compressions are read at all.
"""

from __future__ import annotations

import asyncio
import errno
import gzip
import hashlib
import io
import struct
import tarfile
import tempfile
import threading
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.model import LeftOut
from app.sources.archive import TarSource, ZipSource
from app.sources.filters import Filter
from app.sources.listing import MIB, RATIO_FROM, Limits, refused
from app.supabase.cache import IN_MEMORY_SIZE
from app.supabase.spool import PREFIX
from app.supabase.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.settings import Settings
    from app.sources.listing import File, Source

MOST_DIRECTORY = 32 * MIB
"""The longest directory of a zip: Python reads it whole. 10,000 files with long names have less."""
MOST_AT_ONCE = 4 * MIB
"""The most bytes that one read of a tar may ask for: the longest header that it may have."""
MOST_IN_MEMORY = 64 * MIB
"""Small files of one archive wait in memory up to so many bytes; the others in files."""
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error),
    *(EOFError, OSError, ValueError, NotImplementedError),
)
"""What Python's readers raise for bytes that are none of what they read."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_SIZE, _LOCATOR_SIZE, _END64_SIZE, _LONGEST_COMMENT = 22, 20, 56, 65_535


class Unpacked(msgspec.Struct, frozen=True):
    """A file of an archive, waiting to be stored."""

    path: str
    mode: str | None
    upload: Upload


class Archive:
    """What an archive held. Whoever gets it closes it."""

    def __init__(self) -> None:
        self.files: list[Unpacked] = []
        self.left_out: list[LeftOut] = []

    def close(self) -> None:
        """Remove what waits in files."""
        for each in self.files:
            each.upload.discard()


def limits_of(settings: Settings) -> Limits:
    """What an archive may hold: as much as a change."""
    return Limits(
        files=settings.max_files_per_change, total=settings.max_change_size, file=settings.max_upload_size
    )


class GivenUpError(Exception):
    """Nobody waits for what is being unpacked any more."""


async def unpacked(upload: Upload, settings: Settings, *, strip: int) -> Archive:
    """`unpack` in a thread. Who is cancelled meanwhile leaves nothing behind, neither files nor work.

    A thread can't be cancelled: it is told, and ends at the next piece. What it had just finished is removed.
    """
    given_up = threading.Event()
    work = asyncio.ensure_future(
        asyncio.to_thread(unpack, upload, settings, strip=strip, given_up=given_up.is_set)
    )
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        given_up.set()
        work.add_done_callback(_close)
        raise


def _close(work: asyncio.Future[Archive]) -> None:
    if not work.cancelled() and work.exception() is None:
        work.result().close()


def unpack(
    upload: Upload, settings: Settings, *, strip: int, given_up: Callable[[], bool] = lambda: False
) -> Archive:
    """All files of a zip, tar or tar.gz. Blocks: call it in a thread.

    `strip` leaves out that many outermost folders. Raises VersoError `archive_refused`, `source_unreadable`,
    and GivenUpError soon after `given_up` says so; then nothing is left behind.
    """
    limits, archive = limits_of(settings), Archive()
    try:
        with _opened(upload, limits, strip) as source:
            in_memory = 0
            for file in source.files():
                room = MOST_IN_MEMORY - in_memory
                taken = _taken(
                    file, settings.spool_dir, in_memory=min(IN_MEMORY_SIZE, room), given_up=given_up
                )
                in_memory += len(taken.data or b"")
                archive.files.append(Unpacked(path=file.path, mode=file.mode, upload=taken))
            archive.left_out = source.left_out
    except BaseException:
        archive.close()
        raise
    return archive


@contextmanager
def _opened(upload: Upload, limits: Limits, strip: int) -> Iterator[Source]:
    chosen = Filter()
    with io.BytesIO(upload.read()) if upload.path is None else upload.path.open("rb") as raw:
        try:
            if zipfile.is_zipfile(raw):
                _check_directory(raw, upload.size)
                with zipfile.ZipFile(raw) as found:
                    _check_members(found, limits)
                    yield ZipSource(found, upload.size, chosen, limits, strip)
                return
            raw.seek(0)
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if packed else raw as plain:
                metered = _Metered(plain, most=_most(limits, upload.size))
                with tarfile.open(fileobj=metered, mode="r:") as tar:  # type: ignore[call-overload]
                    yield TarSource(tar, upload.size, chosen, limits, strip)
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                raise VersoError(
                    "disk_full", "This server's disk is full. Nothing was changed; try again later."
                ) from error
            raise VersoError(
                "source_unreadable", "This is no zip and no tar.gz, or it is damaged. Pack it again, please."
            ) from None


class _Metered:
    """A tar's bytes, counted as they are unpacked: what is left out is unpacked, too."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, *, most: int) -> None:
        self._file = file
        self._most = most
        self._furthest = 0

    def read(self, size: int) -> bytes:
        """Read, not too much at once and in all."""
        if size > MOST_AT_ONCE:
            raise refused("it has a header that is too long")
        data = self._file.read(size)
        self._furthest = max(self._furthest, self._file.tell())
        if self._furthest > self._most:
            raise refused("it would grow to more than this takes in one change, or than its size explains")
        return data

    def seek(self, position: int) -> int:
        """Go on to a place in steps, so that what a bomb holds is counted while it comes."""
        while position > (at := self._file.tell()):
            if not self.read(min(MIB, position - at)):
                return at
        return self._file.seek(position)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()


def _most(limits: Limits, size: int) -> int:
    # A tar has a header of 512 bytes and padding around each file, and longer headers for long names.
    grown = limits.total + limits.files * 4096
    return min(grown, max(RATIO_FROM, size * limits.ratio) + limits.files * 4096)


def _check_directory(raw: IO[bytes], size: int) -> None:
    """How long the directory is that a zip says it has, before Python reads it whole."""
    tail = min(size, _END_SIZE + _LONGEST_COMMENT + _LOCATOR_SIZE)
    raw.seek(size - tail)
    found = raw.read(tail)
    at = found.rfind(_END)
    if at < 0:
        raise zipfile.BadZipFile
    length = struct.unpack_from("<L", found, at + 12)[0]
    if found[max(0, at - _LOCATOR_SIZE) : at].startswith(_LOCATOR):
        raw.seek(max(0, size - tail + at - _LOCATOR_SIZE - _END64_SIZE))
        end = raw.read(_END64_SIZE)
        if end.startswith(_END64):
            length = struct.unpack_from("<Q", end, 40)[0]
    if length > MOST_DIRECTORY:
        raise refused("it lists more files than one change may have")
    raw.seek(0)


def _check_members(found: zipfile.ZipFile, limits: Limits) -> None:
    infos = found.infolist()
    if len(infos) > limits.files * 2:
        raise refused(f"it holds more than {limits.files:,} files")
    for info in infos:
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} and not info.flag_bits & 1:
            raise refused("it is compressed in a way that isn't read here. Pack it as an ordinary zip")


def _taken(file: File, directory: Path | None, *, in_memory: int, given_up: Callable[[], bool]) -> Upload:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    if given_up():
        raise GivenUpError
    if file.size <= in_memory:
        return Upload.of(b"".join(file.read()))
    with tempfile.NamedTemporaryFile(dir=directory, prefix=PREFIX, delete=False) as spooled:
        path = Path(spooled.name)
        try:
            for piece in file.read():
                sha256.update(piece)
                md5.update(piece)
                spooled.write(piece)
                if given_up():
                    raise GivenUpError  # noqa: TRY301 - the file goes with it
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return Upload(sha256=sha256.hexdigest(), md5=md5.hexdigest(), size=file.size, path=path)
