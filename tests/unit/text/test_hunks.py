"""The difference as data: the same hunks as in the patch, numbered, with words and a summary."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.text.hunks import DiffResult, diff_hunks, hunk_of, number_lines
from app.text.patch import parse_patch
from app.text.similarity import MovedBlock
from app.text.unified import unified_diff
from app.text.words import Granularity
from tests.unit.text.wild import history, pairs


def hunks_of_patch(patch, *, granularity=Granularity.WORD):
    """The hunks of one file of a parsed patch."""
    hunks = []
    for hunk in patch.hunks:
        first = hunk.old_start - (hunk.old_lines > 0), hunk.new_start - (hunk.new_lines > 0)
        marked = [(line.kind, line.data) for line in hunk.lines]
        lines = number_lines(marked, first=first, granularity=granularity, refinements=[])
        hunks.append(hunk_of(lines, first=first, section=hunk.section.decode("utf-8", errors="replace")))
    return tuple(hunks)


def changed(line):
    return [line.text[start:end] for start, end in line.spans or ()]


@given(pairs(), st.integers(0, 4), st.sampled_from(list(Granularity)))
@example((b"", b"a"), 0, Granularity.WORD)
@example((b"a\nb\n", b"a\nc"), 3, Granularity.WORD)
def test_the_patch_parsed_back_by_unidiff_has_the_same_hunks(pair, context, granularity):
    old, new = pair
    result = diff_hunks(old, new, context=context, granularity=granularity, text=True)
    patch = unified_diff(old, new, old_path="x", new_path="x", context=context, text=True)
    if old == new:
        assert (patch, result.hunks) == (b"", ())
        return
    (file,) = parse_patch(patch)
    assert hunks_of_patch(file, granularity=granularity) == result.hunks


def test_a_written_history_parses_back_to_the_same_hunks():
    for old, new in pairwise(history()):
        (file,) = parse_patch(unified_diff(old, new, old_path="x", new_path="x"))
        assert hunks_of_patch(file) == diff_hunks(old, new).hunks


@given(pairs())
def test_the_lines_of_the_hunks_are_those_of_the_texts(pair):
    old, new = pair
    sides = {"old": old.split(b"\n"), "new": new.split(b"\n")}
    for hunk in diff_hunks(old, new, text=True).hunks:
        for line in hunk.lines:
            for side, number in (("old", line.old), ("new", line.new)):
                if number is not None:
                    assert line.text == sides[side][number - 1].decode("utf-8", errors="replace")
            assert (line.old is None) == (line.kind == "added")
            assert (line.new is None) == (line.kind == "removed")
            assert all(0 <= start < end <= len(line.text) for start, end in line.spans or ())


@given(pairs())
def test_it_survives_json(pair):
    result = diff_hunks(*pair, text=True)
    assert msgspec.json.decode(msgspec.json.encode(result), type=DiffResult) == result


def test_one_word_in_a_line_of_26000_characters_shows_one_word():
    old = " ".join(f"word{number}" for number in range(3000)) + "\n"
    new = old.replace("word1500 ", "other ")
    assert len(old) > 25_000
    removed, added = diff_hunks(old.encode(), new.encode()).hunks[0].lines
    assert (changed(removed), changed(added)) == (["word1500"], ["other"])


def test_bytes_that_are_not_utf8_are_shown_and_said():
    removed, added = diff_hunks(b"caf\xe9\n", b"cafe\n").hunks[0].lines
    assert (removed.text, removed.lossy) == ("caf\ufffd", True)
    assert (added.text, added.lossy) == ("cafe", False)


def test_a_missing_final_newline_is_said_and_no_other_difference_is_made_up():
    removed, added = diff_hunks(b"end\n", b"end").hunks[0].lines
    assert (removed.newline, added.newline) == (True, False)
    assert removed.text == added.text


def test_binary_texts_have_sides_and_no_hunks():
    result = diff_hunks(b"\0one", b"two")
    assert (result.binary, result.hunks, result.summary) == (True, (), None)
    assert (result.old.size, result.old.binary, result.new.binary) == (4, True, False)
    assert result.old.sha256 == hashlib.sha256(b"\0one").hexdigest()


def test_too_many_changed_lines_leave_a_summary():
    old = b"".join(b"%d\n" % number for number in range(60))
    result = diff_hunks(old, old.replace(b"1", b"x"), max_lines=10)
    assert (result.too_different, result.hunks) == (True, ())
    assert result.summary is not None
    assert result.summary.added == result.summary.removed == 15


def test_the_summary_counts_lines_and_likeness():
    result = diff_hunks(b"a\nb\nc\nd\n", b"a\nb\nc\ne\nf\n")
    assert result.summary is not None
    assert (result.summary.added, result.summary.removed) == (2, 1)
    assert result.summary.similarity == 0.6


def test_equal_texts_are_wholly_alike():
    for text in (b"", b"a\n"):
        result = diff_hunks(text, text)
        assert result.summary is not None
        assert (result.hunks, result.summary.similarity, result.summary.added) == ((), 1.0, 0)


def test_a_moved_section_is_found_as_one_block():
    steps = history()
    result = diff_hunks(steps[3], steps[4])
    assert result.summary is not None
    (block,) = result.summary.moved
    old_lines, new_lines = steps[3].split(b"\n"), steps[4].split(b"\n")
    moved = new_lines[block.new_start - 1 : block.new_start - 1 + block.lines]
    assert moved == old_lines[block.old_start - 1 : block.old_start - 1 + block.lines]
    assert b"- time zones as the file gives them" in moved


def test_blank_lines_and_braces_that_reappear_are_no_moved_block():
    result = diff_hunks(b"}\n\nkeep\nmore\n", b"keep\nmore\n}\n\n")
    assert result.summary is not None
    assert result.summary.moved == ()


def test_a_block_is_not_said_to_move_to_two_places():
    line = b"a line that is long enough to be told from others\n"
    result = diff_hunks(line + b"x\n", b"x\n" + line + b"y\n" + line)
    assert result.summary is not None
    assert MovedBlock(1, 2, 1) not in result.summary.moved


@pytest.mark.parametrize(("context", "hunks"), [(0, 2), (1, 2), (2, 1), (10, 1)])
def test_context_decides_what_shares_a_hunk(context, hunks):
    old = b"".join(b"%d\n" % number for number in range(9))
    new = old.replace(b"2\n", b"two\n").replace(b"6\n", b"six\n")
    assert len(diff_hunks(old, new, context=context).hunks) == hunks
