"""What the SQL functions behind the ledger answer, where that is not a word of the model itself."""

from __future__ import annotations

from typing import Any

import msgspec

from app.model import Change, Copy, Person, Role, VersionRead


class MyProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project in the answer to who-am-I."""

    id: str
    slug: str
    role: Role


class Row(msgspec.Struct, frozen=True):
    """A row as the database has it, and its place in the order of its part."""

    key: str
    row: dict[str, Any]


class Me(Person, frozen=True, kw_only=True):
    """The caller's profile and up to 100 of their projects."""

    projects: list[MyProject]


class PreparedItem(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says of one item before its bytes travel."""

    document: str | None
    number: int
    path: str
    unchanged: bool
    copies: list[Copy]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says of a change before its bytes travel."""

    project: str
    repeat_of: int | None
    """The change that the same Idempotency-Key wrote, when this is a repeat."""
    items: list[PreparedItem]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Two versions of a document; `older` is null before the first."""

    older: VersionRead | None = msgspec.field(name="from")
    newer: VersionRead = msgspec.field(name="to")


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it was at two points; a side is null where it wasn't live. `place` orders the pairs."""

    place: str
    older: VersionRead | None = msgspec.field(name="from")
    newer: VersionRead | None = msgspec.field(name="to")


class ComparedTrees(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the documents that differ between two changes."""

    older: int = msgspec.field(name="from")
    newer: int = msgspec.field(name="to")
    pairs: list[Pair]


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a tree as readers of bytes need it."""

    sequence: int
    reads: list[VersionRead]


class PlannedRestore(msgspec.Struct, frozen=True, kw_only=True):
    """The change that brings an earlier tree back: items for commit_change; none when it is there already."""

    sequence: int
    items: list[dict[str, Any]]


class Committed(msgspec.Struct, frozen=True):
    """What commit_change answers: null when everything was as asked already."""

    change: Change | None
