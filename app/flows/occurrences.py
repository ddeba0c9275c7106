"""When did this text appear, and when did it go: in which versions of a document it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.errors import VersoError
from app.flows.search import BLANKS
from app.flows.texts import has_words, read_bytes, store_texts, text_of
from app.supabase.insights import Origin  # msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.flows.attribute import Memory
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.insights import Insights, Presence, Presences

PAGE = 500
MAX_VERSIONS = 10_000
MAX_LENGTH = 2000
MAX_READ = 200
"""How many contents one request reads that are not in the index."""
MAX_READ_BYTES = 32 * 1024 * 1024
MAX_SPANS = 200


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """From the version in which the text appeared to the one in which it was no more; null: it is there."""

    appeared: Origin
    disappeared: Origin | None


class Occurrences(msgspec.Struct, frozen=True, kw_only=True):
    """When a text stood in a document, oldest first."""

    document: str
    text: str
    """What was looked for: with single blanks, and none at its ends."""
    present: bool
    """Whether the newest version that could be read has it."""
    spans: list[Span]
    complete: bool
    unknown: list[int]
    """Up to 100 versions that could not be read in the time of a request: here nothing is said of them."""


async def find_occurrences(
    insights: Insights, blobs: Blobs, memory: Memory, *, actor: Actor, document: str, text: str
) -> Occurrences:
    """Find a text in all versions of a document: the same words in the same order, with any blanks between.

    Two round trips where everything is indexed, and one more for every PAGE versions. Raises VersoError
    `bad_query` for a text that is empty or too long, `history_too_long`.
    """
    needle = BLANKS.sub(" ", text).strip(" ")
    if not needle or len(needle) > MAX_LENGTH or "\0" in needle:
        raise VersoError("bad_query", f"Ask for 1 to {MAX_LENGTH:,} characters of text.")
    presences: list[Presence] = []
    reader = _Reader(insights, blobs, memory, actor=actor, needle=needle.encode())
    project: str | None = None
    while True:
        page = await insights.list_occurrences(
            actor.token,
            document=document,
            needle=needle,
            after=presences[-1].number if presences else 0,
            page_size=PAGE,
        )
        if page.unknown and project is None:
            origin = await insights.list_attributions(
                actor.token, document=document, upto=1, page_size=1, ignore_kept=True
            )
            project = origin[0].project
        presences += await reader.complete(page, project=project or "")
        if len(page.versions) < PAGE:
            break
        if len(presences) >= MAX_VERSIONS:
            raise VersoError(
                "history_too_long", f"More than {MAX_VERSIONS:,} versions are not gone through at once."
            )
    return await _told(insights, actor=actor, document=document, needle=needle, presences=presences)


async def _told(
    insights: Insights, *, actor: Actor, document: str, needle: str, presences: Sequence[Presence]
) -> Occurrences:
    turns: list[int] = []
    for each in presences:
        if each.present is not None and each.present != (len(turns) % 2 == 1):
            turns.append(each.number)
    wanted = turns[-2 * MAX_SPANS + len(turns) % 2 :] if len(turns) > 2 * MAX_SPANS else turns
    origins = {
        origin.number: origin
        for origin in await insights.list_origins(actor.token, document=document, numbers=wanted)
    }
    spans = [
        Span(
            appeared=origins[wanted[at]],
            disappeared=origins[wanted[at + 1]] if at + 1 < len(wanted) else None,
        )
        for at in range(0, len(wanted), 2)
    ]
    unknown = [each.number for each in presences if each.present is None]
    return Occurrences(
        document=document,
        text=needle,
        present=len(turns) % 2 == 1,
        spans=spans,
        complete=not unknown and len(wanted) == len(turns),
        unknown=unknown[:100],
    )


class _Reader:
    """Reads what isn't in the index, within the bounds of one request, and brings it there if it is text."""

    def __init__(
        self, insights: Insights, blobs: Blobs, memory: Memory, *, actor: Actor, needle: bytes
    ) -> None:
        self._insights = insights
        self._blobs = blobs
        self._memory = memory
        self._actor = actor
        self._needle = needle
        self._contents_left = MAX_READ
        self._bytes_left = MAX_READ_BYTES

    async def complete(self, page: Presences, *, project: str) -> list[Presence]:
        """The page with as many of its unknown contents decided as the bounds allow."""
        decided: dict[str, bool] = {}
        found: list[tuple[str, bytes]] = []
        for content in page.unknown:
            if not self._contents_left or content.size > self._bytes_left:
                continue
            self._contents_left -= 1
            self._bytes_left -= content.size
            data = await read_bytes(
                self._blobs, self._memory, actor=self._actor, project=project, content=content
            )
            if data is None:
                continue
            decided[content.sha256] = await has_words(data, self._needle)
            if text_of(data) is not None:
                found.append((content.sha256, data))
        if found:
            await store_texts(
                self._insights,
                self._memory,
                actor=self._actor,
                project=project,
                found=found,
                documents=[],
            )
        return [
            msgspec.structs.replace(each, present=decided[each.sha256])
            if each.present is None and each.sha256 in decided
            else each
            for each in page.versions
        ]
