"""A folder, a zip or a tar on this machine as a source."""

from __future__ import annotations

import tarfile
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.errors import VersoError
from app.sources.archive import TarSource, ZipSource
from app.sources.folder import FolderSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from app.sources.filters import Filter
    from app.sources.listing import Limits, Source


@contextmanager
def open_source(path: Path, chosen: Filter, limits: Limits, *, strip: int = 0) -> Iterator[Source]:
    """What is at a path, as a source. `strip` leaves out that many leading folders of an archive's names.

    Raises VersoError `source_unreadable`, `archive_refused`.
    """
    if path.is_dir():
        yield FolderSource(path, chosen, limits)
        return
    opened = _opened(path)
    size = path.stat().st_size
    with opened:
        if isinstance(opened, zipfile.ZipFile):
            yield ZipSource(opened, size, chosen, limits, strip)
        else:
            yield TarSource(opened, size, chosen, limits, strip)


def _opened(path: Path) -> zipfile.ZipFile | tarfile.TarFile:
    try:
        if zipfile.is_zipfile(path):
            return zipfile.ZipFile(path)
        return tarfile.open(path)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise VersoError("source_unreadable", f"{path} is no folder, zip or tar ({error}).") from None
