"""Which worker runs which file: each stays in a directory as long as that has files.

A directory's tests share a Supabase, an API, a browser with people who have signed in: some seconds of work for each
worker that comes there, and processes that run to the end. So workers begin in different directories, those that take
longest first, and one that has nothing left of its own takes a directory where nobody is, or helps where most is left.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_FIRST = (
    "api",
    "web",
    "local",
    "client",
    "schema",
    "costs",
    "faults",
    "cli",
    "git",
    "attacks",
    "webhooks",
)
"""By the seconds that they take; what isn't named comes last, and needs nothing that would have to be made first."""


class DirectoryScheduling(LoadFileScheduling):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._places: dict[Any, str] = {}

    def _assign_work_unit(self, node: Any) -> None:
        others = {place for worker, place in self._places.items() if worker is not node}
        chosen = choose(self.workqueue, mine=self._places.get(node), others=others)
        self._places[node] = directory(chosen)
        self.workqueue.move_to_end(chosen, last=False)
        super()._assign_work_unit(node)


def choose(files: Iterable[str], *, mine: str | None, others: set[str]) -> str:
    """The first file of the best directory for a worker that is in `mine`, where `others` have some, too."""
    left: dict[str, list[str]] = {}
    for file in files:
        left.setdefault(directory(file), []).append(file)
    if mine in left:
        return left[mine][0]
    alone = [each for each in left if each not in others]
    best = min(alone, key=rank) if alone else max(left, key=lambda each: len(left[each]))
    return left[best][0]


def directory(file: str) -> str:
    return PurePath(file).parts[1] if len(PurePath(file).parts) > 1 else file


def rank(name: str) -> int:
    return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)
