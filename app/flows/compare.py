"""The difference between two versions, as a patch or as structured hunks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import VersoError
from app.flows.read_content import read_content
from app.model import Version  # msgspec reads the annotation
from app.text.bounded import TooDifferentError
from app.text.hunks import DiffResult  # msgspec reads the annotation

if TYPE_CHECKING:
    from app.model import VersionRead
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.ledger import Compared, Pair
    from app.text.bounded import TextWorkers
    from app.text.lines import Ignoring


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two versions and what differs. A side is null where the document wasn't there."""

    older: Version | None = msgspec.field(name="from")
    newer: Version | None = msgspec.field(name="to")
    diff: DiffResult


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of two versions; a side that has none (before the first, or a delete) has no path."""

    old: bytes
    new: bytes
    old_path: str | None
    new_path: str | None


async def compare_as_patch(
    blobs: Blobs,
    workers: TextWorkers,
    *,
    actor: Actor,
    sides: Compared | Pair,
    context: int,
    ignoring: Ignoring,
    limit: int,
) -> bytes:
    """A unified diff that `git apply` and `patch` accept.

    Raises VersoError `diff_too_large` beyond `limit` bytes a side or the time that the workers allow: what
    is known of both sides is in its detail.
    """
    texts = await _read(blobs, actor=actor, sides=sides, limit=limit)
    try:
        return await workers.unified(
            texts.old,
            texts.new,
            old_path=texts.old_path,
            new_path=texts.new_path,
            context=context,
            ignoring=ignoring,
        )
    except TooDifferentError as error:
        raise _too_large(sides, summary=msgspec.to_builtins(error.result)) from error


async def compare_as_hunks(
    blobs: Blobs,
    workers: TextWorkers,
    *,
    actor: Actor,
    sides: Compared | Pair,
    context: int,
    ignoring: Ignoring,
    limit: int,
) -> Comparison:
    """Hunks with line numbers and word spans; beyond the time allowed, a result that says `too_different`.

    Raises VersoError `diff_too_large` beyond `limit` bytes a side.
    """
    texts = await _read(blobs, actor=actor, sides=sides, limit=limit)
    diff = await workers.hunks(texts.old, texts.new, context=context, ignoring=ignoring)
    return Comparison(older=_version(sides.older), newer=_version(sides.newer), diff=diff)


async def _read(blobs: Blobs, *, actor: Actor, sides: Compared | Pair, limit: int) -> Texts:
    if any(_size(side) > limit for side in (sides.older, sides.newer)):
        raise _too_large(sides)
    old, new = await asyncio.gather(
        _bytes(blobs, actor=actor, side=sides.older), _bytes(blobs, actor=actor, side=sides.newer)
    )
    return Texts(old=old or b"", new=new or b"", old_path=_path(sides.older), new_path=_path(sides.newer))


async def _bytes(blobs: Blobs, *, actor: Actor, side: VersionRead | None) -> bytes | None:
    if side is None or side.version.sha256 is None:
        return None
    with await read_content(blobs, actor=actor, read=side) as content:
        return await content.read()


def _version(side: VersionRead | None) -> Version | None:
    return None if side is None else side.version


def _size(side: VersionRead | None) -> int:
    return 0 if side is None else side.version.size or 0


def _path(side: VersionRead | None) -> str | None:
    return None if side is None or side.version.sha256 is None else side.version.path


def _too_large(sides: Compared | Pair, **known: Any) -> VersoError:
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
