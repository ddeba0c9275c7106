"""Work on several things at once: their order, its bound, and what becomes of the others when one fails."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import VersoError
from app.flows.side_by_side import side_by_side


async def test_what_comes_out_is_in_the_order_of_what_went_in() -> None:
    second = asyncio.Event()

    async def work(number: int) -> int:
        if number == 1:
            await second.wait()
        else:
            second.set()
        return number

    assert await side_by_side(work, [1, 2]) == [1, 2]
    assert await side_by_side(work, []) == []


@pytest.mark.parametrize("most", [1, 3])
async def test_no_more_than_so_many_are_worked_on(most: int) -> None:
    working = highest = 0

    async def work(_: int) -> None:
        nonlocal working, highest
        working += 1
        highest = max(highest, working)
        for _ in range(5):
            await asyncio.sleep(0)
        working -= 1

    await side_by_side(work, range(9), most=most)
    assert (working, highest) == (0, most)


async def test_the_first_failure_ends_the_others_and_is_raised_as_it_is() -> None:
    told = []

    async def work(number: int) -> None:
        told.append(f"{number} begins")
        try:
            if number == 2:
                raise VersoError("too_large", "No.")
            await asyncio.Event().wait()
        finally:
            told.append(f"{number} ends")

    with pytest.raises(VersoError) as refused:
        await side_by_side(work, [1, 2, 3], most=2)
    assert refused.value.code == "too_large"
    assert told == ["1 begins", "2 begins", "2 ends", "1 ends"]


async def test_who_is_cancelled_cancels_all_of_it() -> None:
    begun, ended = asyncio.Event(), []

    async def work(number: int) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    working = asyncio.create_task(side_by_side(work, [1, 2]))
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert sorted(ended) == [1, 2]
