"""Words that are looked for in bytes too many for the index: piece by piece, and as if they were one."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from app.flows.texts import PIECE, has_words

BYTES = st.text("ab \n\t", max_size=40).map(str.encode)


@given(BYTES, BYTES, st.integers(1, 12))
def test_pieces_hold_what_the_whole_holds(data: bytes, words: bytes, piece: int) -> None:
    needle = b" ".join(words.split()) or b"a"
    assert asyncio.run(has_words(data, needle, piece=piece)) == (needle in b" ".join(data.split()))


async def test_others_have_their_turn_while_a_large_text_is_looked_through() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    assert not await has_words(b"a " * (10 * PIECE), b"b")
    waiting.cancel()
    assert turns >= 20
