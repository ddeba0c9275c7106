"""The history that a command looks at, with its bytes: the mirror, and the server for what that lacks."""

from __future__ import annotations

import os
import re
import unicodedata
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID  # msgspec reads the annotation

import msgspec
from platformdirs import user_cache_path

from app.client.history import fetch_contents, fetch_history, fetch_tags, home_of
from app.client.mirror import Mirror
from app.client.store import folder_lock
from app.errors import VersoError
from app.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from app.client.api import Api
    from app.client.place import Place
    from app.model import VersionState
    from app.progress import Progress

HEAD = "head"
_BACK = re.compile(r"(?:head|@)(?:~(\d{1,9}))?\Z", re.IGNORECASE)


class _Known(msgspec.Struct, frozen=True):
    id: UUID
    change_sequence: int


class History:
    """A project's history to look at. `connect` gives the server when contents are missing here."""

    def __init__(
        self,
        mirror: Mirror,
        *,
        project: str,
        connect: Callable[[], AbstractContextManager[Api]],
        progress: Progress = no_progress,
    ) -> None:
        self.mirror = mirror
        self.project = project
        self._connect = connect
        self._progress = progress

    def need(self, versions: Iterable[VersionState | None]) -> None:
        """Fetch the contents of these versions that aren't here, many in one request."""
        wanted = [each.sha256 for each in versions if each is not None and each.sha256 is not None]
        missing = self.mirror.missing(wanted)
        if missing:
            with self._connect() as api:
                fetch_contents(api, self.mirror, self.project, missing, progress=self._progress)

    def bytes_of(self, version: VersionState | None) -> bytes:
        """A version's bytes; none of a delete. Raises VersoError `content_erased`, `unreachable`."""
        if version is None or version.sha256 is None:
            return b""
        if not self.mirror.contents.has(version.sha256):
            self.need([version])
        return self.mirror.content(version.sha256)

    def is_erased(self, version: VersionState | None) -> bool:
        """Whether a version's bytes are gone for ever."""
        return (
            version is not None
            and version.sha256 is not None
            and self.mirror.contents.is_erased(version.sha256)
        )

    def resolve(self, point: str) -> int:
        """The number of the change that a point means: `head`, `head~3`, or what the mirror knows.

        Raises VersoError `point_not_found`.
        """
        back = _BACK.match(point)
        if back is None:
            return self.mirror.resolve(point)
        number = self.mirror.newest - int(back[1] or 0)
        if number < 1:
            raise VersoError("point_not_found", f"There are only {self.mirror.newest} changes: no {point}.")
        return number

    def is_point(self, text: str) -> bool:
        """Whether a text names a point of this history."""
        try:
            self.resolve(text)
        except VersoError:
            return False
        return True


@contextmanager
def kept_history(api: Api, project: str, *, progress: Progress = no_progress) -> Iterator[History]:
    """The history of a project that no folder here belongs to, kept in this machine's cache and in step.

    Raises VersoError as the server does, and `folder_busy`.
    """
    found = api.get(home_of(project), kind=_Known)
    # A UUID, whatever the server says: it becomes the name of a folder.
    name = str(found.id)
    hidden = user_cache_path("verso", appauthor=False) / "mirrors" / quote(api.base_url, safe="") / name
    hidden.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Mirror(hidden) as mirror:
        if mirror.newest < found.change_sequence:
            with folder_lock(hidden):
                fetch_history(api, mirror, name, progress=progress)
        fetch_tags(api, mirror, name)
        # Whoever needs contents leaves the connection open: it is the caller's.
        yield History(mirror, project=name, connect=lambda: nullcontext(api), progress=progress)


def project_path(given: str, *, place: Place | None, cwd: Path) -> str:
    """The project's path that a name on the command line means; empty for all of the project.

    In a working folder it is relative to where one is, as everywhere on a command line; else to the project.
    Raises VersoError `bad_usage` for a name outside of the folder.
    """
    if place is None:
        path = os.path.normpath("/" + given.strip("/")).strip("/")
    else:
        path = os.path.relpath(os.path.join(cwd, given), place.root)  # noqa: PTH118 - `..` is resolved by name
        if path == ".." or path.startswith(f"..{os.sep}") or os.path.isabs(path):  # noqa: PTH117 - another drive
            raise VersoError("bad_usage", f"{given} is outside of the working folder {place.root}.")
        path = path.replace(os.sep, "/")
    return "" if path in {"", "."} else unicodedata.normalize("NFC", path)
