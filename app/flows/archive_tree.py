"""The tree at a point as one archive: zip, or gzipped tar in POSIX (pax) form.

The same tree gives the same bytes, from any process of the same build of Verso and zlib: entries in byte
order of their paths, their times those of the changes that wrote them, no owners, no clock. The archive
streams: a few megabytes of memory whatever its size, blobs fetched a few ahead. What was erased is a note.

Executable documents are executable, and links that stay inside are links. Any other link is a file that
holds its target, as Git writes it where there are no links: nothing that is unpacked leads out.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import tarfile
import zipfile
from datetime import UTC
from stat import S_IFLNK, S_IFREG
from typing import TYPE_CHECKING, Any, Literal, Protocol

from app.errors import VersoError
from app.flows.fetch_ahead import fetch_ahead
from app.flows.read_content import read_content
from app.model import erased_note
from app.model.modes import EXECUTABLE, SYMLINK
from app.supabase.cache import Content

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from app.model import Version, VersionRead
    from app.supabase.answers import Contents
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger

Format = Literal["zip", "tar.gz"]
PAGE = 200
AHEAD = 8
"""How many blobs are fetched before their turn."""
_BLOCK = 512
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_LONGEST_TARGET = 4096
"""Bytes of a link's target: no system takes more."""
_NO_BACKSLASH = "\N{REVERSE SOLIDUS OPERATOR}"
"""Looks like a backslash, and is a letter to every system."""


async def read_tree(
    ledger: Ledger, *, actor: Actor, project: str, first: Contents, prefix: str
) -> AsyncIterator[VersionRead]:
    """Every version of a tree, a page at a time, steadily at the change that the first page is of."""
    page = first
    while True:
        for read in page.reads:
            yield read
        if len(page.reads) < PAGE:
            return
        page = await ledger.list_contents(
            actor.token,
            project=project,
            at=str(first.sequence),
            prefix=prefix,
            after=page.reads[-1].version.path,
            page_size=PAGE,
        )


async def archive_tree(
    reads: AsyncIterator[VersionRead],
    blobs: Blobs,
    *,
    actor: Actor,
    form: Format,
    stays_inside: Callable[[str, str], bool],
) -> AsyncIterator[bytes]:
    """The archive's bytes; `stays_inside` says of a path and a target whether that may be a link.

    Raises VersoError when a content cannot be had; the archive then ends early.
    """
    sink = _Sink()
    archive: _Archive = _Zip(sink) if form == "zip" else _Tar(sink)

    async def fetch(read: VersionRead) -> Content:
        try:
            return await read_content(blobs, actor=actor, read=read)
        except VersoError as error:
            if error.code != "content_erased":
                raise
            note = erased_note(read.version.sha256 or "")
            return Content(size=len(note), data=note)

    async for read, content in fetch_ahead(reads, fetch, ahead=AHEAD):
        with content:
            target = await _target(read.version, content, stays_inside)
            if target is not None:
                archive.link(read.version, target)
                continue
            archive.begin(read.version, content.size)
            async for piece in content.chunks(0, content.size):
                await asyncio.to_thread(archive.write, piece)  # compressing is work
                yield sink.take()
            archive.end()
        yield sink.take()
    archive.close()
    yield sink.take()


async def _target(version: Version, content: Content, stays_inside: Callable[[str, str], bool]) -> str | None:
    """Where a link leads that may be one in an archive; None of anything else."""
    if version.mode != SYMLINK or content.size > _LONGEST_TARGET:
        return None
    data = await content.read()
    if hashlib.sha256(data).hexdigest() != version.sha256:  # the note of what was erased
        return None
    try:
        target = data.decode()
    except UnicodeDecodeError:
        return None
    return target if stays_inside(version.path, target) else None


class _Sink(io.RawIOBase):
    """Takes what an archive writes and gives it away; it can't be read or sought."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._taken += view
        return len(view)

    def take(self) -> bytes:
        taken, self._taken = bytes(self._taken), bytearray()
        return taken


class _Archive(Protocol):
    def link(self, version: Version, target: str) -> None: ...
    def begin(self, version: Version, size: int) -> None: ...
    def write(self, piece: bytes) -> None: ...
    def end(self) -> None: ...
    def close(self) -> None: ...


class _Zip:
    def __init__(self, sink: _Sink) -> None:
        self._zip = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED)
        self._names: set[str] = set()

    def link(self, version: Version, target: str) -> None:
        self._zip.writestr(self._entry_of(version, S_IFLNK | 0o777), target)

    def begin(self, version: Version, size: int) -> None:
        entry = self._entry_of(version, S_IFREG | _permissions(version))
        self._entry = self._zip.open(entry, "w", force_zip64=size >= zipfile.ZIP64_LIMIT // 2)

    def _entry_of(self, version: Version, mode: int) -> zipfile.ZipInfo:
        moment = version.change.committed_at.astimezone(UTC).timetuple()[:6]
        # Windows takes a backslash for a folder: what is one name here must not become a way out there.
        name = version.path.replace("\\", _NO_BACKSLASH)
        while name in self._names:
            name += "_"
        self._names.add(name)
        entry = zipfile.ZipInfo(name, max(moment, _ZIP_EPOCH))
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = mode << 16
        entry.create_system = 3
        return entry

    def write(self, piece: bytes) -> None:
        self._entry.write(piece)

    def end(self) -> None:
        self._entry.close()

    def close(self) -> None:
        self._zip.close()


class _Tar:
    def __init__(self, sink: _Sink) -> None:
        self._gzip = gzip.GzipFile("", "wb", mtime=0, fileobj=sink)

    def link(self, version: Version, target: str) -> None:
        entry = self._entry_of(version, 0o777)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._gzip.write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))

    def begin(self, version: Version, size: int) -> None:
        entry = self._entry_of(version, _permissions(version))
        entry.size = size
        self._padding = -size % _BLOCK
        self._gzip.write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))

    @staticmethod
    def _entry_of(version: Version, mode: int) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(version.path)
        entry.mode = mode
        entry.mtime = int(version.change.committed_at.timestamp())
        return entry

    def write(self, piece: bytes) -> None:
        self._gzip.write(piece)

    def end(self) -> None:
        self._gzip.write(b"\0" * self._padding)

    def close(self) -> None:
        self._gzip.write(b"\0" * (2 * _BLOCK))
        self._gzip.close()


def _permissions(version: Version) -> int:
    return 0o755 if version.mode == EXECUTABLE else 0o644
