"""Which table column stands behind a view's column.

PostgreSQL keeps a view as the text of its parse tree (`pg_rewrite.ev_action`), where every entry of the
target list says the table and column it comes from. Nothing else in the catalog does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Origin = tuple[int, int]
_TOKEN = re.compile(r"[{}]|(?:\\.|[^\s{}()\\])+")


def origins_in(tree: str) -> dict[int, Origin]:
    """Map the number of each view column to (table's oid, column's number), where it is a plain column."""
    found: dict[int, Origin] = {}
    depth = 0
    in_targets = False
    entry: dict[str, int] = {}
    words = iter(_TOKEN.findall(tree))
    for word in words:
        if word == "{":
            depth += 1
            if in_targets and depth == _ENTRY:
                entry = {}
        elif word == "}":
            if in_targets and depth == _ENTRY and entry.get(":resorigtbl"):
                found[entry[":resno"]] = (entry[":resorigtbl"], entry[":resorigcol"])
            depth -= 1
        elif depth == _QUERY and word.startswith(":"):
            in_targets = word == ":targetList"
        elif in_targets and depth == _ENTRY and word in _WANTED:
            entry[word] = int(next(words))
    return found


# The query's own braces are the first level, its target entries the second; deeper ones are expressions.
_QUERY, _ENTRY = 1, 2
_WANTED = frozenset((":resno", ":resorigtbl", ":resorigcol"))


def table_columns(view: int, views: Mapping[int, Mapping[int, Origin]]) -> dict[Origin, list[int]]:
    """Follow a view through the views below it: (table, column) to the numbers of the view's columns."""
    reached: dict[Origin, list[int]] = {}
    for number in sorted(views[view]):
        for origin in _follow(views[view][number], views):
            reached.setdefault(origin, []).append(number)
    return reached


def _follow(origin: Origin, views: Mapping[int, Mapping[int, Origin]]) -> Iterator[Origin]:
    seen: set[Origin] = set()
    step: Origin | None = origin
    while step and step not in seen:
        seen.add(step)
        yield step
        step = views[step[0]].get(step[1]) if step[0] in views else None
