"""Contents by their SHA-256: small ones packed in the mirror's database, large ones as files beside it.

Nothing is stored before its hash was computed here, and read bytes are hashed again: a disk may err, too.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.client.multipart import read_file
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from app.client.store import Store

LARGE = 1024 * 1024
"""From this many bytes on a content is a file of its own, so that memory stays flat."""
_LEVEL = 3
TABLES = """
create table contents (
  sha256 text primary key, size integer not null, packed blob,  -- null: a file, or erased
  erased integer not null default 0
) strict, without rowid;
"""


class Contents:
    """The contents that this machine holds of a project."""

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._directory = directory

    def has(self, sha256: str) -> bool:
        """Whether the bytes are here."""
        found = self._row(sha256)
        return found is not None and not found[2]

    def is_erased(self, sha256: str) -> bool:
        """Whether the server said that the bytes were erased."""
        found = self._row(sha256)
        return found is not None and bool(found[2])

    def read(self, sha256: str) -> bytes:
        """All bytes of a content. Raises VersoError `content_absent`, `content_erased`, `mirror_damaged`."""
        with self.open(sha256) as pieces:
            return b"".join(pieces)

    @contextmanager
    def open(self, sha256: str) -> Iterator[Iterator[bytes]]:
        """A content's bytes piece by piece; the last piece comes only if they hash to their name."""
        found = self._row(sha256)
        if found is None:
            raise VersoError(
                "content_absent",
                "These bytes are not on this machine yet. `verso pull --all` fetches what is missing.",
                sha256=sha256,
            )
        size, packed, erased = found
        if erased:
            raise VersoError("content_erased", "The bytes of this version were erased.", sha256=sha256)
        pieces = read_file(self._place(sha256)) if packed is None else _unpacked(packed)
        yield self._checked(sha256, size, pieces)

    def add(self, sha256: str, size: int, pieces: Iterable[bytes]) -> None:
        """Keep bytes under their name. Raises VersoError `content_altered` when they hash to another one."""
        if size < LARGE:
            data = b"".join(pieces)
            if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
                raise _altered(sha256)
            packed = zlib.compress(data, _LEVEL)
        else:
            self._add_file(sha256, size, pieces)
            packed = None
        self._store.sql.execute(
            "insert into contents values (?, ?, ?, 0) on conflict (sha256) do update set "
            "size = excluded.size, packed = excluded.packed, erased = 0",
            (sha256, size, packed),
        )

    def note_erased(self, sha256: str) -> None:
        """Remember that the server has these bytes no more."""
        self._store.sql.execute("insert or ignore into contents values (?, 0, null, 1)", (sha256,))

    def forget(self, sha256: str) -> None:
        """Drop a content, so that it is fetched again."""
        self._store.sql.execute("delete from contents where sha256 = ?", (sha256,))

    def _row(self, sha256: str) -> tuple[int, bytes | None, int] | None:
        found: tuple[int, bytes | None, int] | None = self._store.sql.execute(
            "select size, packed, erased from contents where sha256 = ?", (sha256,)
        ).fetchone()
        return found

    def _place(self, sha256: str) -> Path:
        return self._directory / sha256[:2] / sha256

    def _add_file(self, sha256: str, size: int, pieces: Iterable[bytes]) -> None:
        place = self._place(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        written = place.with_name(f"{sha256}.{os.getpid()}.part")
        digest, count = hashlib.sha256(), 0
        try:
            with written.open("wb") as file:
                for piece in pieces:
                    digest.update(piece)
                    count += len(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            if count != size or digest.hexdigest() != sha256:
                raise _altered(sha256)
            written.replace(place)
        finally:
            written.unlink(missing_ok=True)

    def _checked(self, sha256: str, size: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
        digest, count = hashlib.sha256(), 0
        held: bytes | None = None
        try:
            for piece in pieces:
                digest.update(piece)
                count += len(piece)
                if held is not None:
                    yield held
                held = piece
        except (OSError, zlib.error) as error:
            self.forget(sha256)
            raise _damaged(sha256) from error
        if count != size or digest.hexdigest() != sha256:
            self.forget(sha256)
            raise _damaged(sha256)
        if held is not None:
            yield held


def _unpacked(packed: bytes) -> Iterator[bytes]:
    yield zlib.decompress(packed)


def _altered(sha256: str) -> VersoError:
    return VersoError(
        "content_altered",
        f"The bytes that came are not those of {sha256}. Run the command again.",
        sha256=sha256,
    )


def _damaged(sha256: str) -> VersoError:
    return VersoError(
        "mirror_damaged",
        "A content of the mirror was damaged on this disk and dropped. `verso pull --all` fetches it again.",
        sha256=sha256,
    )
