"""What a project says of the history that was imported into it."""

from __future__ import annotations

import msgspec


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
