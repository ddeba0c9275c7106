"""Histories by chance in which each line of text says who wrote it, and what a ledger makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.git.documents import Documents

if TYPE_CHECKING:
    import random

    from app.git.read.history import History, PlannedChange
    from tests.git.making import Maker

PATHS = ("README.md", "a", "b", "d/README.md", "d/a")
LINES = 12

State = dict[str, tuple[int, list[str]]]
"""What a path has: which file it is, told by its maker, and the lines."""


class Story:
    """A repository of several beginnings, renames and merges; merges take whole files of one side."""

    def __init__(self, git: Maker, chance: random.Random, commits: int) -> None:
        self.states: dict[str, State] = {}
        self._chance = chance
        self._files = 0
        self._number = 0
        tips: list[str] = []
        for _ in range(commits):
            kind = chance.random()
            if not tips or kind < 0.08:
                base: tuple[str, ...] = ()
            elif kind < 0.3 and len(tips) > 1:
                base = tuple(chance.sample(tips, 2))
            else:
                base = (chance.choice(tips if kind < 0.85 else list(self.states)),)
            self._number += 1
            state = self._merged(*base) if len(base) > 1 else dict(self.states[base[0]]) if base else {}
            if len(base) < 2:
                if not base:
                    for path in chance.sample(PATHS, 3):
                        self._add(state, path)
                self._change(state, chance.random())
                if chance.random() < 0.3:
                    self._change(state, 1)
            files = {path: "".join(lines).encode() for path, (_, lines) in state.items()}
            made = git.commit(files, *base, message=b"%d\n" % self._number)
            self.states[made] = state
            tips = [each for each in tips if each not in base] + [made]
        if len(tips) > 1:
            self._number += 1
            state = self._merged(*tips)
            files = {path: "".join(lines).encode() for path, (_, lines) in state.items()}
            self.states[git.commit(files, *tips, message=b"%d\n" % self._number)] = state

    def _merged(self, *sides: str) -> State:
        state: State = {}
        files: set[int] = set()
        for side in self._chance.sample(sides, len(sides)):
            for path, held in self.states[side].items():
                if (
                    path not in state
                    and held[0] not in files
                    and (side == sides[0] or self._chance.random() < 0.8)
                ):
                    state[path] = held
                    files.add(held[0])
        return state

    def _change(self, state: State, kind: float) -> None:
        have = list(state)
        free = [path for path in PATHS if path not in state]
        if kind < 0.3 or not have:
            # At a name of its own: what is written where a file was deleted is the same document again.
            self._add(state, f"new/{self._number}")
        elif kind < 0.4:
            del state[self._chance.choice(have)]
        elif free and kind < 0.6:
            state[self._chance.choice(free)] = state.pop(self._chance.choice(have))
        else:
            path = self._chance.choice(have)
            file, lines = state[path]
            at = self._chance.randrange(LINES)
            state[path] = (file, [*lines[:at], self._line(at), *lines[at + 1 :]])

    def _add(self, state: State, path: str) -> None:
        self._files += 1
        state[path] = (self._files, [self._line(n) for n in range(LINES)])

    def _line(self, at: int) -> str:
        return f"{self._number} wrote line {at}, {self._chance.getrandbits(64):x}\n"


class Lines:
    """By whom each version's lines are, as blame goes: through what a version was made from."""

    def __init__(self, history: History) -> None:
        self.documents = Documents()
        self._contents = history.contents
        self._after: dict[str, dict[str, tuple[str, dict[str, str]]]] = {}
        self._heads: dict[str, dict[str, str]] = {}

    def write(self, planned: PlannedChange, history: History) -> dict[str, dict[str, str]]:
        """Carry out a commit; for each path who wrote its lines."""
        before = self.documents.paths()
        self.documents.write(planned, history)
        number = planned.commit.message.strip()
        after = self.documents.paths()
        for item in planned.items:
            if item.action == "delete":
                continue
            document = after[item.path]
            was = before.get(item.source or item.path)
            if item.take is not None:
                self._heads[document] = self._of(document, item.take, item)
            elif item.content is not None:
                sources = [self._heads[document]] if item.action != "add" and was == document else []
                sources += [self._of(document, item.merge, item)] if item.merge is not None else []
                text = self._contents.read(item.content.mode, item.content.oid).decode()
                known: dict[str, str] = {}
                for each in reversed(sources):
                    known |= each
                self._heads[document] = {line: known.get(line, number) for line in text.splitlines()}
        now = {path: (document, self._heads[document]) for path, document in after.items()}
        self._after[planned.commit.id] = now
        return {path: lines for path, (_, lines) in now.items()}

    def _of(self, document: str, commit: str, item: Any) -> dict[str, str]:
        other, lines = self._after[commit][item.of or item.path]
        return lines if other == document else {}
