"""Planned commits as a project takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from app.model.imports import Commit, CommitItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.git.read.contents import Contents
    from app.git.read.history import PlannedChange
    from app.git.read.planning import Item
    from app.model.modes import Mode


def commit_sent(planned: PlannedChange, contents: Contents) -> Commit:
    """A planned commit as it is sent."""
    commit = planned.commit
    return Commit(
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


def _item(item: Item, contents: Contents) -> CommitItem:
    given: Mapping[str, object] = {}
    if item.content is not None:
        known = contents.look(item.content.mode, item.content.oid)
        given = {"sha256": known.sha256.hex(), "size": known.size}
    return CommitItem(
        path=item.path,
        from_path=item.source,
        media_type=item.media_type,
        mode=cast("Mode | None", item.mode),
        delete=item.action == "delete",
        take=item.take,
        merge=item.merge,
        of=item.of,
        onto=item.onto,
        fresh=item.fresh,
        **given,  # type: ignore[arg-type]
    )
