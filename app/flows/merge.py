"""Meeting someone else's edit: base, theirs and yours become one text, or conflicts to decide.

Clean means one new version whose parent is the head and whose `merged_from` is the base that the writer
had: it names both. Conflicts are told, and nothing is stored.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.flows.add_change import Item, add_change
from app.flows.read_content import read_content
from app.model import Version
from app.supabase.upload import Upload
from app.text.errors import BinaryMergeError, TookTooLongError
from app.text.merge import Conflict, Labels, MergeResult, Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.model import Change, VersionRead
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger
    from app.text.bounded import TextWorkers

MERGE_TRIES = 5
"""How often a merge is made again because someone was faster once more."""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What merging gives: the text (with markers where there are conflicts), and from what it was made."""

    clean: bool
    base: Version
    head: Version
    text: str
    lossy: bool
    """Whether the text isn't UTF-8, so that some characters here stand for bytes."""
    sha256: str
    conflicts: tuple[Conflict, ...]


async def merge_versions(
    ledger: Ledger,
    blobs: Blobs,
    workers: TextWorkers,
    *,
    actor: Actor,
    document: str,
    base: str,
    yours: bytes,
    style: Style,
    limit: int,
) -> tuple[Merged, bytes]:
    """Merge a text that was made from version `base` with the document's head; write nothing.

    `limit` is the most bytes of each of the three. Raises VersoError: `merge_impossible` for binary or too
    large content, `version_not_found` when the base is no version of the document.
    """
    based_on, head = await asyncio.gather(
        ledger.read_version(actor.token, document=document, at=base),
        ledger.read_version(actor.token, document=document),
    )
    if head.version.sha256 is None:
        raise VersoError(
            "document_deleted",
            "The document was deleted meanwhile. Restore it first, or write your text as a new document.",
            document=document,
            head=head.version.hash,
        )
    old, theirs = await asyncio.gather(
        _text(blobs, actor=actor, read=based_on, limit=limit),
        _text(blobs, actor=actor, read=head, limit=limit),
    )
    if len(yours) > limit:
        raise _impossible(limit)
    labels = Labels(yours="yours", base=_label(based_on), theirs=_label(head))
    try:
        result: MergeResult = await workers.merge(old, theirs, yours, style=style, labels=labels)
    except (BinaryMergeError, TookTooLongError):
        raise _impossible(limit) from None
    return _merged(result, base=based_on.version, head=head.version), result.text


async def add_change_merging(
    ledger: Ledger,
    blobs: Blobs,
    workers: TextWorkers,
    *,
    actor: Actor,
    project: str | None,
    items: Sequence[Item],
    message: str,
    idempotency_key: str | None,
    concurrency: int,
    limit: int,
) -> Change | None:
    """As add_change, but items whose base is stale are merged with the heads that they met.

    An item that says where to be keeps its path; one that doesn't stays where the head is. Raises VersoError
    `merge_conflict` with every conflict and the marked texts; then nothing was stored.
    """
    asked = list(items)
    for tries_left in reversed(range(MERGE_TRIES)):
        try:
            return await add_change(
                ledger,
                blobs,
                actor=actor,
                project=project,
                items=asked,
                message=message,
                idempotency_key=idempotency_key,
                concurrency=concurrency,
            )
        except VersoError as error:
            stale = _stale_items(error, items)
            if not stale or not tries_left:
                raise
        conflicts: list[Merged] = []
        for index, document in stale.items():
            item = items[index]
            merged, text = await merge_versions(
                ledger,
                blobs,
                workers,
                actor=actor,
                document=document,
                base=item.base or "",
                yours=await asyncio.to_thread(item.upload.read) if item.upload else b"",
                style=Style.MERGE,
                limit=limit,
            )
            if merged.clean:
                asked[index] = _on_top(item, document=document, head=merged.head, text=text)
            else:
                conflicts.append(merged)
        if conflicts:
            raise conflict(conflicts)
    raise AssertionError("unreachable")


def _stale_items(error: VersoError, items: Sequence[Item]) -> dict[int, str]:
    """Which items' bases are stale, and their documents; none when something else is wrong as well."""
    if error.code != "stale_base":
        return {}
    stale: dict[int, str] = {}
    for each in error.detail.get("items", ()):
        index = each["index"] - 1
        if each["code"] != "stale_base" or not each.get("live") or items[index].upload is None:
            return {}
        stale[index] = each["document"]
    return stale


def _on_top(item: Item, *, document: str, head: Version, text: bytes) -> Item:
    # By path the document was found where it is; only an item that names its document may want to move it.
    path = item.path if item.document is not None else None
    return msgspec.structs.replace(
        item,
        path=path,
        from_path=None,
        document=document,
        base=head.hash,
        merged_from=item.base,
        upload=Upload.of(text),
    )


def conflict(merges: Sequence[Merged]) -> VersoError:
    """The refusal of merges that someone has to decide."""
    count = sum(len(each.conflicts) for each in merges)
    return VersoError(
        "merge_conflict",
        f"{count} place(s) were changed differently by someone else. Decide them in the text and send it "
        "with the head's ETag as If-Match (base). Nothing was stored.",
        merges=[msgspec.to_builtins(each) for each in merges],
    )


def _merged(result: MergeResult, *, base: Version, head: Version) -> Merged:
    text = result.text.decode("utf-8", "replace")
    return Merged(
        clean=result.clean,
        base=base,
        head=head,
        text=text,
        lossy=text.encode() != result.text,
        sha256=hashlib.sha256(result.text).hexdigest(),
        conflicts=result.conflicts,
    )


async def _text(blobs: Blobs, *, actor: Actor, read: VersionRead, limit: int) -> bytes:
    if (read.version.size or 0) > limit:
        raise _impossible(limit)
    with await read_content(blobs, actor=actor, read=read) as content:
        return await content.read()


def _label(read: VersionRead) -> str:
    return f"version {read.version.number}"


def _impossible(limit: int) -> VersoError:
    return VersoError(
        "merge_impossible",
        f"These contents cannot be merged by lines: binary, larger than {limit:,} bytes, or too different. "
        "Read the head and decide by hand.",
        limit=limit,
    )
