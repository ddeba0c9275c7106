"""Which document each path is, by the ledger's rules: what a server would say of a part of a history."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.git.read.history import History, PlannedChange


class Documents:
    """Documents by ids of their own, as they come about when planned items are carried out."""

    def __init__(self) -> None:
        self._at: dict[str, str] = {}
        self._buried: list[tuple[str, str]] = []
        self._after: dict[str, dict[str, str]] = {}
        self._births: dict[str, tuple[str, str]] = {}
        self._made = 0

    def paths(self) -> dict[str, str]:
        return dict(self._at)

    def deleted(self) -> list[tuple[str, str]]:
        return list(self._buried)

    def births(self) -> dict[str, tuple[str, str]]:
        return dict(self._births)

    def write(self, planned: PlannedChange, history: History) -> None:
        before = dict(self._at)
        for item in planned.items:
            if item.source is not None:
                self._at.pop(item.source, None)
            elif item.action == "delete":
                self._buried.append((item.path, self._at.pop(item.path)))
        # What comes back elsewhere isn't what plain content at its last path goes to.
        gone = {
            self._after[named][item.of or item.path]
            for item in planned.items
            if (named := item.take or item.onto) is not None
        }
        for item in planned.items:
            if item.action == "delete":
                continue
            named = item.take or item.onto
            if item.source is not None:
                document = before[item.source]
            elif named is not None:
                document = self._after[named][item.of or item.path]
            elif item.fresh:
                document = self._new()
            elif item.action != "add":
                document = before[item.path]
            else:
                document = self._heir(item.path, gone)
            assert item.take is None or document == self._after[item.take][item.of or item.path]
            self._births.setdefault(document, (planned.commit.id, item.path))
            self._buried = [each for each in self._buried if each[1] != document]
            self._at[item.path] = document
        self._after[planned.commit.id] = dict(self._at)
        assert set(self._at) == {
            each.path for each in history.trees.differences(None, planned.commit.tree) if each.new
        }
        assert len(set(self._at.values())) == len(self._at)

    def _heir(self, path: str, gone: set[str]) -> str:
        for last, document in reversed(self._buried):
            if last == path and document not in gone:
                return document
        return self._new()

    def _new(self) -> str:
        self._made += 1
        return f"document-{self._made}"
