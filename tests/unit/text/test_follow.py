"""Lines followed into another text."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.bounded import TextWorkers
from app.text.follow import LineRange, Place, follow_lines
from app.text.lines import split_lines

TEXT = b"one\ntwo\nthree\nfour\n"
texts = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\r\n", b"\xff\n", b"\n"]), max_size=12).flatmap(
    lambda lines: st.sampled_from([b"".join(lines), b"".join(lines)[:-1], b"".join(lines) + b"x"])
)
ranges = st.tuples(st.integers(1, 14), st.integers(0, 5)).map(lambda at: LineRange(at[0], at[0] + at[1]))


def place(new: bytes, first: int, last: int) -> Place:
    return follow_lines(TEXT, new, [LineRange(first, last)])[0]


@pytest.mark.parametrize(
    ("new", "first", "near"),
    [
        (TEXT, 2, 2),
        (b"zero\n" + TEXT, 3, 3),
        (b"two\nthree\nfour\n", 1, 1),
        (b"one\nbefore\ntwo\nthree\nafter\nfour\n", 3, 3),
        (b"ONE\ntwo\nthree\nFOUR", 2, 2),
        (b"one\ntwo\nbetween\nthree\nfour\n", None, 3),
        (b"one\nTWO\nthree\nfour\n", None, 2),
        (b"one\ntwo\nfour\n", None, 3),
        (b"one\nfour\n", None, 2),
        (b"one\n", None, 1),
        (b"", None, None),
    ],
)
def test_lines_two_to_three(new: bytes, first: int | None, near: int | None) -> None:
    lines = None if first is None else LineRange(first, first + 1)
    assert place(new, 2, 3) == Place(lines, near)


def test_a_last_line_that_gets_a_newline_has_changed() -> None:
    assert follow_lines(b"a\nb", b"a\nb\n", [LineRange(2, 2)]) == (Place(None, 2),)


def test_lines_beyond_the_end_are_not_found() -> None:
    assert place(TEXT, 4, 5) == Place(None, 4)
    assert place(TEXT, 2_000_000_000, 2_000_000_001) == Place(None, 4)


@given(texts, texts, st.lists(ranges, max_size=4))
def test_what_is_found_is_the_same_and_what_is_near_is_there(
    old: bytes, new: bytes, wanted: list[LineRange]
) -> None:
    old_lines, new_lines = split_lines(old), split_lines(new)
    for asked, found in zip(wanted, follow_lines(old, new, wanted), strict=True):
        if found.lines is not None:
            assert (
                new_lines[found.lines.first - 1 : found.lines.last] == old_lines[asked.first - 1 : asked.last]
            )
            assert found.lines.last - found.lines.first == asked.last - asked.first
            assert found.near == found.lines.first
        elif found.near is None:
            assert new_lines == []
        else:
            assert 1 <= found.near <= len(new_lines)


@given(texts, texts)
def test_a_range_is_found_when_each_line_is_and_they_are_still_together(old: bytes, new: bytes) -> None:
    count = len(split_lines(old))
    single = [found.lines for found in follow_lines(old, new, [LineRange(n, n) for n in range(1, count + 1)])]
    for first in range(1, count + 1):
        for last in range(first, count + 1):
            kept = [lines.first for lines in single[first - 1 : last] if lines is not None]
            together = len(kept) == last - first + 1 and kept[-1] - kept[0] == last - first
            found = follow_lines(old, new, [LineRange(first, last)])[0].lines
            assert found == (LineRange(kept[0], kept[-1]) if together else None)


@given(texts, st.lists(ranges, max_size=3))
def test_in_the_same_text_everything_that_is_there_is_where_it_was(
    text: bytes, wanted: list[LineRange]
) -> None:
    count = len(split_lines(text))
    for asked, found in zip(wanted, follow_lines(text, text, wanted), strict=True):
        assert found.lines == (asked if asked.last <= count else None)


async def test_large_texts_are_followed_in_a_worker() -> None:
    old = b"".join(b"line %d\n" % n for n in range(60_000))
    new = b"first\n" + old.replace(b"line 40000\n", b"changed\n")
    async with TextWorkers(workers=1) as workers:
        follow = workers.follow_lines(old, new, [LineRange(39_999, 40_000), LineRange(40_001, 40_001)])
        found = await asyncio.wait_for(follow, 30)
    assert found == (Place(LineRange(40_000, 40_001), 40_000), Place(None, 40_002))
