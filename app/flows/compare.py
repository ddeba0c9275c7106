"""The difference between two versions, as a patch or as structured hunks; of one document or of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import VersoError
from app.flows.diff_cache import DiffCache
from app.flows.read_content import check_readable, read_whole
from app.flows.side_by_side import side_by_side
from app.model import Version  # msgspec reads the annotation
from app.supabase.blobs import Blobs
from app.text.bounded import TextWorkers, TooDifferentError
from app.text.hunks import DiffResult
from app.text.lines import Ignoring
from app.text.unified import unified_diff
from app.text.words import Granularity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from app.model import VersionRead
    from app.supabase.answers import Compared, ComparedTrees, Pair
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger

    Sides = Compared | Pair

PAGE = 200
MAX_FOLDED = 256 * 1024
"""How many bytes of older texts are read for the unchanged lines of a page."""
AT_ONCE = 4
"""How many documents of a tree are compared at the same time."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two versions and what differs. A side is null where the document wasn't there.

    `diff` is null, in a comparison of many documents, for one that is too large to be compared.
    """

    older: Version | None = msgspec.field(name="from")
    newer: Version | None = msgspec.field(name="to")
    diff: DiffResult | None


class Comparing(msgspec.Struct, frozen=True, kw_only=True):
    """How to compare, and with what; `limit` is the most bytes of one side."""

    blobs: Blobs
    workers: TextWorkers
    cache: DiffCache
    limit: int
    context: int = 3
    ignoring: Ignoring = Ignoring.NOTHING
    granularity: Granularity = Granularity.WORD


async def compare_as_patch(comparing: Comparing, *, actor: Actor, sides: Sides) -> bytes:
    """A unified diff that `git apply` and `patch` accept.

    Raises VersoError `diff_too_large` beyond the limit or the time that the workers allow: what is known of
    both sides is in its detail.
    """
    paths = _path(sides.older), _path(sides.newer)
    if paths == (None, None):
        return b""
    key = ("patch", *_contents(sides), *paths, comparing.context, comparing.ignoring.value)
    found = comparing.cache.get(key)
    if found is not None:
        _check_readable(sides)
        return found
    old, new = await _read(comparing, actor=actor, sides=sides)
    try:
        patch = await comparing.workers.unified(
            old,
            new,
            old_path=paths[0],
            new_path=paths[1],
            context=comparing.context,
            ignoring=comparing.ignoring,
        )
    except TooDifferentError as error:
        raise _too_large(sides, summary=msgspec.to_builtins(error.result)) from error
    comparing.cache.put(key, patch)
    return patch


async def compare_as_hunks(comparing: Comparing, *, actor: Actor, sides: Sides) -> Comparison:
    """Hunks with line numbers and word spans; beyond the time allowed, a result that says `too_different`.

    Raises VersoError `diff_too_large` beyond the limit.
    """
    shape = comparing.context, comparing.ignoring.value, comparing.granularity.value
    key = ("hunks", *_contents(sides), *shape)
    found = comparing.cache.get(key)
    if found is not None:
        _check_readable(sides)
        return _comparison(sides, msgspec.msgpack.decode(found, type=DiffResult))
    old, new = await _read(comparing, actor=actor, sides=sides)
    diff = await comparing.workers.hunks(
        old,
        new,
        context=comparing.context,
        ignoring=comparing.ignoring,
        granularity=comparing.granularity,
    )
    # What took too long on a busy day may not on another.
    if not diff.too_different:
        comparing.cache.put(key, msgspec.msgpack.encode(diff))
    return _comparison(sides, diff)


async def compare_if_not_too_large(comparing: Comparing, *, actor: Actor, sides: Sides) -> Comparison:
    """As hunks; sides that are too large have no diff. Raises VersoError."""
    try:
        return await compare_as_hunks(comparing, actor=actor, sides=sides)
    except VersoError as error:
        if error.code != "diff_too_large":
            raise
        return _comparison(sides, None)


async def read_older(
    comparing: Comparing, *, actor: Actor, sides: Sequence[Sides], compared: Sequence[Comparison]
) -> list[bytes | None]:
    """The older texts of compared pairs that have hunks, None where there is none.

    They are read from the first on, up to MAX_FOLDED bytes in all, for a page that has unchanged lines to
    unfold. Nothing is asked of the database; the bytes were in the cache when they were compared.
    """
    left = MAX_FOLDED
    texts: list[bytes | None] = []
    for pair, result in zip(sides, compared, strict=True):
        size = _size(pair.older)
        if result.diff is None or not result.diff.hunks or not 0 < size <= left:
            texts.append(None)
            continue
        left -= size
        texts.append(await _bytes(comparing.blobs, actor=actor, side=pair.older))
    return texts


async def compare_all_as_hunks(
    comparing: Comparing, *, actor: Actor, pairs: Sequence[Pair]
) -> list[Comparison]:
    """Each pair as hunks; one that is too large has no diff. Raises VersoError."""

    async def compare(pair: Pair) -> Comparison:
        return await compare_if_not_too_large(comparing, actor=actor, sides=pair)

    return await side_by_side(compare, pairs, most=AT_ONCE)


async def compare_all_as_patch(comparing: Comparing, *, actor: Actor, pairs: Sequence[Pair]) -> bytes:
    """One patch of all pairs. Where one is too large, it says that the files differ, and doesn't apply."""

    async def compare(pair: Pair) -> bytes:
        try:
            return await compare_as_patch(comparing, actor=actor, sides=pair)
        except VersoError as error:
            if error.code != "diff_too_large":
                raise
            return _differ(_path(pair.older), _path(pair.newer))

    return b"".join(await side_by_side(compare, pairs, most=AT_ONCE))


async def compare_whole_trees(
    ledger: Ledger, *, actor: Actor, project: str, older: str, newer: str | None, prefix: str
) -> AsyncIterator[ComparedTrees]:
    """Every page of what differs between two points, steadily at the changes that these are at first."""
    after = None
    while True:
        page = await ledger.compare_trees(
            actor.token,
            project=project,
            older=older,
            newer=newer,
            prefix=prefix,
            after=after,
            page_size=PAGE,
        )
        yield page
        if len(page.pairs) < PAGE:
            return
        older, newer, after = str(page.older), str(page.newer), page.pairs[-1].place


async def _read(comparing: Comparing, *, actor: Actor, sides: Sides) -> tuple[bytes, bytes]:
    if any(_size(side) > comparing.limit for side in (sides.older, sides.newer)):
        raise _too_large(sides)
    old, new = await side_by_side(
        lambda side: _bytes(comparing.blobs, actor=actor, side=side), [sides.older, sides.newer]
    )
    return old, new


async def _bytes(blobs: Blobs, *, actor: Actor, side: VersionRead | None) -> bytes:
    if side is None or side.version.sha256 is None:
        return b""
    return await read_whole(blobs, actor=actor, read=side)


def _check_readable(sides: Sides) -> None:
    # What was erased since must not live on in a cache.
    for side in (sides.older, sides.newer):
        if side is not None and side.version.sha256 is not None:
            check_readable(side)


def _comparison(sides: Sides, diff: DiffResult | None) -> Comparison:
    older, newer = (None if side is None else side.version for side in (sides.older, sides.newer))
    return Comparison(older=older, newer=newer, diff=diff)


def _contents(sides: Sides) -> tuple[str | None, ...]:
    """Both contents within their project: equal bytes of two projects share nothing, timing included."""
    reads = [side.version for side in (sides.older, sides.newer) if side is not None]
    hashes = (None if side is None else side.version.sha256 for side in (sides.older, sides.newer))
    return reads[0].project if reads else None, *hashes


def _size(side: VersionRead | None) -> int:
    return 0 if side is None else side.version.size or 0


def _path(side: VersionRead | None) -> str | None:
    return None if side is None or side.version.sha256 is None else side.version.path


def _differ(old_path: str | None, new_path: str | None) -> bytes:
    """What git writes of binary files, without the names of contents that nobody has computed."""
    old, new = (b"" if path is None else b"\0" + side for path, side in ((old_path, b"1"), (new_path, b"2")))
    lines = unified_diff(old, new, old_path=old_path, new_path=new_path).splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"index "))


def _too_large(sides: Sides, **known: Any) -> VersoError:
    return VersoError(
        "diff_too_large",
        "These versions are too large or too different to be compared line by line. Their sizes and hashes "
        "are here; read both to compare them yourself.",
        **{
            side: None if read is None else {"sha256": read.version.sha256, "size": read.version.size}
            for side, read in (("from", sides.older), ("to", sides.newer))
        },
        **known,
    )
