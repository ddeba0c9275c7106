"""Meeting someone else's edit: base, theirs and yours become one text, or conflicts to decide.

Clean means one new version whose parent is the head and whose `merged_from` is the base that the writer
had: it names both. Conflicts are told, and nothing is stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from app.errors import VersoError
from app.flows.add_change import Item, add_change
from app.flows.read_content import read_whole
from app.flows.side_by_side import side_by_side
from app.model import Version
from app.supabase.upload import Upload
from app.text.errors import BinaryMergeError, TookTooLongError
from app.text.merge import Conflict, Labels, MergeResult, Style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


class Merging(NamedTuple):
    """With what texts are merged, and in whose name; `limit` is the most bytes of each text."""

    ledger: Ledger
    blobs: Blobs
    workers: TextWorkers
    actor: Actor
    limit: int


async def merge_versions(
    merging: Merging, *, document: str, base: str, yours: bytes, style: Style, head: str | None = None
) -> tuple[Merged, bytes]:
    """Merge a text that was made from version `base` with the document's head (or another); write nothing.

    Raises VersoError: `merge_impossible` for binary or too large content, `version_not_found` when the base
    is no version of the document.
    """
    based_on, met = await read_both(merging, document=document, versions=(base, head))
    check_base(based_on, base)
    if met.version.sha256 is None:
        raise VersoError(
            "document_deleted",
            "The document was deleted meanwhile. Restore it first, or write your text as a new document.",
            document=document,
            head=met.version.hash,
        )
    old, theirs = await side_by_side(lambda read: text_of(merging, read), [based_on, met])
    if len(yours) > merging.limit:
        raise merge_impossible(merging.limit)
    labels = Labels(yours="yours", base=_label(based_on), theirs=_label(met))
    try:
        result: MergeResult = await merging.workers.merge(old, theirs, yours, style=style, labels=labels)
    except (BinaryMergeError, TookTooLongError):
        raise merge_impossible(merging.limit) from None
    return merged_of(result, base=based_on.version, head=met.version), result.text


async def add_change_merging(
    merging: Merging,
    *,
    project: str | None,
    items: Sequence[Item],
    message: str,
    idempotency_key: str | None,
    concurrency: int,
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
                merging.ledger,
                merging.blobs,
                actor=merging.actor,
                project=project,
                items=asked,
                message=message,
                idempotency_key=idempotency_key,
                concurrency=concurrency,
            )
        except VersoError as error:
            written = await _repeated(merging, error, project=project, items=items, message=message)
            if written is not None:
                return written
            stale = _stale_items(error, items)
            if not stale or clock() > until:
                raise
        if asked != list(items):
            # In a crowd each round lets one through: who waits a little, and not all alike, gets in sooner.
            await asyncio.sleep(random.uniform(0, pause))
            pause = min(2 * pause, 1.0)
        for index, item in (await _on_heads(merging, items, stale)).items():
            asked[index] = item


async def _on_heads(merging: Merging, items: Sequence[Item], stale: Mapping[int, str]) -> dict[int, Item]:
    """The stale items, merged with the heads of their documents. Raises VersoError `merge_conflict`."""

    async def meet(index: int) -> tuple[Merged, bytes]:
        item = items[index]
        return await merge_versions(
            merging,
            document=stale[index],
            base=item.base or "",
            yours=await _sent(item.upload, merging.limit),
            style=Style.MERGE,
        )

    met = await side_by_side(meet, stale, most=AT_ONCE)
    conflicts = [merged for merged, _ in met if not merged.clean]
    if conflicts:
        raise conflict(conflicts)
    return {
        index: _on_top(items[index], document=stale[index], head=merged.head, text=text)
        for index, (merged, text) in zip(stale, met, strict=True)
    }


async def _repeated(
    merging: Merging, error: VersoError, *, project: str | None, items: Sequence[Item], message: str
) -> Change | None:
    """The change that the request's key wrote before, if merging these very items gave it."""
    if error.code != "idempotency_key_reused" or "change" not in error.detail:
        return None
    ledger, token = merging.ledger, merging.actor.token
    if project is None:
        read = await ledger.read_version(token, document=items[0].document or "")
        project = read.version.project
    written = await ledger.read_change(token, project=project, sequence=error.detail["change"])
    return written if await _is_repeat(merging, items, written, message=message) else None


async def _is_repeat(merging: Merging, items: Sequence[Item], written: Change, *, message: str) -> bool:
    """Whether a change is what merging these items gave: what was stored is not what was sent.

    Each merge is made again from the base and the head that it met; the same bytes must come out.
    """
    if written.message != message or len(written.versions) != len(items):
        return False
    pairs = list(zip(items, written.versions, strict=True))
    if not all(_may_be(item, version) for item, version in pairs):
        return False

    async def is_same(pair: tuple[Item, VersionState]) -> bool:
        item, version = pair
        _, text = await merge_versions(
            merging,
            document=version.document,
            base=version.merged_from or "",
            head=version.parent,
            yours=await _sent(item.upload, merging.limit),
            style=Style.MERGE,
        )
        return hashlib.sha256(text).hexdigest() == version.sha256

    merged = [(item, version) for item, version in pairs if version.merged_from is not None]
    return all(await side_by_side(is_same, merged, most=AT_ONCE))


def _may_be(item: Item, version: VersionState) -> bool:
    """Whether an item with content can have become a version, as far as both say without their texts."""
    if item.path not in {None, version.path} or item.document not in {None, version.document}:
        return False
    if item.upload is None:
        return False
    if version.merged_from is None:
        return (item.upload.sha256, item.base) == (version.sha256, version.parent)
    return version.merged_from == item.base


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


async def read_both(
    merging: Merging, *, document: str, versions: tuple[str, str | None]
) -> tuple[VersionRead, VersionRead]:
    """Two versions of a document at points, read at the same time; None is the head. Raises VersoError."""
    one, other = await side_by_side(
        lambda at: merging.ledger.read_version(merging.actor.token, document=document, at=at), versions
    )
    return one, other


async def text_of(merging: Merging, read: VersionRead) -> bytes:
    """A version's bytes. Raises VersoError `merge_impossible` when they are too many."""
    if (read.version.size or 0) > merging.limit:
        raise merge_impossible(merging.limit)
    return await read_whole(merging.blobs, actor=merging.actor, read=read)


def _label(read: VersionRead) -> str:
    return f"version {read.version.number}"


def check_base(read: VersionRead, base: str) -> None:
    """Raise VersoError `version_not_found` where a base was found, but by another name than its hash.

    A tag may be given anew and `latest` moves on: only a hash says what somebody has read.
    """
    if read.version.hash != base:
        raise VersoError(
            "version_not_found",
            "A base is the ETag of a version of the document, and no tag, number or time. Send that.",
            base=base,
        )


def merge_impossible(limit: int) -> VersoError:
    """The refusal of contents that have no lines to merge, or too many."""
    return VersoError(
        "merge_impossible",
        f"These contents cannot be merged by lines: binary, larger than {limit:,} bytes, or too different. "
        "Read the head and decide by hand.",
        limit=limit,
    )
