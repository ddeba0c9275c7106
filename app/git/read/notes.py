"""What Verso says of a commit that it wrote itself, in the header `verso` (docs/git.md): what Git can't say.

Anybody can write such a header, so it is believed only where it does no harm: it may say which document a
path continues, and what a version was; what the tree has, it can't change.
"""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotation
from typing import Annotated

import msgspec


class Reference(msgspec.Struct, frozen=True):
    """A version, by the commit that wrote it and its path."""

    commit: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{40}|[0-9a-f]{64})$")]
    path: str


class VersionNote(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of one version."""

    path: str
    source: str | None = msgspec.field(name="from", default=None)
    restored_from: Reference | None = None
    merged_from: Reference | None = None
    media_type: str | None = None


class Notes(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of a change."""

    author_name: (
        Annotated[str, msgspec.Meta(max_length=1000, pattern="^[^\\x00-\\x1f\\x7f-\\x9f]*$")] | None
    ) = None
    authored_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    versions: list[VersionNote] = []

    @property
    def by_path(self) -> dict[str, VersionNote]:
        """What there is to say of each path's version."""
        return {each.path: each for each in self.versions}

    @property
    def moves(self) -> dict[str, str]:
        """Each path to which a document moved, and where it was."""
        return {each.path: each.source for each in self.versions if each.source not in {None, each.path}}


def read_notes(header: bytes | None) -> Notes | None:
    """The notes of a commit, or None when there are none that can be read."""
    if header is None:
        return None
    try:
        return msgspec.json.decode(header, type=Notes)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
