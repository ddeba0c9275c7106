"""A change with its diffstat: what is kept, and what isn't counted from the bytes, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from app.flows.attribute import count_lines
from app.flows.texts import read_bytes
from app.model import Action, Diffstat, LineCounts
from app.supabase.insights import Unread
from app.text.errors import TookTooLongError, WorkersBusyError
from app.text.lines import line_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.flows.attribute import Memory
    from app.flows.diff_cache import DiffCache
    from app.model import Change, VersionRead, VersionState
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger
    from app.text.bounded import TextWorkers

MAX_COUNTED = 20
"""How many versions one request counts; it reads the bytes of up to twice as many."""
MAX_SIZE = 1024 * 1024
"""The most bytes of a version that is counted."""
SECONDS = 5.0
"""How long that may take in all; what is not done by then is unknown."""


class Counting(NamedTuple):
    """With what lines are counted."""

    blobs: Blobs
    workers: TextWorkers
    memory: Memory
    cache: DiffCache


async def read_change(
    ledger: Ledger, counting: Counting, *, actor: Actor, project: str, sequence: int
) -> Change:
    """A change with its versions and how many lines each added and removed.

    One round trip where that is kept, else one more and the bytes that the cache lacks. Unknown numbers stay
    null: of contents over MAX_SIZE, erased or altered ones, and beyond MAX_COUNTED versions or SECONDS.
    """
    change = await ledger.read_change(actor.token, project=project, sequence=sequence)
    stat = change.diffstat
    if stat is None or not stat.unknown:
        return change
    unknown = {each.version for each in stat.versions if each.added is None or each.removed is None}
    wanted = [
        version for version in change.versions if version.hash in unknown and (version.size or 0) <= MAX_SIZE
    ][:MAX_COUNTED]
    if not wanted:
        return change
    hashes = {each for version in wanted for each in (version.hash, version.parent) if each is not None}
    found = await ledger.read_versions(actor.token, project=change.project, versions=sorted(hashes))
    reads = {read.version.hash: read for read in found}
    counted: dict[str, LineCounts] = {}
    # What is counted when time is up or no worker is free is told, and the rest is unknown.
    with contextlib.suppress(TimeoutError, WorkersBusyError):
        async with asyncio.timeout(SECONDS):
            for version in wanted:
                counts = await _count(counting, actor=actor, version=version, reads=reads)
                if counts is not None:
                    counted[version.hash] = counts
    return msgspec.structs.replace(
        change, diffstat=diffstat_of([counted.get(each.version, each) for each in stat.versions])
    )


def diffstat_of(versions: Sequence[LineCounts]) -> Diffstat:
    """The sums over what is known."""
    known = [(each.added, each.removed) for each in versions if each.added is not None]
    return Diffstat(
        added=sum(added for added, _ in known) if known or not versions else None,
        removed=sum(removed or 0 for _, removed in known) if known or not versions else None,
        unknown=len(versions) - len(known),
        versions=list(versions),
    )


def diffstat_of_adds(change: Change, texts: Mapping[str, bytes]) -> Diffstat | None:
    """The diffstat of a change that only added documents whose `texts`, by SHA-256, came with it; else None.

    Nothing but the request decides this, so that a repeat with the same key is told the same.
    """
    if any(version.action is not Action.add or version.sha256 not in texts for version in change.versions):
        return None
    lines = [(version.hash, line_count(texts[version.sha256 or ""])) for version in change.versions]
    return diffstat_of([LineCounts(version=each, lines=n, added=n, removed=0) for each, n in lines])


async def _count(
    counting: Counting, *, actor: Actor, version: VersionState, reads: Mapping[str, VersionRead]
) -> LineCounts | None:
    before = None if version.parent is None else reads[version.parent]
    old, new = (None if read is None else read.version.sha256 for read in (before, reads[version.hash]))
    key = ("lines", version.project, old, new)
    kept = counting.cache.get(key)
    if kept is not None:
        lines, added, removed = msgspec.msgpack.decode(kept, type=tuple[int, int, int])
        return LineCounts(version=version.hash, lines=lines, added=added, removed=removed)
    texts = [await _text(counting, actor=actor, read=read) for read in (before, reads[version.hash])]
    if texts[0] is None or texts[1] is None:
        return None
    try:
        added, removed = await count_lines(counting.workers, texts[0], texts[1])
    except TookTooLongError:
        return None
    lines = line_count(texts[1])
    counting.cache.put(key, msgspec.msgpack.encode((lines, added, removed)))
    return LineCounts(version=version.hash, lines=lines, added=added, removed=removed)


async def _text(counting: Counting, *, actor: Actor, read: VersionRead | None) -> bytes | None:
    """The bytes of a version, none of what isn't there; None when they can't be had."""
    if read is None or read.version.sha256 is None or read.version.size is None:
        return b""
    if read.version.size > MAX_SIZE:
        return None
    content = Unread(sha256=read.version.sha256, size=read.version.size, copies=read.copies)
    return await read_bytes(
        counting.blobs, counting.memory, actor=actor, project=read.version.project, content=content
    )
