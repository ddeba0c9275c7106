"""Meeting someone else's edit: base, theirs and yours become one text, or conflicts to decide.

Clean means one new version whose parent is the head and whose `merged_from` is the base that the writer
had: it names both. Conflicts are told, and nothing is stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.flows.add_change import Item, add_change
from app.flows.read_content import read_content
from app.flows.side_by_side import side_by_side
from app.model import Version
from app.supabase.upload import Upload
from app.text.errors import BinaryMergeError, TookTooLongError
from app.text.merge import Conflict, Labels, MergeResult, Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.model import Change, VersionRead, VersionState
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger
    from app.text.bounded import TextWorkers

MERGE_SECONDS = 20.0
"""How long a merge is made again and again because someone was faster once more."""
AT_ONCE = 4
"""How many documents are merged at the same time; each of them has its three texts in memory."""
_PAUSE_SECONDS = 0.02


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
    head: str | None = None,
) -> tuple[Merged, bytes]:
    """Merge a text that was made from version `base` with the document's head (or another); write nothing.

    `limit` is the most bytes of each of the three. Raises VersoError: `merge_impossible` for binary or too
    large content, `version_not_found` when the base is no version of the document.
    """
    based_on, met = await side_by_side(
        lambda at: ledger.read_version(actor.token, document=document, at=at), [base, head]
    )
    if met.version.sha256 is None:
        raise VersoError(
            "document_deleted",
            "The document was deleted meanwhile. Restore it first, or write your text as a new document.",
            document=document,
            head=met.version.hash,
        )
    old, theirs = await side_by_side(
        lambda read: text_of(blobs, actor=actor, read=read, limit=limit), [based_on, met]
    )
    if len(yours) > limit:
        raise merge_impossible(limit)
    labels = Labels(yours="yours", base=_label(based_on), theirs=_label(met))
    try:
        result: MergeResult = await workers.merge(old, theirs, yours, style=style, labels=labels)
    except (BinaryMergeError, TookTooLongError):
        raise merge_impossible(limit) from None
    return merged_of(result, base=based_on.version, head=met.version), result.text


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
    clock = asyncio.get_running_loop().time
    until = clock() + MERGE_SECONDS
    pause = _PAUSE_SECONDS
    while True:
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
            if error.code == "idempotency_key_reused" and "change" in error.detail:
                written = await ledger.read_change(
                    actor.token,
                    project=await _home(ledger, actor, project, items),
                    sequence=error.detail["change"],
                )
                if await _is_repeat(
                    ledger,
                    blobs,
                    workers,
                    actor=actor,
                    items=items,
                    written=written,
                    message=message,
                    limit=limit,
                ):
                    return written
                raise
            stale = _stale_items(error, items)
            if not stale or clock() > until:
                raise
        if asked != list(items):
            # In a crowd each round lets one through: who waits a little, and not all alike, gets in sooner.
            await asyncio.sleep(random.uniform(0, pause))
            pause = min(2 * pause, 1.0)

        async def meet(index: int) -> tuple[Merged, bytes]:
            item = items[index]
            return await merge_versions(
                ledger,
                blobs,
                workers,
                actor=actor,
                document=stale[index],  # noqa: B023 - awaited in this round
                base=item.base or "",
                yours=await _sent(item.upload, limit),
                style=Style.MERGE,
                limit=limit,
            )

        met = await side_by_side(meet, stale, most=AT_ONCE)
        conflicts = [merged for merged, _ in met if not merged.clean]
        if conflicts:
            raise conflict(conflicts)
        for index, (merged, text) in zip(stale, met, strict=True):
            asked[index] = _on_top(items[index], document=stale[index], head=merged.head, text=text)


async def _home(ledger: Ledger, actor: Actor, project: str | None, items: Sequence[Item]) -> str:
    if project is not None:
        return project
    return (await ledger.read_version(actor.token, document=items[0].document or "")).version.project


async def _is_repeat(
    ledger: Ledger,
    blobs: Blobs,
    workers: TextWorkers,
    *,
    actor: Actor,
    items: Sequence[Item],
    written: Change,
    message: str,
    limit: int,
) -> bool:
    """Whether a change is what merging these very items gave: what was stored is not what was sent.

    Each merge is made again from the base and the head that it met; the same bytes must come out.
    """
    if written.message != message or len(written.versions) != len(items):
        return False
    merged: list[tuple[Upload, VersionState]] = []
    for item, version in zip(items, written.versions, strict=True):
        if item.path not in {None, version.path} or item.document not in {None, version.document}:
            return False
        if item.upload is None:
            return False
        if version.merged_from is None:
            if (item.upload.sha256, item.base) != (version.sha256, version.parent):
                return False
            continue
        if version.merged_from != item.base:
            return False
        merged.append((item.upload, version))

    async def is_same(pair: tuple[Upload, VersionState]) -> bool:
        upload, version = pair
        _, text = await merge_versions(
            ledger,
            blobs,
            workers,
            actor=actor,
            document=version.document,
            base=version.merged_from or "",
            head=version.parent,
            yours=await _sent(upload, limit),
            style=Style.MERGE,
            limit=limit,
        )
        return hashlib.sha256(text).hexdigest() == version.sha256

    return all(await side_by_side(is_same, merged, most=AT_ONCE))


async def _sent(upload: Upload | None, limit: int) -> bytes:
    """The bytes that were sent; nothing larger than can be merged comes into memory."""
    if upload is None:
        return b""
    if upload.size > limit:
        raise merge_impossible(limit)
    return await asyncio.to_thread(upload.read)


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


def merged_of(result: MergeResult, *, base: Version, head: Version) -> Merged:
    """What a merge gave, as clients get it."""
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


async def text_of(blobs: Blobs, *, actor: Actor, read: VersionRead, limit: int) -> bytes:
    """A version's bytes. Raises VersoError `merge_impossible` beyond `limit` bytes."""
    if (read.version.size or 0) > limit:
        raise merge_impossible(limit)
    with await read_content(blobs, actor=actor, read=read) as content:
        return await content.read()


def _label(read: VersionRead) -> str:
    return f"version {read.version.number}"


def merge_impossible(limit: int) -> VersoError:
    """The refusal of contents that have no lines to merge, or too many."""
    return VersoError(
        "merge_impossible",
        f"These contents cannot be merged by lines: binary, larger than {limit:,} bytes, or too different. "
        "Read the head and decide by hand.",
        limit=limit,
    )
