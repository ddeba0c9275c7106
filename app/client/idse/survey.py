"""What an IDSE tree holds, before anything is written: projects, sessions, people, where each file goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.client.idse.layout import PRESENT, root_of, slug_of, spot_of
from app.client.idse.metadata import (
    COLLABORATORS_FILE,
    LONGEST,
    OWNER_FILE,
    STATE_FILE,
    SessionState,
    read_names,
    read_state,
)
from app.errors import VersoError
from app.model import LeftOut, normal_path
from app.model.modes import SYMLINK
from app.sources.listing import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.client.idse.layout import Spot
    from app.sources.listing import Source

NOWHERE = "belongs to no project of an IDSE layout"
_DEEPEST_STATE = 2
"""A session's state is at its top or one folder below (.idse, metadata)."""


class SessionFound(msgspec.Struct, kw_only=True):
    """A session of the tree."""

    name: str
    slug: str
    root: str
    state: SessionState = SessionState()


class ProjectFound(msgspec.Struct, kw_only=True):
    """A project of the tree, and which of its files goes where."""

    name: str
    slug: str
    sessions: dict[str, SessionFound] = {}
    owners: list[str] = []
    collaborators: list[str] = []
    paths: dict[str, tuple[str, int]] = {}
    """By path in the project: the path in the tree, and the layout it is of."""
    notes: list[str] = []


class Survey(msgspec.Struct, kw_only=True):
    """All of a tree."""

    projects: dict[str, ProjectFound] = {}
    left_out: list[LeftOut] = []


def survey(source: Source) -> Survey:
    """Walk a tree once. Raises VersoError `no_idse_layout` when there is no project in it."""
    found = Survey()
    for file in source.files():
        spot = spot_of(file.path)
        if spot is None:
            found.left_out.append(LeftOut(file.path, NOWHERE))
            continue
        project = _project(found, spot.project)
        if project is None:
            found.left_out.append(LeftOut(file.path, "its project's name holds nothing that a slug can"))
            continue
        if _place(found, project, spot, file):
            _read(project, spot, file)
    if not found.projects:
        raise VersoError(
            "no_idse_layout",
            "There is no projects/<project>/… here, in none of the layouts that docs/import.md names. "
            "`verso import folder` takes any folder.",
        )
    found.left_out += source.left_out
    return found


class ProjectSource:
    """The files of one project of a tree, at their paths in the project."""

    def __init__(self, source: Source, project: ProjectFound) -> None:
        self._source = source
        self._homes = {origin: path for path, (origin, _) in project.paths.items()}
        self.left_out: list[LeftOut] = []

    def files(self) -> Iterator[File]:
        """Walk the tree for what is this project's."""
        for file in self._source.files():
            home = self._homes.get(file.path)
            if home is not None:
                yield File(path=home, size=file.size, mode=file.mode, read=file.read)


def _project(found: Survey, name: str) -> ProjectFound | None:
    if name not in found.projects:
        slug = _free(slug_of(name), {project.slug for project in found.projects.values()})
        if slug is None:
            return None
        found.projects[name] = ProjectFound(name=name, slug=slug)
    return found.projects[name]


def _place(found: Survey, project: ProjectFound, spot: Spot, file: File) -> bool:
    """Give a file its path. Where two layouts have one, the newer layout's is taken."""
    if spot.session is not None and spot.session not in project.sessions:
        slug = _free(slug_of(spot.session), {each.slug for each in project.sessions.values()})
        if slug is None:
            found.left_out.append(LeftOut(file.path, "its session's name holds nothing that a slug can"))
            return False
        project.sessions[spot.session] = SessionFound(
            name=spot.session, slug=slug, root=normal_path(root_of(spot.session))
        )
    path = normal_path(spot.path)
    before = project.paths.get(path)
    if before is not None and before[1] <= spot.rank:
        found.left_out.append(LeftOut(file.path, f"{before[0]} is the same document in a newer layout"))
        return False
    if before is not None:
        found.left_out.append(LeftOut(before[0], f"{file.path} is the same document in a newer layout"))
    project.paths[path] = (file.path, spot.rank)
    return True


def _read(project: ProjectFound, spot: Spot, file: File) -> None:
    """Take in what a metadata file says."""
    folder, _, name = spot.rest.rpartition("/")
    if name not in {STATE_FILE, OWNER_FILE, COLLABORATORS_FILE} or file.mode == SYMLINK:
        return
    if file.size > LONGEST:
        project.notes.append(f"{file.path} is too long to be read")
        return
    data = b"".join(file.read())
    if name == STATE_FILE:
        if spot.session is None or len(folder.split("/")) >= _DEEPEST_STATE:
            return
        session = project.sessions[spot.session]
        # The one at the top counts, else the newer layout's.
        if session.state == SessionState() or (not folder and spot.rank == PRESENT):
            session.state = read_state(data)
        return
    people = project.owners if name == OWNER_FILE else project.collaborators
    people += [each for each in read_names(data) if each not in people]


def _free(slug: str | None, taken: set[str]) -> str | None:
    if slug is None:
        return None
    candidate, number = slug, 2
    while candidate in taken:
        candidate, number = f"{slug[:58]}-{number}", number + 1
    return candidate
