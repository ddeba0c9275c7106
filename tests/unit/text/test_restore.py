"""A section of an old version comes back into a newer text; the rest stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.lines import split_lines
from app.text.restore import restore_lines
from tests.unit.text.wild import history, pairs


def lines_of(text: bytes, start: bytes, end: bytes) -> tuple[int, int]:
    lines = split_lines(text)
    return lines.index(start) + 1, lines.index(end)


def test_a_deleted_section_comes_back_and_later_edits_stay():
    steps = history()
    old, head = steps[4], steps[5]
    first, last = lines_of(old, b"## Limits\n", b"## Scope\n")
    result = restore_lines(head, old, first=first, last=last)
    assert result.clean
    assert b"".join(split_lines(old)[first - 1 : last]) in result.text
    assert b"They become single ones for a year." in result.text
    assert result.text == steps[6]


def test_a_rewritten_section_comes_back_alone():
    old = b"# A\none\ntwo\n# B\nthree\nfour\n"
    head = b"# A\nONE\ntwo\n# B\nthree\nFOUR\n"
    assert restore_lines(head, old, first=4, last=6).text == b"# A\nONE\ntwo\n# B\nthree\nfour\n"


def test_of_a_larger_deletion_only_the_wanted_lines_come_back():
    old = b"keep\n1\n2\n3\n4\nkeep too\n"
    assert restore_lines(b"keep\nkeep too\n", old, first=3, last=4).text == b"keep\n2\n3\nkeep too\n"


def test_what_was_rewritten_across_the_edge_is_a_conflict():
    old = b"a\nb\nc\nd\n"
    result = restore_lines(b"a\nX\nd\n", old, first=3, last=3)
    (conflict,) = result.conflicts
    assert (conflict.yours.text, conflict.theirs.text) == ("b\nc\n", "X\n")
    assert result.text == b"a\n<<<<<<< yours\nb\nc\n=======\nX\n>>>>>>> theirs\nd\n"


def test_what_was_inserted_at_an_edge_stays_and_inside_goes():
    old = b"a\nb\nc\n"
    assert restore_lines(b"a\nNEW\nb\nIN\nc\n", old, first=2, last=3).text == b"a\nNEW\nb\nc\n"


@pytest.mark.parametrize(("first", "last"), [(0, 1), (2, 1), (1, 4)])
def test_lines_that_the_old_version_does_not_have_are_refused(first, last):
    with pytest.raises(ValueError, match="lines 1 to 3"):
        restore_lines(b"", b"a\nb\nc\n", first=first, last=last)


@given(pairs(), st.data())
def test_the_lines_are_there_again_as_they_were(pair, data):
    head, old = pair
    lines = split_lines(old)
    if not lines:
        return
    first = data.draw(st.integers(1, len(lines)))
    last = data.draw(st.integers(first, len(lines)))
    result = restore_lines(head, old, first=first, last=last)
    if result.clean:
        assert b"".join(lines[first - 1 : last]) in result.text
    assert restore_lines(old, old, first=first, last=last).text == old
