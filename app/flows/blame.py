"""Who wrote each line: from what is kept, or computed from the bytes where nothing is.

Kept attributions are the word of each version's author (docs/decisions/0008); `verify` does without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from app.errors import VersoError
from app.flows.attribute import Attributor, Memory
from app.flows.keep_attributions import keep_attributions
from app.model import Version  # msgspec reads the annotation
from app.supabase.insights import KeptRun, Origin  # msgspec reads the annotations
from app.text.lineage import runs_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.model import VersionRead
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.insights import Insights
    from app.text.bounded import TextWorkers


class BlamedRange(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive lines of one origin: `first` to `last` here, from `line` on in version `version`."""

    first: int
    last: int
    version: str
    number: int
    line: int
    path: str


class Blame(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote the lines `first` to `last` of a version that has `lines` of them."""

    version: Version
    lines: int
    first: int
    last: int
    ranges: list[BlamedRange]
    origins: list[Origin]
    """The versions that the ranges name, oldest first."""
    source: str
    """kept (by the version's author), computed (on top of what is kept) or verified (from bytes alone)."""
    agrees: bool | None = None
    """When verified: whether what is kept says the same; null where nothing is kept."""


class Blamed(NamedTuple):
    """Blame, and the version as readers of its bytes need it."""

    blame: Blame
    read: VersionRead


async def read_blame(
    insights: Insights,
    blobs: Blobs,
    workers: TextWorkers,
    memory: Memory,
    *,
    actor: Actor,
    document: str,
    at: str | None,
    first: int,
    last: int | None,
    verify: bool,
    limit: int,
) -> Blamed:
    """Who wrote the lines `first` to `last` of a document's version at a point.

    One round trip where the attribution is kept. `verify` computes it from the bytes of all versions and says
    whether what is kept agrees. Raises VersoError: `version_is_delete`, `diff_too_large`, `blame_unfinished`.
    """
    kept = await insights.read_blame(actor.token, document=document, at=at, first=first, last=last)
    version = kept.read.version
    if version.sha256 is None:
        raise VersoError(
            "version_is_delete",
            "That version is a delete and has no lines. Ask for the version before it (at=).",
            document=version.document,
            number=version.number,
        )
    if kept.runs is not None and kept.origins is not None and kept.lines is not None and not verify:
        return Blamed(
            _shaped(
                version, kept.runs, kept.origins, lines=kept.lines, first=first, last=last, source="kept"
            ),
            kept.read,
        )
    attributor = Attributor(
        insights, blobs, workers, memory, actor=actor, document=version.document, limit=limit, proven=verify
    )
    try:
        found = await attributor.attribution(version.number)
    finally:
        await keep_attributions(insights, actor=actor, items=attributor.to_keep())
    runs = [
        KeptRun(place + first - 1, origin, line, lines)
        for place, origin, line, lines in runs_in(found[first - 1 : last])
    ]
    origins = await insights.list_origins(
        actor.token, document=version.document, numbers=sorted({run.origin for run in runs})
    )
    blame = _shaped(
        version,
        runs,
        origins,
        lines=len(found),
        first=first,
        last=last,
        source="verified" if verify else "computed",
        agrees=None if kept.runs is None else kept.runs == runs,
    )
    return Blamed(blame, kept.read)


def _shaped(
    version: Version,
    runs: Sequence[KeptRun],
    origins: Sequence[Origin],
    *,
    lines: int,
    first: int,
    last: int | None,
    source: str,
    agrees: bool | None = None,
) -> Blame:
    final = lines if last is None else min(last, lines)
    if first > max(lines, 1):
        raise VersoError("bad_value", f"The version has {lines} line(s). Ask for some of these.", lines=lines)
    by_number = {origin.number: origin for origin in origins}
    ranges = []
    for run in runs:
        origin = by_number[run.origin]
        ranges.append(
            BlamedRange(
                first=run.first,
                last=run.first + run.lines - 1,
                version=origin.hash,
                number=origin.number,
                line=run.line,
                path=origin.path,
            )
        )
    return Blame(
        version=version,
        lines=lines,
        first=first,
        last=final,
        ranges=ranges,
        origins=list(origins),
        source=source,
        agrees=agrees if source == "verified" else None,
    )
