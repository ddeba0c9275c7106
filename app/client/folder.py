"""A working folder with its mirror and its work, opened together and locked: what every command works on."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.client.applying import Applied, apply_steps
from app.client.edits import Edits, find_edits
from app.client.history import fetch_contents
from app.client.mirror import Mirror
from app.client.names import Folding, probe_folding
from app.client.scan import Local, Scan, link_target, scan
from app.client.store import folder_lock
from app.client.work import Base, Conflict, Work, Write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from app.client.api import Api
    from app.client.place import Place

_FOLDING = "folding"


@dataclass(frozen=True)
class Looked:
    """The folder as one look at it saw it."""

    bases: Mapping[str, Base]
    conflicts: Mapping[str, Conflict]
    scan: Scan
    edits: Edits

    @property
    def files(self) -> Mapping[str, Local]:
        """The files by path."""
        return self.scan.files


@dataclass(frozen=True)
class Folder:
    """A working folder that is open."""

    place: Place
    mirror: Mirror
    work: Work

    @property
    def root(self) -> Path:
        """The folder itself."""
        return self.place.root

    @property
    def project(self) -> str:
        """The project's id."""
        return self.place.config.project

    def look(self) -> Looked:
        """Scan the files and compare them with their bases. Raises VersoError `unreadable`."""
        bases, conflicts = self.work.bases(), self.work.conflicts()
        skip = {each.beside for each in conflicts.values() if each.beside is not None}
        found = scan(self.root, bases=bases, skip=skip)
        return Looked(bases, conflicts, found, find_edits(bases, found.files, moves=self.work.moves()))

    def read_local(self, local: Local) -> bytes:
        """A file's bytes as they are now, or a link's target."""
        file = self.root / local.real
        return link_target(file) if file.is_symlink() else file.read_bytes()

    def folding(self) -> Folding:
        """What this file system takes for the same name; found out once."""
        known: Folding | None = self.work.note(_FOLDING, Folding)
        if known is None:
            known = probe_folding(self.place.hidden)
            self.work.set_note(_FOLDING, known)
        return known

    def finish_steps(self, api: Api | None = None) -> Applied:
        """Do what a killed run left undone. With a server, contents that went missing are fetched again."""
        if api is not None:
            wanted = [step.sha256 for step in self.work.steps() if isinstance(step, Write)]
            missing = self.mirror.missing(wanted)
            if missing:
                fetch_contents(api, self.mirror, self.project, missing)
        return apply_steps(self.root, self.place.hidden, work=self.work, contents=self.mirror.contents)


@contextmanager
def open_folder(place: Place, *, lock: bool = True) -> Iterator[Folder]:
    """Open a working folder; with `lock` nobody else changes it. Raises VersoError `folder_busy`."""
    with ExitStack() as stack:
        if lock:
            stack.enter_context(folder_lock(place.hidden))
        work = stack.enter_context(Work(place.hidden))
        mirror = stack.enter_context(Mirror(place.hidden))
        yield Folder(place, mirror, work)
