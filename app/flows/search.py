"""Full-text search in what documents are and in what they were; and when a text came and went."""

from __future__ import annotations

import re
from datetime import datetime  # msgspec reads the annotation
from typing import TYPE_CHECKING

import msgspec

from app.flows.texts import MAX_TEXT, read_bytes, store_texts
from app.model import Version  # msgspec reads the annotation

if TYPE_CHECKING:
    from app.flows.attribute import Memory
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.insights import Found, FoundPage, Insights, MarkedSnippet

BACKFILL = 64
"""How many contents one search brings into the index when it finds that they are missing."""
BLANKS = re.compile(r"[ \t\n\r\f\v]+")


class Match(msgspec.Struct, frozen=True, array_like=True):
    """A match in a snippet: from its first character to before its last, counted in code points from 0."""

    start: int
    end: int


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    """A passage with matches: plain text, to be escaped like any other. It begins in line `line`."""

    text: str
    line: int | None
    matches: list[Match]


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A version whose text matches."""

    version: Version
    snippets: list[Snippet]


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """How many contents could not be searched, by reason."""

    too_large: int = 0
    """Larger than 512 KiB, or with more different words than an index entry takes."""
    not_text: int = 0
    """Not UTF-8, or with NUL characters."""
    not_indexed: int = 0
    """Not yet: the next search finds more of them."""


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A page of hits, newest first."""

    items: list[Hit]
    complete: bool
    """Whether everything that was asked for could be searched."""
    missing: Missing


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched for, and where."""

    project: str
    text: str
    latest: bool
    prefix: str
    author: str | None
    since: datetime | None
    until: datetime | None
    page_size: int
    before: tuple[int, int] | None
    """Change and position of the last hit seen."""


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """A page of hits, and the place after which the next one begins; null on the last one."""

    page: Search
    last: tuple[int, int] | None


async def search(insights: Insights, blobs: Blobs, memory: Memory, *, actor: Actor, query: Query) -> Searched:
    """Versions whose text matches, newest first. One round trip when everything is indexed.

    Else up to BACKFILL missing contents are brought into the index first. Raises VersoError `bad_query`.
    """
    found = await _ask(insights, memory, actor=actor, query=query)
    if found.missing.get("not_indexed", 0):
        await _bring(insights, blobs, memory, actor=actor, query=query)
        found = await _ask(insights, memory, actor=actor, query=query)
    here = found.items[: query.page_size]
    hits = [
        Hit(version=each.version, snippets=[_snippet(raw, found.mark) for raw in each.snippets])
        for each in here
    ]
    page = Search(
        items=hits,
        complete=not any(found.missing.values()),
        missing=msgspec.convert(found.missing, Missing),
    )
    return Searched(page=page, last=_place(here[-1]) if len(found.items) > len(here) else None)


def _place(hit: Found) -> tuple[int, int]:
    return hit.version.change.sequence, hit.position


async def _ask(insights: Insights, memory: Memory, *, actor: Actor, query: Query) -> FoundPage:
    before = query.before or (None, None)
    return await insights.search(
        actor.token,
        project=query.project,
        query=query.text,
        latest=query.latest,
        prefix=query.prefix,
        author=query.author,
        since=query.since,
        until=query.until,
        before=before[0],
        before_position=before[1],
        page_size=query.page_size + 1,
        not_text=memory.not_text(),
    )


async def _bring(insights: Insights, blobs: Blobs, memory: Memory, *, actor: Actor, query: Query) -> None:
    missing = await insights.list_unsearched(
        actor.token,
        project=query.project,
        latest=query.latest,
        prefix=query.prefix,
        not_text=memory.not_text(),
        page_size=BACKFILL,
    )
    if not missing.contents:
        return
    project = missing.project
    found = []
    for content in missing.contents:
        if content.size <= MAX_TEXT:
            data = await read_bytes(blobs, memory, actor=actor, project=project, content=content)
            if data is not None:
                found.append((content.sha256, data))
    await store_texts(insights, memory, actor=actor, project=project, found=found, documents=None)


def _snippet(raw: MarkedSnippet, mark: str) -> Snippet:
    """A passage without its marks, and where they were. A mark is random: no text can bring one."""
    text, matches, start = "", [], 0
    for piece in re.split(f"({re.escape(mark)}[()])", raw.text):
        if piece == f"{mark}(":
            start = len(text)
        elif piece == f"{mark})":
            matches.append(Match(start, len(text)))
        else:
            text += piece
    return Snippet(text=text, line=raw.line, matches=matches)
