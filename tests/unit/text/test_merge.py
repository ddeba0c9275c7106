"""Three-way merge: the verdicts of git merge-file, the same whoever came first."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.text.errors import BinaryMergeError
from app.text.merge import Choice, Labels, Style, decide, merge
from tests.unit.text.wild import FIXTURES, ODD_LINES, texts

CASES = sorted(path.name for path in (FIXTURES / "merge").iterdir())


def case(name):
    return tuple(
        (FIXTURES / "merge" / name / f"{side}.md").read_bytes() for side in ("base", "theirs", "yours")
    )


def git_merge_file(base, theirs, yours, directory, *options):
    for name, data in (("base", base), ("theirs", theirs), ("yours", yours)):
        (directory / name).write_bytes(data)
    run = subprocess.run(
        ["git", "merge-file", "-p", *options, "yours", "base", "theirs"],
        cwd=directory,
        capture_output=True,
        check=False,
    )
    return run.returncode, run.stdout


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_and_a_clean_text_are_those_of_git(name, tmp_path):
    conflicts, text = git_merge_file(*case(name), tmp_path)
    result = merge(*case(name))
    assert result.clean == (conflicts == 0)
    if result.clean:
        assert result.text == text


def test_the_corpus_has_both_verdicts():
    verdicts = [merge(*case(name)).clean for name in CASES]
    assert verdicts.count(True) >= 5
    assert verdicts.count(False) >= 5


@st.composite
def triples(draw):
    vocabulary = draw(st.sampled_from((ODD_LINES[:4], [b"%d\n" % n for n in range(12)])))
    base = draw(st.lists(st.sampled_from(vocabulary), max_size=12))

    def changed():
        lines = list(base)
        for _ in range(draw(st.integers(0, 2))):
            at = draw(st.integers(0, len(lines)))
            lines[at : at + draw(st.integers(0, 2))] = draw(st.lists(st.sampled_from(vocabulary), max_size=2))
        text = b"".join(lines)
        return text[:-1] if draw(st.integers(0, 4)) == 0 else text

    return b"".join(base), changed(), changed()


@settings(max_examples=150)
@given(triples())
def test_random_merges_end_as_with_git(tmp_path_factory, triple):
    conflicts, text = git_merge_file(*triple, tmp_path_factory.mktemp("merge"))
    result = merge(*triple)
    assert result.clean == (conflicts == 0)
    if result.clean:
        assert result.text == text


@given(triples())
def test_it_makes_no_difference_who_came_first(triple):
    base, theirs, yours = triple
    one, other = merge(base, theirs, yours), merge(base, yours, theirs)
    assert one.clean == other.clean
    assert [(c.base, c.theirs, c.yours) for c in one.conflicts] == [
        (c.base, c.yours, c.theirs) for c in other.conflicts
    ]
    if one.clean:
        assert one.text == other.text


@given(texts(), texts())
def test_one_side_without_changes_gives_the_other(base, changed):
    for result in (merge(base, changed, base), merge(base, base, changed), merge(base, changed, changed)):
        assert (result.clean, result.text) == (True, changed)


def test_a_conflict_says_where_it_is_on_all_sides():
    result = merge(*case("same-line"))
    (conflict,) = result.conflicts
    assert conflict.theirs.text == "- at most five thousand entries\n"
    assert conflict.yours.text == "- at most twenty thousand entries\n"
    assert conflict.base.text == "- at most ten thousand entries\n"
    assert (conflict.base.start, conflict.base.lines) == (11, 1)
    assert result.text.split(b"\n")[conflict.line - 1] == b"<<<<<<< yours"


def test_markers_can_show_the_base_and_other_names():
    labels = Labels(yours="your upload", base="version 3", theirs="version 4")
    result = merge(b"a\n", b"b\n", b"c\n", style=Style.DIFF3, labels=labels)
    assert result.text == (b"<<<<<<< your upload\nc\n||||||| version 3\na\n=======\nb\n>>>>>>> version 4\n")


def test_lines_that_both_sides_agree_on_stay_outside_the_markers():
    result = merge(b"x\n", b"one\ntheirs\nlast\n", b"one\nyours\nlast\n")
    assert result.text == b"one\n<<<<<<< yours\nyours\n=======\ntheirs\n>>>>>>> theirs\nlast\n"


def test_markers_are_never_glued_to_a_line_without_newline():
    result = merge(b"a", b"b", b"c")
    assert result.text == b"<<<<<<< yours\nc\n=======\nb\n>>>>>>> theirs\n"


def test_markers_end_as_the_lines_around_them_do():
    text = merge(*case("crlf-conflict")).text
    assert text.count(b"\n") == text.count(b"\r\n")


def test_binary_texts_are_not_merged_unless_one_side_is_unchanged():
    assert merge(b"\0", b"\0", b"\1\0").text == b"\1\0"
    with pytest.raises(BinaryMergeError):
        merge(b"\0", b"\0a", b"\0b")


def plain(triple):
    """The texts in UTF-8 and without NULs, line by line as they were."""
    return tuple(text.replace(b"\0", b"0").decode("latin-1").encode() for text in triple)


def decided(texts, choice):
    result = merge(*texts)
    return decide(result.text.decode(), result.conflicts, [choice] * len(result.conflicts)).encode()


@pytest.mark.parametrize(
    ("choice", "option"),
    [(Choice.YOURS, "--ours"), (Choice.THEIRS, "--theirs")],
    ids=["yours", "theirs"],
)
@settings(max_examples=40)
@given(triple=triples())
def test_what_is_decided_is_what_git_decides_so(tmp_path_factory, choice, option, triple):
    texts = plain(triple)
    _, text = git_merge_file(*texts, tmp_path_factory.mktemp("merge"), option)
    assert decided(texts, choice) == text


@given(triples())
def test_deciding_for_one_side_is_deciding_for_the_other_the_other_way_round(triple):
    base, theirs, yours = plain(triple)
    assert decided((base, theirs, yours), Choice.YOURS) == decided((base, yours, theirs), Choice.THEIRS)


@pytest.mark.parametrize(
    ("base", "theirs", "yours", "both"),
    [
        (b"a\nb\nc\n", b"a\nT\nc\n", b"a\nY\nc\n", b"a\nY\nT\nc\n"),
        (b"a\nb", b"a\nT", b"a\nY", b"a\nY\nT"),
        (b"a\nb\n", b"a\n", b"a\nY", b"a\nY"),
        (b"a\nb\n", b"a\nT", b"a\n", b"a\nT"),
    ],
    ids=["between", "no newline at the end", "theirs is empty", "yours is empty"],
)
def test_both_are_yours_and_then_theirs_with_a_line_end_between(base, theirs, yours, both):
    assert decided((base, theirs, yours), Choice.BOTH) == both
