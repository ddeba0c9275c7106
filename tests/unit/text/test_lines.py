"""Which lines two texts share, and that the places of edits are git's."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.text.ends import common_ends
from app.text.lines import Algorithm, Edit, Ignoring, line_diff, split_lines
from tests.unit.text.wild import ODD_LINES, history, pairs

HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


def rebuilt(old, new, edits):
    result, at = [], 0
    for edit in edits:
        result += old[at : edit.old_start] + new[edit.new_start : edit.new_end]
        at = edit.old_end
    return result + old[at:]


def edits_of_git(old: bytes, new: bytes, directory) -> list[Edit]:
    (directory / "old").write_bytes(old)
    (directory / "new").write_bytes(new)
    arguments = ["git", "diff", "--no-index", "--text", "--unified=1", "--no-ext-diff", "old", "new"]
    said = subprocess.run(arguments, cwd=directory, capture_output=True, check=False).stdout
    edits = []
    at_old = at_new = 0
    for line in said.split(b"\n")[4:]:
        if match := HUNK.match(line):
            at_old, at_new = int(match[1]) - 1, int(match[3]) - 1
            at_old += match[2] == b"0"
            at_new += match[4] == b"0"
            start = None
        elif line[:1] in b"-+" and line:
            start = start or (at_old, at_new)
            at_old += line[:1] == b"-"
            at_new += line[:1] == b"+"
        elif line[:1] != b"\\":
            if start:
                edits.append(Edit(start[0], at_old, start[1], at_new))
            start = None
            at_old, at_new = at_old + 1, at_new + 1
    return edits


@given(st.lists(st.sampled_from(ODD_LINES)))
def test_lines_end_at_the_newline_byte_only(lines):
    assert split_lines(b"".join(lines)) == lines


@given(pairs(), st.sampled_from(list(Algorithm)))
@example((b"a\n" * 200, b"a\n" * 190), Algorithm.BEST)
@example((b"", b"a\n"), Algorithm.BEST)
def test_the_edits_turn_old_into_new(pair, algorithm):
    old, new = map(split_lines, pair)
    edits = line_diff(old, new, algorithm=algorithm)
    assert rebuilt(old, new, edits) == new
    for before, after in pairwise(edits):
        assert before.old_end < after.old_start
        assert after.old_start - before.old_end == after.new_start - before.new_end


@given(st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"  c\n"]), max_size=200), st.data())
def test_cutting_equal_ends_off_changes_nothing_of_substance(lines, data):
    at = data.draw(st.integers(0, len(lines)))
    new = (
        lines[:at] + data.draw(st.lists(st.sampled_from([b"a\n", b"\n", b"new\n"]), max_size=4)) + lines[at:]
    )
    edits = line_diff(lines, new)
    assert rebuilt(lines, new, edits) == new
    assert sum(e.old_end - e.old_start + e.new_end - e.new_start for e in edits) == len(new) - len(lines)


INDENTED = (
    b"def one():\n    if x:\n        pass\n\n    return 1\n\n\ndef two():\n    if x:\n        pass\n\n    return 2\n",
    b"def one():\n    if x:\n        pass\n\n    return 1\n\n\ndef more():\n    if x:\n        pass\n\n    return 1\n\n\ndef two():\n    if x:\n        pass\n\n    return 2\n",
)
TABS = (b"a\n\tb\n\t\tc\n \t \n\tb\n", b"a\n\tb\n\t\tc\n \t \n\tb\n\t\tc\n \t \n\tb\n")
DEEP = (b" " * 300 + b"x\n\n" + b"y\n", b" " * 300 + b"x\n\n" + b" " * 300 + b"x\n\n" + b"y\n")


@pytest.mark.parametrize(
    "pair",
    [*pairwise(history()), INDENTED, INDENTED[::-1], TABS, DEEP],
    ids=lambda pair: f"{len(pair[0])} bytes",
)
def test_edits_are_where_git_diff_has_them(pair, tmp_path):
    old, new = pair
    assert list(line_diff(split_lines(old), split_lines(new), algorithm=Algorithm.GIT)) == edits_of_git(
        old, new, tmp_path
    )


def test_where_much_changed_patience_is_taken_if_it_is_shorter():
    old = [b"%d\n" % n for n in range(40)]
    new = [b"%d\n" % n for n in reversed(range(40))]

    def size(algorithm):
        edits = line_diff(old, new, algorithm=algorithm)
        return sum(e.old_end - e.old_start + e.new_end - e.new_start for e in edits)

    assert size(Algorithm.BEST) <= size(Algorithm.GIT)


def test_a_last_line_without_newline_is_another_line():
    assert line_diff([b"a\n"], [b"a"]) == (Edit(0, 1, 0, 1),)
    assert line_diff([b"a\n"], [b"a"], ignoring=Ignoring.LINE_ENDINGS) == ()


def test_lines_after_an_unended_line_replace_it_when_endings_are_ignored():
    assert line_diff([b"x\n", b"a"], [b"x\n", b"a\n", b"b\n"], ignoring=Ignoring.LINE_ENDINGS) == (
        Edit(1, 2, 1, 3),
    )
    assert line_diff([b"x\n", b"a"], [b"y\n", b"a\n", b"b\n"], ignoring=Ignoring.LINE_ENDINGS) == (
        Edit(0, 2, 0, 3),
    )


@given(st.binary(max_size=40), st.binary(max_size=5), st.binary(max_size=5), st.binary(max_size=40))
def test_common_ends_are_common_and_do_not_overlap(start, old_middle, new_middle, end):
    old, new = start + old_middle + end, start + new_middle + end
    lead, trail = common_ends(old, new)
    assert old[:lead] == new[:lead]
    assert old[len(old) - trail :] == new[len(new) - trail :]
    assert lead + trail <= min(len(old), len(new))
    assert lead >= len(start)
