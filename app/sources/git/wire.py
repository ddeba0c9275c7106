"""Batches as the server takes them (POST /v1/projects/{p}/imports/git)."""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.git.read.contents import Contents
    from app.git.read.history import PlannedChange
    from app.git.read.planning import Item


class ItemSent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One path's part of a commit."""

    path: str
    from_path: str | None = msgspec.field(name="from", default=None)
    sha256: str | None = None
    size: int | None = None
    media_type: str | None = None
    mode: str | None = None
    delete: bool = False
    take: str | None = None
    merge: str | None = None
    of: str | None = None
    onto: str | None = None
    fresh: bool = False


class CommitSent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One commit."""

    origin: bytes
    origin_id: str
    author_name: str | None = None
    author_email: str | None = None
    attributed_to: str | None = None
    message: str
    authored_at: datetime
    committed_at: datetime
    items: list[ItemSent]


class BatchSent(msgspec.Struct, frozen=True, kw_only=True):
    """Commits in their order, on top of the change with the hash `after`."""

    after: str | None
    changes: list[CommitSent]


def commit_sent(planned: PlannedChange, contents: Contents) -> CommitSent:
    """A planned commit as it is sent."""
    commit = planned.commit
    return CommitSent(
        origin=commit.raw,
        origin_id=commit.id,
        author_name=commit.author.who.name,
        author_email=commit.author.who.email or None,
        attributed_to=planned.account,
        message=commit.message,
        authored_at=commit.author.moment,
        committed_at=planned.committed_at,
        items=[_item(item, contents) for item in planned.items],
    )


def _item(item: Item, contents: Contents) -> ItemSent:
    given: Mapping[str, object] = {}
    if item.content is not None:
        known = contents.look(item.content.mode, item.content.oid)
        given = {"sha256": known.sha256.hex(), "size": known.size}
    return ItemSent(
        path=item.path,
        from_path=item.source,
        media_type=item.media_type,
        mode=item.mode,
        delete=item.action == "delete",
        take=item.take,
        merge=item.merge,
        of=item.of,
        onto=item.onto,
        fresh=item.fresh,
        **given,  # type: ignore[arg-type]
    )
