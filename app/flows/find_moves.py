"""Moves among the deletes and adds of one change, so that uploading a re-arranged folder keeps history.

A document that is deleted here and comes back elsewhere with the same bytes has moved; so has a text of which
at least half came back (the limit of `git diff -M`). The best pairs go first, and of equal ones those that
keep their file's name.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.flows.read_content import read_content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.flows.add_change import Item
    from app.model import VersionRead
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger
    from app.text.bounded import TextWorkers

MIN_SIMILARITY = 0.5
MAX_COMPARED = 200
"""How many pairs are compared at most; what is beyond stays a delete and an add."""
MAX_SIZE = 1024 * 1024
_SECONDS = 1.0
_UNREADABLE = frozenset({"content_erased", "content_altered", "content_missing"})


class FoundMove(msgspec.Struct, frozen=True, kw_only=True):
    """A delete and an add that were taken for a move; similarity is 0.5 to 1."""

    old_path: str = msgspec.field(name="from")
    new_path: str = msgspec.field(name="to")
    document: str
    similarity: float


class _Pair(msgspec.Struct, frozen=True, kw_only=True):
    gone: int
    come: int
    same_name: bool
    similarity: float = 1.0


async def find_moves(
    ledger: Ledger,
    blobs: Blobs,
    workers: TextWorkers,
    *,
    actor: Actor,
    project: str,
    items: Sequence[Item],
) -> tuple[list[Item], list[FoundMove]]:
    """The items with moves in place of what belongs together, and what was found. Raises VersoError.

    One round trip for what is deleted, and the contents of it that the cache lacks. The same items always
    give the same result, so a repeated request stays the same one.
    """
    bases = {item.base: at for at, item in enumerate(items) if item.delete and item.base is not None}
    come = [at for at, item in enumerate(items) if _is_add(item)]
    if not bases or not come:
        return list(items), []
    reads = await ledger.read_versions(actor.token, project=project, versions=list(bases))
    gone = {bases[read.version.hash]: read for read in reads if read.version.sha256 is not None}
    pairs = _exact(items, gone, come)
    taken = {pair.gone for pair in pairs} | {pair.come for pair in pairs}
    rest = {at: read for at, read in gone.items() if at not in taken}
    likely = _likely(items, rest, [at for at in come if at not in taken])
    compared = [
        await _compare(blobs, workers, actor=actor, items=items, gone=gone, pair=each) for each in likely
    ]
    pairs += _best([pair for pair in compared if pair.similarity >= MIN_SIMILARITY])
    moved = {pair.come: pair for pair in pairs}
    dropped = {pair.gone for pair in pairs}
    changed = [
        _move(item, gone[moved[at].gone]) if at in moved else item
        for at, item in enumerate(items)
        if at not in dropped
    ]
    found = [
        FoundMove(
            old_path=gone[pair.gone].version.path,
            new_path=items[pair.come].path or "",
            document=gone[pair.gone].version.document,
            similarity=round(pair.similarity, 4),
        )
        for pair in sorted(pairs, key=lambda pair: items[pair.come].path or "")
    ]
    return changed, found


def _is_add(item: Item) -> bool:
    others = (item.document, item.from_path, item.base, item.restore)
    return item.upload is not None and item.path is not None and all(each is None for each in others)


def _exact(items: Sequence[Item], gone: dict[int, VersionRead], come: Sequence[int]) -> list[_Pair]:
    by_content: dict[str | None, list[int]] = {}
    for at in come:
        upload = items[at].upload
        by_content.setdefault(upload.sha256 if upload else None, []).append(at)
    return _best(
        [
            _Pair(gone=old, come=new, same_name=_same_name(read, items[new]))
            for old, read in gone.items()
            if read.version.size
            for new in by_content.get(read.version.sha256, [])[:MAX_COMPARED]
        ]
    )


def _likely(items: Sequence[Item], gone: dict[int, VersionRead], come: Sequence[int]) -> list[_Pair]:
    """The pairs that are worth comparing: half of the larger one must be in the smaller one's size."""
    pairs = []
    for old, read in gone.items():
        for new in come:
            upload = items[new].upload
            sizes = sorted((read.version.size or 0, upload.size if upload else 0))
            if sizes[1] <= MAX_SIZE and sizes[0] >= MIN_SIMILARITY * sizes[1] and sizes[0] > 0:
                pairs.append(_Pair(gone=old, come=new, same_name=_same_name(read, items[new])))
    return sorted(pairs, key=lambda pair: (not pair.same_name, pair.gone, pair.come))[:MAX_COMPARED]


async def _compare(
    blobs: Blobs,
    workers: TextWorkers,
    *,
    actor: Actor,
    items: Sequence[Item],
    gone: dict[int, VersionRead],
    pair: _Pair,
) -> _Pair:
    try:
        with await read_content(blobs, actor=actor, read=gone[pair.gone]) as content:
            old = await content.read()
    except VersoError as error:
        if error.code not in _UNREADABLE:
            raise
        # Nobody can say what it was like; it can be deleted all the same.
        return msgspec.structs.replace(pair, similarity=0.0)
    upload = items[pair.come].upload
    new = await asyncio.to_thread(upload.read) if upload else b""
    diff = await workers.hunks(old, new, context=0, max_lines=0, deadline_s=_SECONDS)
    return msgspec.structs.replace(pair, similarity=diff.summary.similarity if diff.summary else 0.0)


def _best(pairs: Sequence[_Pair]) -> list[_Pair]:
    chosen: list[_Pair] = []
    taken: set[int] = set()
    for pair in sorted(pairs, key=lambda pair: (-pair.similarity, not pair.same_name, pair.gone, pair.come)):
        if not {pair.gone, pair.come} & taken:
            taken |= {pair.gone, pair.come}
            chosen.append(pair)
    return chosen


def _move(add: Item, read: VersionRead) -> Item:
    return msgspec.structs.replace(add, document=read.version.document, base=read.version.hash, create=False)


def _same_name(read: VersionRead, item: Item) -> bool:
    return read.version.path.rpartition("/")[2] == (item.path or "").rpartition("/")[2]
