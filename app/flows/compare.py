"""The difference between two versions of a document, as a patch or as structured hunks."""

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
    from app.supabase.ledger import Compared
    from app.text.bounded import TextWorkers
    from app.text.lines import Ignoring


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two versions and what differs. `older` is null before a document's first version."""

    older: Version | None = msgspec.field(name="from")
    newer: Version = msgspec.field(name="to")
    diff: DiffResult


class Sides(msgspec.Struct, frozen=True, kw_only=True):
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
    compared: Compared,
    context: int,
    ignoring: Ignoring,
    limit: int,
) -> bytes:
    """A unified diff that `git apply` and `patch` accept.

    Raises VersoError `diff_too_large` beyond `limit` bytes a side or the time that the workers allow: what
    is known of both sides is in its detail.
    """
    sides = await _read_sides(blobs, actor=actor, compared=compared, limit=limit)
    try:
        return await workers.unified(
            sides.old,
            sides.new,
            old_path=sides.old_path,
            new_path=sides.new_path,
            context=context,
            ignoring=ignoring,
        )
    except TooDifferentError as error:
        raise _too_large(compared, summary=msgspec.to_builtins(error.result)) from error


async def compare_as_hunks(
    blobs: Blobs,
    workers: TextWorkers,
    *,
    actor: Actor,
    compared: Compared,
    context: int,
    ignoring: Ignoring,
    limit: int,
) -> Comparison:
    """Hunks with line numbers and word spans; beyond the time allowed, a result that says `too_different`.

    Raises VersoError `diff_too_large` beyond `limit` bytes a side.
    """
    sides = await _read_sides(blobs, actor=actor, compared=compared, limit=limit)
    diff = await workers.hunks(sides.old, sides.new, context=context, ignoring=ignoring)
    return Comparison(
        older=compared.older and compared.older.version, newer=compared.newer.version, diff=diff
    )


async def _read_sides(blobs: Blobs, *, actor: Actor, compared: Compared, limit: int) -> Sides:
    if any(_size(side) > limit for side in (compared.older, compared.newer)):
        raise _too_large(compared)
    old, new = await asyncio.gather(
        _bytes(blobs, actor=actor, side=compared.older), _bytes(blobs, actor=actor, side=compared.newer)
    )
    return Sides(
        old=old or b"", new=new or b"", old_path=_path(compared.older), new_path=_path(compared.newer)
    )


async def _bytes(blobs: Blobs, *, actor: Actor, side: VersionRead | None) -> bytes | None:
    if side is None or side.version.sha256 is None:
        return None
    with await read_content(blobs, actor=actor, read=side) as content:
        return await content.read()


def _size(side: VersionRead | None) -> int:
    return 0 if side is None else side.version.size or 0


def _path(side: VersionRead | None) -> str | None:
    return None if side is None or side.version.sha256 is None else side.version.path


def _too_large(compared: Compared, **known: Any) -> VersoError:
    return VersoError(
        "diff_too_large",
        "These versions are too large or too different to be compared line by line. Their sizes and hashes "
        "are here; read both to compare them yourself.",
        **{
            side: None if read is None else {"sha256": read.version.sha256, "size": read.version.size}
            for side, read in (("from", compared.older), ("to", compared.newer))
        },
        **known,
    )
