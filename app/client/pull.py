"""The server's history into the mirror, and the newest of it into the folder.

1  What a killed run left undone is done.
2  New changes, tags and contents come into the mirror; only what isn't here travels.
3  The folder is looked at, and a plan is made of how both meet (`app.client.meeting`).
4  The plan is done (`app.client.applying`). What was edited in that moment is met again, from 3.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from app.client.applying import begin_steps
from app.client.folder import Folder, open_folder
from app.client.history import fetch_contents, fetch_history, fetch_tags
from app.client.meeting import Meeting, Plan
from app.client.pending import base_of, recognise
from app.client.place import Config, Place, make_place
from app.client.work import Conflict, Settle
from app.errors import VersoError
from app.model import Project
from app.progress import no_progress

if TYPE_CHECKING:
    from pathlib import Path

    from app.client.api import Api
    from app.client.folder import Looked
    from app.model import VersionState
    from app.progress import Progress

ROUNDS = 5
_ALL = "all-contents"


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """What a pull did."""

    newest: int
    """Number of the newest change that is here now."""
    changes: int
    """How many changes came."""
    received_bytes: int
    written: list[str]
    removed: list[str]
    notes: dict[str, str]
    """Paths of which something is to be told."""
    conflicts: list[Conflict]
    """All that wait for a decision, also from earlier pulls."""
    rescued: list[str]
    kept_out: dict[str, str]
    """Documents that can't be files here, with why."""


def clone(
    api: Api,
    project: str,
    root: Path,
    *,
    latest: bool = False,
    adopt: bool = False,
    progress: Progress = no_progress,
) -> tuple[Place, Pulled]:
    """Make a working folder of a project (id or slug). With `latest` old contents stay on the server.

    What was interrupted goes on when it is asked for again. Raises VersoError `folder_exists` for a folder
    that holds something else, unless its files are to be adopted.
    """
    from app.client.history import home_of  # noqa: PLC0415

    found = api.get(home_of(project), kind=Project)
    place = _start(root, Config(api=api.base_url, project=found.id, slug=found.slug), adopt=adopt)
    with open_folder(place) as folder:
        folder.mirror.set_note(_ALL, "no" if latest else "yes")
        return place, pull(api, folder, adopt=adopt, progress=progress)


def pull(
    api: Api,
    folder: Folder,
    *,
    every_content: bool = False,
    adopt: bool = False,
    progress: Progress = no_progress,
) -> Pulled:
    """Bring the folder up to date. `every_content` fetches old contents, too, from now on.

    With `adopt`, files that are what some version was at their path are taken as made from it.

    Raises VersoError; what had come by then stays, and nothing of the folder is half done after the next run.
    """
    mirror = folder.mirror
    before = api.traffic.received_bytes
    rescued = folder.finish_steps(api).rescued
    if every_content:
        mirror.set_note(_ALL, "yes")
    changes = fetch_history(api, mirror, folder.project, progress=progress)
    fetch_tags(api, mirror, folder.project)
    recognise(folder)
    if adopt:
        _adopt(folder)
    met = meet(api, folder, progress=progress)
    if mirror.note(_ALL) == "yes":
        missing = mirror.missing()
        if missing:
            fetch_contents(api, mirror, folder.project, missing, progress=progress)
    return msgspec.structs.replace(
        met,
        changes=changes,
        received_bytes=api.traffic.received_bytes - before,
        rescued=[*rescued, *met.rescued],
    )


def meet(api: Api | None, folder: Folder, *, progress: Progress = no_progress) -> Pulled:
    """Bring the folder to what the mirror has; without a server only with the contents that are here."""
    heads = folder.mirror.heads()
    written: set[str] = set()
    removed: set[str] = set()
    notes: dict[str, str] = {}
    rescued: list[str] = []
    plan: Plan | None = None
    blocked: dict[str, str] = {}
    for _ in range(ROUNDS):
        looked = folder.look()
        plan = _plan(api, folder, looked, heads, progress)
        for sha256, data in plan.merged.items():
            folder.mirror.contents.add(sha256, len(data), [data])
        if not plan.steps and plan.settle == Settle([], [], [], []):
            blocked = {}
            break
        begin_steps(folder.work, steps=plan.steps, settle=plan.settle)
        done = folder.finish_steps()
        blocked = done.blocked
        rescued += done.rescued
        written |= set(plan.written)
        removed |= set(plan.removed)
        notes |= plan.notes
        if not blocked and not plan.settle.conflicts:
            break
    _note_blocked(folder, blocked, heads)
    return Pulled(
        newest=folder.mirror.newest,
        changes=0,
        received_bytes=0,
        written=sorted(written),
        removed=sorted(removed - written),
        notes=notes,
        conflicts=list(folder.work.conflicts().values()),
        rescued=rescued,
        kept_out=plan.kept_out if plan else {},
    )


def _plan(
    api: Api | None, folder: Folder, looked: Looked, heads: dict[str, VersionState], progress: Progress
) -> Plan:
    mirror = folder.mirror

    def read(sha256: str) -> bytes:
        if api is not None and not mirror.contents.has(sha256) and (missing := mirror.missing([sha256])):
            fetch_contents(api, mirror, folder.project, missing)
        return mirror.content(sha256)

    if api is not None:
        based = {base.document: base.sha256 for base in looked.bases.values()}
        wanted = [
            head.sha256
            for document, head in heads.items()
            if head.sha256 is not None
            and (head.sha256 != based.get(document) or head.path not in looked.files)
        ]
        missing = mirror.missing(wanted)
        if missing:
            fetch_contents(api, mirror, folder.project, missing, progress=progress)
    return Meeting(
        bases=looked.bases,
        files=looked.files,
        edits=looked.edits,
        conflicts=looked.conflicts,
        heads=heads,
        folding=folder.folding(),
        read=read,
        read_file=folder.read_local,
        links=os.name != "nt",  # there they need a privilege
    ).plan()


def _adopt(folder: Folder) -> None:
    """Take files that were here before: as made from the version that they are, if there is one."""
    looked = folder.look()
    taken = {base.document for base in looked.bases.values()}
    bases = []
    for path in looked.edits.added:
        version = folder.mirror.version_at(path, looked.files[path].sha256)
        if version is not None and version.document not in taken:
            taken.add(version.document)
            bases.append(base_of(version, {}))
    folder.work.settle(Settle(bases=bases))


def _note_blocked(folder: Folder, blocked: dict[str, str], heads: dict[str, VersionState]) -> None:
    """What couldn't be written after all rounds waits for the person."""
    conflicts = [
        Conflict(
            path=heads[document].path,
            document=document,
            version=heads[document].hash,
            beside=None,
            beside_sha256=None,
            reason=why,
        )
        for document, why in blocked.items()
        if document in heads
    ]
    if conflicts:
        folder.work.settle(Settle(conflicts=conflicts))


def _start(root: Path, config: Config, *, adopt: bool) -> Place:
    """Make a folder a working folder, or take up one that was begun."""
    from app.client.place import find_place  # noqa: PLC0415

    if root.exists() and not root.is_dir():
        raise VersoError("folder_exists", f"{root} is a file. Name a folder.")
    there = find_place(root) if root.exists() else None
    if there is not None and there.root == root.resolve():
        if there.config.project != config.project:
            raise VersoError(
                "folder_exists",
                f"{root} is a working folder of another project, {there.config.slug}. Clone into a new one.",
            )
        return there
    if there is not None:
        raise VersoError(
            "folder_exists", f"{root} is inside the working folder {there.root}. Clone somewhere else."
        )
    if root.exists() and not adopt and any(root.iterdir()):
        raise VersoError(
            "folder_exists",
            f"{root} isn't empty. Clone into a new folder, or go on with the files that are there: --adopt.",
        )
    return make_place(root.resolve() if root.exists() else root.absolute(), config)
