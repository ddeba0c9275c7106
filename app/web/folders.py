"""A folder's entries at a point: its folders and documents, each with the change that touched it last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.model import ChangeSummary, TreeEntry  # msgspec reads the annotations

if TYPE_CHECKING:
    from app.model import Tree
    from app.web.visiting import Visitor

PAGE = 1000
"""Paths of a page of the tree, as `OverviewPage` has them."""
MOST_PAGES = 5
"""How many pages of the tree one folder's list may cost; folders in it that are larger are skipped over."""
_LAST = "\U0010ffff"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A folder or a document in a list."""

    name: str
    path: str
    entry: TreeEntry | None
    """None for a folder."""
    documents: int
    newest: int
    """The change that touched it last, as far as its entries were looked at."""
    whole: bool
    """Whether all of a folder's entries were looked at."""
    change: ChangeSummary | None = None


class Folder(msgspec.Struct, frozen=True):
    """A folder's list: folders first. `entries` are the documents below it that were looked at."""

    sequence: int
    rows: list[Row]
    more: bool
    entries: list[TreeEntry]


async def list_folder(
    visitor: Visitor, *, project: str, folder: str, at: str | None, first: Tree | None = None
) -> Folder:
    """What is in a folder ("" is the root) at a point; no rows when there is none. Raises VersoError.

    `first` is the first page of the tree, where it is known already.
    """
    prefix = f"{folder}/" if folder else ""
    rows: dict[str, Row] = {}
    entries: list[TreeEntry] = []
    sequence, after, whole = 0, "", False
    for _ in range(MOST_PAGES):
        tree = first or await visitor.services.ledger.list_tree(
            visitor.token, project=project, at=at, prefix=prefix, after=after, page_size=PAGE
        )
        first = None
        sequence = tree.sequence
        entries += tree.entries
        for entry in tree.entries:
            _count(rows, entry, prefix)
        whole = len(tree.entries) < PAGE
        if whole:
            break
        # One page ended inside a folder: go on behind it, however much it holds.
        last = tree.entries[-1].path
        name, inside, _ = last[len(prefix) :].partition("/")
        after = f"{prefix}{name}/{_LAST}" if inside else last
        if inside:
            rows[name] = msgspec.structs.replace(rows[name], whole=False)
    listed = sorted(rows.values(), key=lambda row: (row.entry is not None, row.name.lower()))
    return Folder(sequence, listed, not whole, entries)


async def with_changes(visitor: Visitor, rows: list[Row], *, project: str) -> list[Row]:
    """The rows with their changes, in one round trip. `project` is the project's id."""
    known = await visitor.services.glances.list_summaries(
        visitor.token, ((project, row.newest) for row in rows[:PAGE] if row.whole)
    )
    return [msgspec.structs.replace(row, change=known.get((project, row.newest))) for row in rows]


def _count(rows: dict[str, Row], entry: TreeEntry, prefix: str) -> None:
    name, inside, _ = entry.path[len(prefix) :].partition("/")
    before = rows.get(name)
    if before is None:
        rows[name] = Row(
            name=name,
            path=prefix + name,
            entry=None if inside else entry,
            documents=1,
            newest=entry.change,
            whole=True,
        )
    else:
        rows[name] = msgspec.structs.replace(
            before, documents=before.documents + 1, newest=max(before.newest, entry.change)
        )
