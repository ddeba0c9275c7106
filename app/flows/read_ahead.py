"""Texts of many versions in order, read before they are needed: some at a time, within bounds of memory."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from app.flows.attribute import Memory
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.insights import Ancestor

AT_ONCE = 8
"""How many objects are read at the same time."""
GROUP_BYTES = 4 * 1024 * 1024
GROUP_VERSIONS = 64

Wanted = tuple[int, "Sequence[Ancestor]"]


class Texts(NamedTuple):
    """The bytes of some contents by their SHA-256, or why they can't be had."""

    found: dict[str, bytes | VersoError]

    def of(self, row: Ancestor) -> bytes:
        """The bytes of a version; none of a delete. Raises VersoError."""
        if row.sha256 is None:
            return b""
        text = self.found[row.sha256]
        if isinstance(text, VersoError):
            raise text
        return text


async def read_ahead(
    blobs: Blobs,
    memory: Memory,
    *,
    actor: Actor,
    wanted: Sequence[Wanted],
    limit: int,
) -> AsyncIterator[tuple[int, Texts]]:
    """Yield each number with the texts of its versions, in the order given.

    The next group is read meanwhile. Holds about two groups of GROUP_BYTES each, and what a single version
    needs. A text that is erased, altered or larger than `limit` is an error when it is asked for, not before.
    """
    reader = _Reader(blobs, memory, actor=actor, limit=limit)
    groups = list(_groups(wanted))
    coming: asyncio.Task[Texts] | None = None
    carried: dict[str, bytes | VersoError] = {}
    try:
        for at, group in enumerate(groups):
            texts = await (coming or reader.read(group, carried))
            carried = texts.found
            coming = None
            if at + 1 < len(groups):
                coming = asyncio.create_task(reader.read(groups[at + 1], carried))
            for number, _ in group:
                yield number, texts
    finally:
        if coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await coming


def _groups(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    groups: list[list[Wanted]] = []
    size = GROUP_BYTES
    for number, rows in wanted:
        if size >= GROUP_BYTES or len(groups[-1]) == GROUP_VERSIONS:
            groups.append([])
            size = 0
        groups[-1].append((number, rows))
        size += sum(row.size or 0 for row in rows[:1])
    return groups


class _Reader:
    def __init__(self, blobs: Blobs, memory: Memory, *, actor: Actor, limit: int) -> None:
        self._blobs = blobs
        self._memory = memory
        self._actor = actor
        self._limit = limit
        self._room = asyncio.Semaphore(AT_ONCE)

    async def read(self, group: Sequence[Wanted], carried: dict[str, bytes | VersoError]) -> Texts:
        rows = {row.sha256: row for _, rows in group for row in rows if row.sha256 is not None}
        found = {sha256: carried[sha256] for sha256 in rows if sha256 in carried}
        for sha256, row in rows.items():
            # Of an erased content nothing counts that is remembered.
            erased = row.copies == []
            held = None if sha256 in found or erased else self._memory.text(row.project, sha256)
            if held is not None:
                found[sha256] = held
        missing = [row for sha256, row in rows.items() if sha256 not in found]
        texts = await asyncio.gather(*(self._fetch(row) for row in missing))
        for row, text in zip(missing, texts, strict=True):
            if row.sha256 is not None:
                found[row.sha256] = text
                if isinstance(text, bytes):
                    self._memory.keep_text(row.project, row.sha256, text)
        return Texts(found)

    async def _fetch(self, row: Ancestor) -> bytes | VersoError:
        size = row.size or 0
        if size > self._limit:
            return VersoError(
                "diff_too_large",
                "A version of this document is too large to be compared line by line.",
                limit=self._limit,
            )
        if not row.copies:
            return VersoError(
                "content_erased",
                f"The bytes of version {row.number} were erased, so who wrote its lines can't be computed.",
                number=row.number,
            )
        async with self._room:
            try:
                key = (row.project, row.sha256 or "")
                with await self._blobs.fetch(
                    self._actor.token, key=key, size=size, copies=row.copies
                ) as content:
                    return await content.read()
            except VersoError as error:
                return error
