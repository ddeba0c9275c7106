"""Reads a made repository, and holds what was planned to Git's own trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.git.read.history import Choices, History
from app.git.read.people import People, read_mailmap
from app.git.read.repository import open_repository
from app.sources.filters import Filter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from app.git.read.history import Line, Past, PlannedChange
    from app.git.read.trees import Rules


def read(path: Path, *, rules: Rules | None = None, authors: Iterable[str] = (), **choices: Any) -> History:
    repository = open_repository(str(path), branch=choices.get("branch"), scratch=path)
    return History(
        repository,
        rules=rules or Filter(),
        people=People(authors, mailmap=read_mailmap(repository.opened)),
        choices=Choices(**choices),
    )


class Ledger:
    """The rules of the ledger for items, in as few lines as they can be said: the oracle of what a plan gives.

    Every item must fit what is there, or it would be refused.
    """

    def __init__(self) -> None:
        self.paths: dict[str, tuple[str, str]] = {}
        self._after: dict[str, dict[str, tuple[str, str]]] = {}

    def write(self, planned: PlannedChange) -> None:
        before = dict(self.paths)
        left = [item.source or item.path for item in planned.items if item.source or item.action == "delete"]
        written = [item.path for item in planned.items if item.action != "delete"]
        assert len(written) == len(set(written))
        assert len(left) == len(set(left))
        for path in left:
            del self.paths[path]
        for item in planned.items:
            if item.action == "delete":
                continue
            is_other = item.action == "add" or (item.path in left and item.source is None)
            head = None if is_other else before.get(item.source or item.path)
            if item.take is not None:
                now = self._after[item.take][item.of or item.path]
            elif item.content is not None:
                now = (item.content.oid.hex(), item.mode or (head[1] if head else "100644"))
            else:
                assert head is not None
                now = (head[0], item.mode or head[1])
            assert item.source is not None or (now != head), "nothing changes"
            assert item.path not in self.paths or item.source is None
            assert item.path not in self.paths or not (item.fresh or item.onto)
            assert item.onto is None or (item.of or item.path) in self._after[item.onto]
            self.paths[item.path] = now
            assert item.merge is None or (item.of or item.path) in self._after[item.merge]
        assert not [path for path in self.paths if any(other.startswith(path + "/") for other in self.paths)]
        self._after[planned.commit.id] = dict(self.paths)


def plan(history: History, line: Line | None = None, past: Past | None = None) -> list[PlannedChange]:
    """Plan a history; every tree must come out as Git has it (as filtered)."""
    line = line or history.line()
    ledger = Ledger()
    made = []
    for planned in history.plans(line, past):
        if past is None:
            ledger.write(planned)
            assert ledger.paths == tree_of(history, planned.commit.tree), planned.commit.id
        made.append(planned)
    return made


def tree_of(history: History, tree: bytes) -> dict[str, tuple[str, str]]:
    return {
        each.path: (each.new.oid.hex(), each.new.mode)
        for each in history.trees.differences(None, tree)
        if each.new is not None
    }


def told(planned: PlannedChange) -> list[str]:
    """Items in short: `add a`, `move a → b`, `restore a from 1234567`, `edit a merging 1234567`."""
    lines = []
    for item in planned.items:
        line = f"{item.action} " + (f"{item.source} → " if item.source else "") + item.path
        line += f" from {item.take[:7]}" if item.take else ""
        line += f" merging {item.merge[:7]}" if item.merge else ""
        line += f" onto {item.onto[:7]}" if item.onto and item.onto != item.merge else ""
        line += " onto it" if item.onto and item.onto == item.merge else ""
        line += " as new" if item.fresh else ""
        line += f" at {item.of}" if item.of else ""
        line += f" as {item.mode}" if item.mode else ""
        lines.append(line + ("" if item.content or item.take or item.action == "delete" else " as it is"))
    return lines
