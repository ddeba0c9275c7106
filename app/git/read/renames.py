"""Which path that came continues which path that went, in the change from one tree to another.

Equal contents first, by their ids and without limit; then what libgit2 finds similar (at least half of it,
the limit of `git diff -M`), looking also at files that were rewritten where they are: two documents that swap
their names are two moves, not two edits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from pygit2.enums import DeltaStatus, DiffFind

from app.git.read.names import name_of
from app.model.modes import SUBMODULE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.git.read.trees import Leaf, PathChange

_MOST_PAIRS = 400_000
"""Beyond so many pairs of candidates only equal contents are looked for; a change of that size is no edit."""


class Renames(msgspec.Struct, frozen=True, kw_only=True):
    """What was found among the paths that changed."""

    moves: dict[str, str]
    """Each path that continues another one, and that one."""
    copies: dict[str, str]
    """Each path that was added as a copy of another one that is still there."""
    too_many: bool = False
    """Whether there were too many candidates to look for more than equal contents."""


def find_renames(
    repository: Any, trees: tuple[bytes | None, bytes], changes: Sequence[PathChange]
) -> Renames:
    """Moves and copies among what two trees have differently.

    A path whose document stays is never a move's target: only one that is new, or whose document moves on.
    """
    gone = {each.path: each.old for each in changes if each.old and not each.new}
    come = {each.path: each.new for each in changes if each.new and not each.old}
    both = {each.path for each in changes if each.new and each.old}
    moves = _equal(gone, come)
    for target, source in moves.items():
        del come[target], gone[source]
    candidates = len(come) + len(both), len(gone) + len(both)
    if trees[0] is None or not all(candidates) or (not come and len(both) <= 1):
        return Renames(moves=moves, copies={})
    if candidates[0] * candidates[1] > _MOST_PAIRS:
        return Renames(moves=moves, copies={}, too_many=True)
    similar, copies = _similar(repository, (trees[0], trees[1]))
    known = {source: target for target, source in moves.items()}
    for target, source in similar.items():
        fits = target in come or target in both, source in gone or source in both
        if all(fits) and source not in known:
            moves[target] = source
            known[source] = target
    _keep_what_stays(moves, both)
    added = {target: source for target, source in copies.items() if target in come and target not in moves}
    return Renames(moves=moves, copies=added)


def known_renames(moves: Mapping[str, str], changes: Sequence[PathChange]) -> Renames:
    """Moves that the commit itself tells, as far as they fit what its tree has."""
    gone = {each.path for each in changes if each.old}
    come = {each.path for each in changes if each.new}
    found: dict[str, str] = {}
    for target, source in moves.items():
        if target in come and source in gone and source not in found.values():
            found[target] = source
    return Renames(moves=found, copies={})


def _equal(gone: Mapping[str, Leaf], come: Mapping[str, Leaf]) -> dict[str, str]:
    by_oid: dict[bytes, list[str]] = {}
    for path, leaf in gone.items():
        if leaf.mode != SUBMODULE:
            by_oid.setdefault(leaf.oid, []).append(path)
    moves: dict[str, str] = {}
    # Those that keep their file's name choose first: a folder of equal files that moves keeps its order.
    for same_name in (True, False):
        for path, leaf in come.items():
            sources = by_oid.get(leaf.oid)
            if not sources or path in moves or leaf.mode == SUBMODULE:
                continue
            named = [each for each in sources if _base(each) == _base(path)] if same_name else sources
            if named:
                moves[path] = named[0]
                sources.remove(named[0])
    return moves


def _similar(repository: Any, trees: tuple[bytes, bytes]) -> tuple[dict[str, str], dict[str, str]]:
    old, new = (repository[each.hex()] for each in trees)
    diff = old.diff_to_tree(new)
    diff.find_similar(
        flags=DiffFind.FIND_RENAMES
        | DiffFind.FIND_RENAMES_FROM_REWRITES
        | DiffFind.FIND_COPIES
        | DiffFind.BREAK_REWRITES
    )
    moves: dict[str, str] = {}
    copies: dict[str, str] = {}
    for delta in diff.deltas:
        if delta.status in {DeltaStatus.RENAMED, DeltaStatus.COPIED}:
            found = moves if delta.status == DeltaStatus.RENAMED else copies
            found[_path(delta.new_file.raw_path)] = _path(delta.old_file.raw_path)
    return moves, copies


def _keep_what_stays(moves: dict[str, str], both: set[str]) -> None:
    """Drop moves onto a path whose own document would be left without a place."""
    while True:
        sources = set(moves.values())
        homeless = [target for target in moves if target in both and target not in sources]
        if not homeless:
            return
        for target in homeless:
            del moves[target]


def _path(raw: bytes) -> str:
    return "/".join(name_of(segment) for segment in raw.split(b"/"))


def _base(path: str) -> str:
    return path.rpartition("/")[2]
