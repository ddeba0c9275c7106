"""What people read of a status, a pull and a push."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.cli.characters import safe
from app.cli.exits import json_document
from app.client.folder import open_folder
from app.client.glance import remember, sources
from app.client.scan import file_system_time
from app.client.work import Conflict  # msgspec reads the annotation

if TYPE_CHECKING:
    from app.client.folder import Folder, Looked
    from app.client.place import Place
    from app.client.pull import Pulled
    from app.client.push import Pushed


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The folder against the history on this machine. Paths are from the folder's root."""

    folder: str
    project: str
    change: int
    """Number of the newest change that is here."""
    edited: list[str]
    added: list[str]
    deleted: list[str]
    moved: dict[str, str]
    """From where to where."""
    conflicts: list[Conflict]
    problems: dict[str, str]
    """Files that can't become documents, with why."""
    unfinished: bool
    """Whether a killed run left something to do; the next pull or push does it."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was done here."""
        return not (self.edited or self.added or self.deleted or self.moved or self.conflicts)


def look_and_remember(place: Place) -> Status:
    """Look at a folder, and leave what was seen for the next `verso status`, should all be the same then."""
    root = str(place.root)
    before = sources(root)
    began = file_system_time(place.hidden)
    with open_folder(place, lock=False) as folder:
        looked = folder.look()
        status = status_of(folder, looked)
    text, json = told_status(status) + "\n", json_document(status)
    remember(root, before=before, began_ns=began, found=looked.scan, text=text, json=json)
    return status


def status_of(folder: Folder, looked: Looked) -> Status:
    """What was seen of a folder, against its history."""
    waiting = set(looked.conflicts)
    return Status(
        folder=str(folder.root),
        project=folder.place.config.slug,
        change=folder.mirror.newest,
        edited=[path for path in looked.edits.edited if path not in waiting],
        added=[path for path in looked.edits.added if path not in waiting],
        deleted=[base.path for base in looked.edits.deleted],
        moved={base.path: path for path, base in looked.edits.moved.items()},
        conflicts=list(looked.conflicts.values()),
        problems=looked.scan.problems,
        unfinished=bool(folder.work.steps()),
    )


def told_status(status: Status) -> str:
    """A status in words."""
    lines = [f"{status.project}, history up to #{status.change}."]
    lines += [f"  conflict  {each.path}: {each.reason}{_beside(each)}" for each in status.conflicts]
    lines += [f"  edited    {path}" for path in status.edited]
    lines += [f"  added     {path}" for path in status.added]
    lines += [f"  deleted   {path}" for path in status.deleted]
    lines += [f"  moved     {source} → {target}" for source, target in status.moved.items()]
    lines += [f"  left out  {safe(path)} {why}" for path, why in status.problems.items()]
    if status.unfinished:
        lines.append("A pull was interrupted; `verso pull` finishes it.")
    if status.conflicts:
        lines.append("Make the conflicts what they shall be, then `verso resolve PATH`.")
    elif status.is_clean:
        lines.append("Nothing to push.")
    else:
        lines.append("`verso push -m WHY` makes it a change.")
    return "\n".join(lines)


def told_pull(pulled: Pulled) -> str:
    """A pull in words."""
    lines = [f"Up to #{pulled.newest}: {_count(pulled.changes, 'new change')}."]
    notes = dict(pulled.notes)
    waiting = {each.path for each in pulled.conflicts}
    lines += [
        f"  written   {path}{f' ({notes.pop(path)})' if path in notes else ''}"
        for path in pulled.written[:_MOST]
        if path not in waiting
    ]
    if len(pulled.written) > _MOST:
        lines.append(f"  … and {len(pulled.written) - _MOST} more")
    lines += [f"  deleted   {path}" for path in pulled.removed[:_MOST]]
    lines += [f"  note      {path} {why}" for path, why in notes.items()]
    lines += [f"  not here  {path} {why}" for path, why in pulled.kept_out.items()]
    lines += [f"  conflict  {each.path} {each.reason}{_beside(each)}" for each in pulled.conflicts]
    lines += [f"  kept      what was here before is in {path}" for path in pulled.rescued]
    if pulled.conflicts:
        lines.append("Yours is unchanged. Make each what it shall be, then `verso resolve PATH`.")
    return "\n".join(lines)


def told_push(pushed: Pushed) -> str:
    """A push in words."""
    lines = [told_pull(pushed.pulled)] if pushed.pulled is not None else []
    if pushed.change is None:
        lines.append("Nothing to push.")
    else:
        lines.append(f"Change #{pushed.change}: {_count(len(pushed.paths), 'file')}.")
        lines += [f"  {path}" for path in pushed.paths[:_MOST]]
        if len(pushed.paths) > _MOST:
            lines.append(f"  … and {len(pushed.paths) - _MOST} more")
    lines += [f"  left out  {safe(path)} {why}" for path, why in pushed.problems.items()]
    return "\n".join(lines)


_MOST = 50
"""Lines of a list for people; --json has all."""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _beside(conflict: Conflict) -> str:
    return "" if conflict.beside is None else f" (theirs: {conflict.beside})"
