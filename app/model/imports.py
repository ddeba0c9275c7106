"""A Git history on its way in: what is sent, a batch of commits at a time, and what the project says of it.

Whoever sends makes the same structs that the service reads: what is left out of them is as its default says.
"""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from typing import Annotated

import msgspec

from app.model.modes import Mode

MAX_COMMITS = 200
"""Commits of one batch."""
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
GitId = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{40}|[0-9a-f]{64})$")]


class CommitItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One path's part of a commit: content (`sha256` and `size`), `delete`, `take`, or only another `mode`.

    `from` moves the document that is there now. `take` names an earlier commit: what the path had after it
    comes back. `merge` names one whose version of the path this content takes in.
    """

    path: str
    from_path: str | None = msgspec.field(name="from", default=None)
    sha256: Sha256 | None = None
    size: Annotated[int, msgspec.Meta(ge=0)] | None = None
    media_type: str | None = None
    mode: Mode | None = None
    delete: bool = False
    take: GitId | None = None
    merge: GitId | None = None
    of: str | None = None
    """The path that `take`, `merge` or `onto` means, where the document was elsewhere then."""
    onto: GitId | None = None
    """An earlier commit: content goes to the document that the path was after it."""
    fresh: bool = False
    """Content is of a new document, whatever is or was at the path."""


class Commit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One Git commit: the object itself, what it says in Unicode, and what differs from the one before it."""

    origin: bytes
    """The raw commit object, in base64: headers and message, at most 1 MiB."""
    origin_id: GitId
    author_name: str | None = None
    author_email: str | None = None
    attributed_to: str | None = None
    """Handle or id of the member that its author is."""
    message: str = ""
    """NUL characters are left out, and what is beyond 65,536 bytes; the object keeps all."""
    authored_at: datetime
    committed_at: datetime
    items: list[CommitItem] = []


class Batch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """1 to 200 commits in their order, of at most 10,000 items together."""

    after: Sha256 | None = None
    """Hash of the project's newest change as last seen; null when it is empty."""
    changes: Annotated[list[Commit], msgspec.Meta(min_length=1, max_length=MAX_COMMITS)]


class ImportState(msgspec.Struct, frozen=True, kw_only=True):
    """Where an import stands."""

    after: str | None
    """Hash of the project's newest change: what the next batch names; null in an empty project."""
    last: str | None
    """The last imported commit."""
    count: int
    """How many commits are imported: they are the changes 1 to this."""
    diverged: bool
    """Whether something was written after the last imported commit: then nothing more can be imported."""


class ImportedCommit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that is there, and the change that it is."""

    sequence: int
    origin_id: str


class ImportedChange(ImportedCommit, frozen=True, kw_only=True):
    """The change that a commit of a batch became."""

    hash: str
    version_count: int


class ImportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a batch, in its order."""

    changes: list[ImportedChange]
