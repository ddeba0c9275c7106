"""Moves among the deletes and adds of one change, so that uploading a re-arranged folder keeps history.

A document that is deleted here and comes back elsewhere with the same bytes has moved; so has a text of which
at least half came back (the limit of `git diff -M`). The best pairs go first, and of equal ones those that
keep their file's name.

What that costs is bounded by what is compared, never by the clock, so that the same change always has the
same moves: MAX_COMPARED pairs, MAX_BYTES and MAX_LINES of all their texts together. Pairs that keep their
file's name are compared first, then in the order of the items; one that would go beyond a bound is passed
over and stays a delete and an add, and smaller ones after it are still compared.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from itertools import islice
from math import ceil, floor
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.flows.read_content import read_whole
from app.text.lines import line_count
from app.text.unified import is_binary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from app.flows.add_change import Item
    from app.model import VersionRead
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger
    from app.text.bounded import TextWorkers

MIN_SIMILARITY = 0.5
MAX_COMPARED = 200
"""How many pairs are compared at most."""
MAX_SIZE = 1024 * 1024
"""Of one text of a pair, in bytes."""
MAX_BYTES = 64 * 1024 * 1024
"""Of all pairs' texts together: what is read."""
MAX_LINES = 200_000
"""Of all pairs' texts together: what is compared. Made to be slow, so many lines take 2 to 5 s."""
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
    size: int = 0
    """Bytes of both texts."""
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
    give the same result, so a repeated request stays the same one: see above what bounds the work.
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
    compared = await _compare(blobs, workers, actor=actor, items=items, gone=gone, pairs=likely)
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
    """Equal bytes, those with equal names first; in one pass each, for a change has thousands of items."""
    pairs: dict[int, _Pair] = {}
    taken: set[int] = set()
    for by_name in (True, False):
        waiting: dict[tuple[str, str | None], deque[int]] = {}
        for new in come:
            upload = items[new].upload
            if upload is not None and new not in taken:
                key = upload.sha256, _name(items[new].path) if by_name else None
                waiting.setdefault(key, deque()).append(new)
        for old in sorted(gone.keys() - pairs.keys()):
            version = gone[old].version
            key = version.sha256 or "", _name(version.path) if by_name else None
            if version.size and waiting.get(key):
                new = waiting[key].popleft()
                taken.add(new)
                pairs[old] = _Pair(gone=old, come=new, same_name=by_name)
    return list(pairs.values())


def _likely(items: Sequence[Item], gone: dict[int, VersionRead], come: Sequence[int]) -> list[_Pair]:
    """The pairs that are worth comparing: half of the larger one must be in the smaller one's size."""
    likely, left = [], MAX_BYTES
    for pair in islice(_candidates(items, gone, come), MAX_COMPARED):
        if pair.size <= left:
            left -= pair.size
            likely.append(pair)
    return likely


def _candidates(items: Sequence[Item], gone: dict[int, VersionRead], come: Sequence[int]) -> Iterator[_Pair]:
    """By name, then in order; never all with all: a change of 5,000 deletes and adds has 25 million pairs."""
    sizes = {new: upload.size for new in come if (upload := items[new].upload) is not None}
    everything = sorted((size, new) for new, size in sizes.items() if 0 < size <= MAX_SIZE)
    by_name: dict[str, list[tuple[int, int]]] = {}
    for size, new in everything:
        by_name.setdefault(_name(items[new].path), []).append((size, new))
    old_ones = [(old, gone[old].version) for old in sorted(gone)]
    old_ones = [(old, version) for old, version in old_ones if 0 < (version.size or 0) <= MAX_SIZE]
    for same_name in (True, False):
        for old, version in old_ones:
            name, size = _name(version.path), version.size or 0
            for new in _of_size(by_name.get(name, []) if same_name else everything, size):
                if same_name or _name(items[new].path) != name:
                    yield _Pair(gone=old, come=new, same_name=same_name, size=size + sizes[new])


def _of_size(sized: Sequence[tuple[int, int]], size: int) -> list[int]:
    """Which of (size, item), sorted, are half to twice as large; in the items' order."""
    first = bisect_left(sized, (ceil(MIN_SIMILARITY * size), 0))
    last = bisect_left(sized, (floor(size / MIN_SIMILARITY) + 1, 0))
    return sorted(at for _, at in sized[first:last])


async def _compare(
    blobs: Blobs,
    workers: TextWorkers,
    *,
    actor: Actor,
    items: Sequence[Item],
    gone: dict[int, VersionRead],
    pairs: Sequence[_Pair],
) -> list[_Pair]:
    """The pairs that could be compared, with their similarity."""
    compared = []
    left = MAX_LINES
    for pair in pairs:
        try:
            old = await read_whole(blobs, actor=actor, read=gone[pair.gone])
        except VersoError as error:
            if error.code not in _UNREADABLE:
                raise
            continue  # Nobody can say what it was like; it can be deleted all the same.
        upload = items[pair.come].upload
        new = await asyncio.to_thread(upload.read) if upload else b""
        lines = line_count(old) + line_count(new)
        if lines > left or is_binary(old) or is_binary(new):
            continue
        left -= lines
        diff = await workers.hunks(old, new, context=0, max_lines=0)
        if diff.summary is not None:
            compared.append(msgspec.structs.replace(pair, similarity=diff.summary.similarity))
    return compared


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


def _name(path: str | None) -> str:
    return (path or "").rpartition("/")[2]
