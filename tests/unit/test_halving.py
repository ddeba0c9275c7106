"""Halving finds the first bad one of any, in no more looks than halving needs."""

from __future__ import annotations

import math

import pytest

from app.client.looking.halving import Verdict, halve
from app.errors import VersoError


@pytest.mark.parametrize("count", [2, 3, 4, 7, 8, 9, 100, 1000])
def test_the_first_bad_one_is_found_in_few_looks(count: int) -> None:
    numbers = list(range(10, 10 + 3 * count, 3))
    for first_bad in numbers[1 :: max(1, count // 20)]:

        def judge(number: int, _left: int, first_bad: int = first_bad) -> Verdict:
            return Verdict.bad if number >= first_bad else Verdict.good

        found = halve(numbers, judge)
        assert (found.first_bad, found.suspects) == (first_bad, [])
        assert found.looked_at <= math.ceil(math.log2(count))


def test_skipped_ones_before_the_answer_are_suspects_and_others_are_not() -> None:
    verdicts = {3: Verdict.skip, 4: Verdict.skip, 8: Verdict.skip}

    def judge(number: int, _left: int) -> Verdict:
        return verdicts.get(number, Verdict.bad if number >= 4 else Verdict.good)

    found = halve(range(1, 11), judge)
    assert (found.first_bad, found.suspects) == (5, [3, 4, 5])


def test_no_one_is_judged_twice_and_what_is_left_only_shrinks() -> None:
    seen: list[tuple[int, int]] = []

    def judge(number: int, left: int) -> Verdict:
        seen.append((number, left))
        return Verdict.skip

    found = halve(range(20), judge)
    assert found.first_bad == 19
    assert len({number for number, _ in seen}) == len(seen) == 18
    assert [left for _, left in seen] == list(range(18, 0, -1))


def test_there_is_nothing_to_halve_between_fewer_than_two() -> None:
    with pytest.raises(VersoError, match="before the bad"):
        halve([1], lambda _number, _left: Verdict.good)
