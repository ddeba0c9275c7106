"""Comments beside their lines in another version, or saying that those lines changed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.flows.read_content import read_whole
from app.flows.side_by_side import side_by_side
from app.model import Version  # msgspec reads the annotations
from app.supabase.reviews import Comment
from app.text.errors import TookTooLongError
from app.text.follow import LineRange
from app.text.lines import line_count
from app.text.unified import is_binary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.model import VersionRead
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.reviews import DocumentComments, SourcedComment
    from app.text.bounded import TextWorkers
    from app.text.follow import Place

MAX_SOURCES = 16
"""How many versions' bytes one page may need; it ends earlier than asked rather than need more."""
READERS = 4
"""How many of them are in memory at once."""
_UNREADABLE = {"content_erased", "content_altered", "content_missing", "version_is_delete"}


class PlacedComment(Comment, frozen=True, kw_only=True):
    """A comment, and where its lines are in the version asked for.

    `first_line` and `last_line` stay those of the comment's own version. `outdated` is true when any of them
    changed since, and null when that can't be told: binary, too large, erased, or too different to compare.
    """

    outdated: bool | None
    at_lines: LineRange | None
    """Where its lines are in the asked version; null when they changed, or when it has no lines."""
    at_line: int | None
    """The line beside which to show it: the first of its lines, or where they were."""


class PlacedComments(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a document's comments on one of its versions."""

    at: Version
    comments: list[PlacedComment]
    more: bool


async def follow_comments(
    found: DocumentComments,
    *,
    blobs: Blobs,
    workers: TextWorkers,
    actor: Actor,
    page_size: int,
    limit: int,
    seconds: float,
) -> PlacedComments:
    """Find the lines of comments in the version asked for.

    The work is bounded: one comparison a version that comments of the page are about, at most MAX_SOURCES of
    them, of at most `limit` bytes a side, and none begins or goes on beyond `seconds`.
    """
    page = _bounded(found.comments, page_size)
    sources = {read.version.hash: read for read in found.sources}
    wanted: dict[str, list[LineRange]] = {}
    for each in page:
        if each.source is not None and (lines := _lines(each)):
            wanted.setdefault(each.source, []).append(lines)
    places: dict[tuple[str, LineRange], Place | None] = {}
    if wanted:
        deadline = asyncio.get_running_loop().time() + seconds
        target = await _text(blobs, actor=actor, read=found.at, limit=limit)

        async def place(version: str) -> None:
            remaining = deadline - asyncio.get_running_loop().time()
            ranges = wanted[version]
            answer: Iterable[Place | None] = [None] * len(ranges)
            old = None
            if target is not None and remaining > 0:
                old = await _text(blobs, actor=actor, read=sources[version], limit=limit)
            if target is not None and old is not None:
                with contextlib.suppress(TookTooLongError):
                    answer = await workers.follow_lines(old, target, ranges, deadline_s=remaining)
            places.update(zip([(version, each) for each in ranges], answer, strict=True))

        await side_by_side(place, wanted, most=READERS)
    return PlacedComments(
        at=found.at.version,
        comments=[_placed(each, places) for each in page],
        more=len(page) < len(found.comments),
    )


async def check_lines(read: VersionRead, *, blobs: Blobs, actor: Actor, last_line: int, limit: int) -> None:
    """Raise VersoError `bad_lines` when a version has no such line, as far as its bytes can be counted."""
    text = await _text(blobs, actor=actor, read=read, limit=limit)
    if text is None:
        raise VersoError(
            "bad_lines",
            "The lines of this version can't be counted: it is binary, too large, or has no bytes. "
            "Comment on the version as a whole, without lines.",
        )
    lines = line_count(text)
    if last_line > lines:
        raise VersoError(
            "bad_lines", f"The version has {lines:,} lines. Comment on some of these.", lines=lines
        )


def _bounded(comments: list[SourcedComment], page_size: int) -> list[SourcedComment]:
    sources: set[str] = set()
    for place, each in enumerate(comments[:page_size]):
        if each.source is not None:
            sources.add(each.source)
        if len(sources) > MAX_SOURCES:
            return comments[:place]
    return comments[:page_size]


def _lines(comment: Comment) -> LineRange | None:
    if comment.first_line is None or comment.last_line is None:
        return None
    return LineRange(comment.first_line, comment.last_line)


def _placed(comment: SourcedComment, places: dict[tuple[str, LineRange], Place | None]) -> PlacedComment:
    fields = msgspec.structs.asdict(comment)
    source, lines = fields.pop("source"), _lines(comment)
    if lines is None:
        return PlacedComment(**fields, outdated=False, at_lines=None, at_line=None)
    place = places[source, lines]
    if place is None:
        return PlacedComment(**fields, outdated=None, at_lines=None, at_line=None)
    return PlacedComment(**fields, outdated=place.lines is None, at_lines=place.lines, at_line=place.near)


async def _text(blobs: Blobs, *, actor: Actor, read: VersionRead, limit: int) -> bytes | None:
    """The bytes of a version; empty for a delete, None when there is no comparing them."""
    if read.version.sha256 is None:
        return b""
    if (read.version.size or 0) > limit:
        return None
    try:
        text = await read_whole(blobs, actor=actor, read=read)
    except VersoError as error:
        if error.code in _UNREADABLE:
            return None
        raise
    return None if is_binary(text) else text
