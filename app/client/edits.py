"""What a person has done to the folder since it was in step: edits, adds, deletes, moves. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from app.client.work import Base

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from app.client.scan import Local

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""Empty files are all alike: that says nothing about who was whom."""


class Edits(msgspec.Struct, frozen=True):
    """The folder against its bases. Paths are documents' paths."""

    edited: dict[str, Base]
    """By the path where the file is now: other content or another mode; a moved file may be edited, too."""
    moved: dict[str, Base]
    """By the path where the file is now."""
    added: list[str]
    deleted: list[Base]

    @property
    def any(self) -> bool:
        """Whether there is anything to push."""
        return bool(self.edited or self.moved or self.added or self.deleted)


def find_edits(bases: Mapping[str, Base], files: Mapping[str, Local], *, moves: Mapping[str, str]) -> Edits:
    """Compare. `moves` were told (from a base's path to its file's); others are found by their content.

    A base whose file is gone and a new file of the same content are a move, if only one such pair is possible
    or the names are the same.
    """
    where = {target: source for source, target in moves.items() if source in bases and target in files}
    # What is at the old path may be another document that was told to have moved there.
    moved = {
        target: bases[source] for target, source in where.items() if source not in files or source in where
    }
    taken = {base.path for base in moved.values()}
    gone: list[Base] = []
    edited: dict[str, Base] = {}
    for path, base in bases.items():
        local = files.get(path)
        if local is None:
            if path not in taken:
                gone.append(base)
        elif path not in taken and (local.sha256 != base.sha256 or local.mode != base.mode):
            edited[path] = base
    added = [path for path in files.keys() - bases.keys() if path not in moved]
    moved |= _found(gone, added, files)
    taken = {base.path for base in moved.values()}
    edited |= {
        path: base
        for path, base in moved.items()
        if (files[path].sha256, files[path].mode) != (base.sha256, base.mode)
    }
    return Edits(
        edited=dict(sorted(edited.items())),
        moved=dict(sorted(moved.items())),
        added=sorted(path for path in added if path not in moved),
        deleted=sorted((base for base in gone if base.path not in taken), key=lambda base: base.path),
    )


def _found(gone: Collection[Base], added: Collection[str], files: Mapping[str, Local]) -> dict[str, Base]:
    if not gone or not added:
        return {}
    candidates: dict[str, list[str]] = defaultdict(list)
    for path in added:
        candidates[files[path].sha256].append(path)
    sources: dict[str, list[Base]] = defaultdict(list)
    for base in gone:
        sources[base.sha256].append(base)
    found: dict[str, Base] = {}
    for sha256, bases in sources.items():
        targets = candidates.get(sha256, [])
        if sha256 == EMPTY or not targets:
            continue
        if len(bases) == len(targets) == 1:
            found[targets[0]] = bases[0]
            continue
        for base in bases:
            named = [path for path in targets if path not in found and _name(path) == _name(base.path)]
            if len(named) == 1:
                found[named[0]] = base
    return found


def _name(path: str) -> str:
    return path.rpartition("/")[2]
