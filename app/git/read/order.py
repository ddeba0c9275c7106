"""Commits in one line, and dates in it that never go back."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence


def line_of(
    tip: str,
    parents_of: Callable[[str], Sequence[str]],
    *,
    done: Collection[str] = (),
    first_parent: bool = False,
) -> list[str]:
    """The commits that lead to `tip` without `done`: parents before children, branches in one piece.

    As `git rev-list --topo-order --reverse`: depth first, first parents first. When `done` is a
    beginning of the line, the result is the rest of it: the order doesn't depend on where an earlier run
    stopped. In an order by date neighbours would belong to different branches, and most path changes would
    only be steps from one branch to the other and back.
    """
    known = set(done)
    if tip in known:
        return []
    known.add(tip)
    line: list[str] = []
    open_commits = [(tip, iter(_followed(parents_of(tip), first_parent=first_parent)))]
    while open_commits:
        commit, rest = open_commits[-1]
        for parent in rest:
            if parent not in known:
                known.add(parent)
                open_commits.append((parent, iter(_followed(parents_of(parent), first_parent=first_parent))))
                break
        else:
            line.append(commit)
            open_commits.pop()
    return line


def ancestors(tips: Iterable[str], parents_of: Callable[[str], Sequence[str]]) -> set[str]:
    """The commits that lead to any of the tips, with the tips."""
    known = set(tips)
    open_commits = list(known)
    while open_commits:
        fresh = [each for each in parents_of(open_commits.pop()) if each not in known]
        known.update(fresh)
        open_commits += fresh
    return known


def steady_times(times: Sequence[int], *, latest: int) -> list[int]:
    """The times (seconds) of a line of commits, made so that none is before the one ahead of it.

    As many as possible stay as they are (a longest non-decreasing subsequence); the others take the time of
    the commit ahead. One clock that ran ahead would otherwise push all later commits. None is after `latest`.
    """
    kept = _longest_run(times, latest)
    steady: list[int] = []
    at = min((times[i] for i in kept), default=latest)
    for position, seconds in enumerate(times):
        if position in kept:
            at = seconds
        steady.append(at)
    return steady


def _followed(parents: Sequence[str], *, first_parent: bool) -> Sequence[str]:
    return parents[:1] if first_parent else parents


def _longest_run(times: Sequence[int], latest: int) -> set[int]:
    """Positions of a longest non-decreasing subsequence of what isn't after `latest`. O(n log n)."""
    ends: list[int] = []
    end_positions: list[int] = []
    before: list[int] = []
    for position, seconds in enumerate(times):
        if seconds > latest:
            before.append(-1)
            continue
        place = bisect_right(ends, seconds)
        before.append(end_positions[place - 1] if place else -1)
        if place == len(ends):
            ends.append(seconds)
            end_positions.append(position)
        else:
            ends[place] = seconds
            end_positions[place] = position
    kept: set[int] = set()
    at = end_positions[-1] if end_positions else -1
    while at >= 0:
        kept.add(at)
        at = before[at]
    return kept
