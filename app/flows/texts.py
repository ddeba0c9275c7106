"""Contents as texts for search: what is text, and bringing the texts that are not there yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.errors import VersoError
from app.supabase.insights import TextToStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from app.flows.attribute import Memory
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.insights import Insights, Unread

MAX_TEXT = 512 * 1024
"""The most bytes of a text that is searched; the database takes no more."""
MAX_BYTES_AT_ONCE = 4 * 1024 * 1024
"""About how many bytes of text travel in one call."""
PIECE = 64 * 1024
"""How many bytes are looked through at once: some 10 ms of everybody's time at worst."""


def text_of(data: bytes) -> str | None:
    """The text that bytes are; None when they are not UTF-8, hold a NUL or are too many."""
    if len(data) > MAX_TEXT or b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


async def has_words(data: bytes, needle: bytes, *, piece: int = PIECE) -> bool:
    """Whether bytes have these words with any blanks between; the needle has single ones, none at its ends.

    Others have their turn between the pieces: 32 MiB of letters, split at once, took 5 s and a gigabyte.
    """
    held = b""
    for at in range(0, len(data), piece):
        # bytes.split() splits at the six blanks of a search; letters on both sides keep those at the ends.
        found = b" ".join((b"x%sx" % data[at : at + piece]).split())[1:-1]
        held += found.removeprefix(b" ") if held.endswith(b" ") else found
        if needle in held:
            return True
        held = held[-len(needle) :]
        await asyncio.sleep(0)
    return False


async def read_bytes(
    blobs: Blobs, memory: Memory, *, actor: Actor, project: str, content: Unread
) -> bytes | None:
    """The verified bytes of a content; None when they can't be had now."""
    if not content.copies:
        return None  # erased, whatever is remembered
    held = memory.text(project, content.sha256)
    if held is not None:
        return held
    try:
        with await blobs.fetch(
            actor.token, key=(project, content.sha256), size=content.size, copies=content.copies
        ) as found:
            return await found.read()
    except VersoError:
        return None  # search does without; who reads the document is told


async def store_texts(
    insights: Insights,
    memory: Memory,
    *,
    actor: Actor,
    project: str,
    found: Iterable[tuple[str, bytes]],
    documents: Sequence[str] | None,
) -> None:
    """Bring contents into the index, each with its SHA-256; what isn't text is remembered as such."""
    batch: list[TextToStore] = []
    size = 0
    none_is_text = False
    for sha256, data in found:
        body = text_of(data)
        if body is None:
            memory.note_not_text(sha256)
            none_is_text = not batch
            continue
        batch.append(TextToStore(sha256=sha256, body=body))
        size += len(data)
        if size > MAX_BYTES_AT_ONCE:
            await insights.store_texts(actor.token, project=project, items=batch, documents=documents)
            batch, size = [], 0
    if batch or not none_is_text:
        await insights.store_texts(actor.token, project=project, items=batch, documents=documents)
