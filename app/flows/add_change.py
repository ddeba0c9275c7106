"""One atomic change: any number of documents written, moved, deleted or restored.

1  `check_change` asks the database whether the caller may, and whether every base is the head, before
   any large body travels.
2  The caller takes the bytes in (`app.supabase.intake`): hashed, counted, limited.
3  `add_change` asks again, now with the hashes, which contents the project has; proves those that it has
   (so that sending the original again mends an altered object) and stores the others;
4  and commits in one transaction that checks everything once more. A crash in between leaves objects
   that nothing points to, never a version without bytes.

Every commit carries an idempotency key, the client's or one of our own, so that a lost answer can be
asked for again without writing twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from app.errors import VersoError
from app.flows.side_by_side import side_by_side
from app.supabase.pool import key_of
from app.supabase.upload import Upload  # msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.model import Change
    from app.supabase.answers import Prepared
    from app.supabase.blobs import Blobs, Stored
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger

COMMIT_TRIES = 3
_DOUBTS = frozenset({"blob_missing", "blob_unproven", "blob_altered"})
"""What the database says of stored bytes that can be mended here."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One document's part of a change: where, based on what, and what to do.

    `upload` or `pending` (it will come) write content; `delete` and `restore` (a version's number, or
    "latest" for the newest with content) say so; a new `path` alone moves.
    """

    path: str | None = None
    document: str | None = None
    from_path: str | None = None
    base: str | None = None
    merged_from: str | None = None
    create: bool = False
    delete: bool = False
    restore: int | Literal["latest"] | None = None
    media_type: str | None = None
    mode: str | None = None
    upload: Upload | None = None
    pending: bool = False
    held: str | None = None
    """SHA-256 of a content that the project holds: `take_held` puts an upload in its place."""

    def asked(self) -> dict[str, Any]:
        """The item as the SQL functions take it."""
        item: dict[str, Any] = {
            "path": self.path,
            "document": self.document,
            "from": self.from_path,
            "base": self.base,
            "merged_from": self.merged_from,
            "restore": self.restore,
            "media_type": self.media_type,
            "mode": self.mode,
        }
        given = {name: value for name, value in item.items() if value is not None}
        given |= {name: True for name in ("create", "delete", "pending") if getattr(self, name)}
        if self.upload is not None:
            given |= {"sha256": self.upload.sha256, "size": self.upload.size, "md5": self.upload.md5}
        return given


async def check_change(
    ledger: Ledger, *, actor: Actor, project: str | None, items: Sequence[Item], idempotency_key: str | None
) -> None:
    """Stop what is missing, forbidden or stale before its bytes travel. Raises VersoError; one round trip."""
    await ledger.prepare_change(
        actor.token,
        project=project,
        items=[item.asked() for item in items],
        idempotency_key=idempotency_key,
    )


async def add_change(
    ledger: Ledger,
    blobs: Blobs,
    *,
    actor: Actor,
    project: str | None,
    items: Sequence[Item],
    message: str,
    idempotency_key: str | None,
    concurrency: int,
) -> Change | None:
    """Write a change; None when everything is as asked already.

    `project` is an id or slug; None takes the project of the first item's document. Round trips: 1 without
    new content, else 2 and one for each blob that the project lacks, `concurrency` of them at a time.
    Raises VersoError; then nothing was changed.
    """
    key = key_of(idempotency_key)
    asked = [item.asked() for item in items]
    home = project
    uploads = {item.upload.sha256: item.upload for item in items if item.upload is not None}
    if uploads:
        prepared = await ledger.prepare_change(
            actor.token, project=project, items=asked, idempotency_key=idempotency_key
        )
        home = prepared.project
        if prepared.repeat_of is None:
            stored = await _store(
                ledger,
                blobs,
                actor=actor,
                prepared=prepared,
                asked=asked,
                uploads=uploads,
                concurrency=concurrency,
            )
            if not stored and all(item.unchanged for item in prepared.items):
                return None
    for tries_left in reversed(range(COMMIT_TRIES)):
        try:
            return await ledger.commit_change(
                actor.token, project=home, items=asked, message=message, idempotency_key=key
            )
        except VersoError as error:
            doubts = {each.get("sha256"): each["code"] for each in error.detail.get("items", ())}
            if not tries_left or home is None or not doubts or not doubts.keys() <= uploads.keys():
                raise
            if not _DOUBTS.issuperset(doubts.values()):
                raise  # erased since it was asked for, say: its bytes must not travel again
            for sha256, code in doubts.items():
                await _mend(blobs, actor=actor, project=home, asked=asked, upload=uploads[sha256], code=code)
    raise AssertionError("unreachable")


async def _store(
    ledger: Ledger,
    blobs: Blobs,
    *,
    actor: Actor,
    prepared: Prepared,
    asked: list[dict[str, Any]],
    uploads: dict[str, Upload],
    concurrency: int,
) -> bool:
    """See to it that storage holds every content; true when an object was added for one of them."""
    wanted = {
        item["sha256"]: found.copies
        for item, found in zip(asked, prepared.items, strict=True)
        if "sha256" in item
    }

    async def store(sha256: str) -> tuple[str, Stored]:
        return sha256, await blobs.store(
            actor.token, project=prepared.project, upload=uploads[sha256], copies=wanted[sha256]
        )

    try:
        stored = dict(await side_by_side(store, wanted, most=concurrency))
    except VersoError as error:
        if error.code == "forbidden":
            # Storage never says why. The database knows what came between: archived, removed, erased.
            await ledger.prepare_change(
                actor.token, project=prepared.project, items=asked, idempotency_key=None
            )
        raise
    for item in asked:
        held = stored.get(item.get("sha256", ""))
        if held is not None and held.suffix is not None:
            item["copy"] = held.suffix
    return any(held.is_new for held in stored.values())


async def _mend(
    blobs: Blobs,
    *,
    actor: Actor,
    project: str,
    asked: list[dict[str, Any]],
    upload: Upload,
    code: str,
) -> None:
    """Answer the database's doubt about a stored blob: prove it, or store it again beside that one."""
    concerned = [item for item in asked if item.get("sha256") == upload.sha256]
    suffix = concerned[0].get("copy")
    if code == "blob_unproven" and await blobs.prove(
        actor.token, project=project, upload=upload, suffix=suffix
    ):
        for item in concerned:
            item["proven"] = True
    else:
        fresh = await blobs.store_further_copy(actor.token, project=project, upload=upload)
        for item in concerned:
            item["copy"] = fresh
