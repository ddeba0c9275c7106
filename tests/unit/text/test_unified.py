"""A unified diff of ours gives the new bytes exactly: with our own apply, with git's, and with GNU patch."""

from __future__ import annotations

import shutil
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.text.lines import Ignoring
from app.text.patch import apply_patch, parse_patch
from app.text.unified import git_blob_name, is_binary, unified_diff
from tests.unit.text.wild import git_apply, gnu_patch, history, pairs, paths, texts

needs_patch = pytest.mark.skipif(shutil.which("patch") is None, reason="GNU patch is not installed")


def diff(old: bytes, new: bytes, **options) -> bytes:
    return unified_diff(old, new, **{"old_path": "x", "new_path": "x", "text": True, **options})


@given(pairs(), st.integers(0, 5))
@example((b"", b"a"), 3)
@example((b"a", b""), 3)
@example((b"a", b"a\n"), 3)
@example((b"a\n", b"a"), 0)
def test_our_own_apply_gives_the_new_bytes(pair, context):
    old, new = pair
    patch = diff(old, new, context=context)
    if old == new:
        assert patch == b""
        return
    (file,) = parse_patch(patch)
    assert apply_patch(old, file) == new


@settings(max_examples=120)
@given(pairs(), st.sampled_from((0, 1, 3)), paths)
@example((b"", b"a"), 3, "x")
@example((b"-- a\n", b"++ b\n"), 3, "x")
def test_git_apply_gives_the_new_bytes(pair, context, path):
    old, new = pair
    patch = diff(old, new, context=context, old_path=path, new_path=path)
    if not patch:
        return
    outcome = git_apply(patch, old, old_path=path, new_path=path, context=context)
    assert outcome.ok, outcome.said
    assert outcome.text == new


@needs_patch
@settings(max_examples=120)
@given(pairs(), st.sampled_from((0, 1, 3)))
def test_gnu_patch_gives_the_new_bytes(pair, context):
    old, new = pair
    # A text that becomes empty is deleted by GNU patch, which does not tell an empty file from none.
    if old == new or not new:
        return
    outcome = gnu_patch(diff(old, new, context=context), old, old_path="x", new_path="x")
    assert outcome.ok, outcome.said
    assert outcome.text == new


@settings(max_examples=60)
@given(texts(), paths)
@example(b"", "empty")
def test_a_new_and_a_deleted_file_apply(text, path):
    added = diff(b"", text, old_path=None, new_path=path)
    deleted = diff(text, b"", old_path=path, new_path=None)
    came = git_apply(added, None, old_path=None, new_path=path)
    assert came.ok, came.said
    assert came.text == text
    went = git_apply(deleted, text, old_path=path, new_path=None)
    assert went.ok, went.said
    assert went.text is None
    (file,) = parse_patch(added)
    assert (file.old_path, file.new_path, apply_patch(b"", file)) == (None, path, text)
    (file,) = parse_patch(deleted)
    assert (file.old_path, file.new_path, apply_patch(text, file)) == (path, None, b"")


@needs_patch
@pytest.mark.parametrize("path", ["plain.md", "a b.md", "sp b/x.md", "d/naïve 東京.md", "t\tab.md"])
@pytest.mark.parametrize("text", [b"", b"a", b"a\r\nb\n"], ids=["empty", "no newline", "crlf"])
def test_gnu_patch_creates_and_deletes_files(path, text):
    came = gnu_patch(diff(b"", text, old_path=None, new_path=path), None, old_path=None, new_path=path)
    assert (came.ok, came.text) == (True, text), came.said
    went = gnu_patch(diff(text, b"", old_path=path, new_path=None), text, old_path=path, new_path=None)
    assert (went.ok, went.text) == (True, None), went.said


@settings(max_examples=40)
@given(pairs())
@example((b"a\n", b"a\n"))
def test_a_rename_applies_with_git_and_with_patch(pair):
    old, new = pair
    names = {"old_path": "old name.md", "new_path": "sub dir/ünew.md"}
    patch = diff(old, new, **names)
    assert b"rename from" in patch
    outcome = git_apply(patch, old, **names)
    assert (outcome.ok, outcome.text) == (True, new), outcome.said
    if shutil.which("patch") and new:
        outcome = gnu_patch(patch, old, **names)
        assert (outcome.ok, outcome.text) == (True, new), outcome.said
    (file,) = parse_patch(patch)
    assert (file.old_path, file.new_path) == (names["old_path"], names["new_path"])
    assert apply_patch(old, file) == new


def test_the_similarity_of_a_rename_counts_kept_bytes():
    old = b"".join(b"line %d\n" % number for number in range(10))
    patch = diff(old, old.replace(b"line 3", b"LINE 3"), old_path="a", new_path="b")
    assert b"similarity index 90%\n" in patch
    assert b"similarity index 100%\n" in diff(old, old, old_path="a", new_path="b")


def test_nothing_to_say_is_no_patch():
    assert diff(b"a\n", b"a\n") == b""


def test_a_hunk_says_under_which_heading_it_is():
    old = b"# Top\n\n## Part\n" + b"".join(b"%d\n" % number for number in range(20))
    assert b"@@ -17,7 +17,7 @@ ## Part\n" in diff(old, old.replace(b"16\n", b"sixteen\n"))


def test_a_heading_that_could_break_the_header_is_left_out():
    old = b"# Bad \x1b[31m\n" + b"".join(b"%d\n" % number for number in range(9))
    assert b"@@ -6,5 +6,5 @@\n" in diff(old, old.replace(b"7\n", b"seven\n"))


def test_it_names_base_and_result_as_git_does():
    patch = diff(b"a\n", b"b\n")
    assert (
        b"index %s..%s 100644\n" % (git_blob_name(b"a\n").encode(), git_blob_name(b"b\n").encode()) in patch
    )
    assert git_blob_name(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_a_nul_among_the_first_8000_bytes_makes_a_file_binary():
    assert is_binary(b"x" * 7999 + b"\0")
    assert not is_binary(b"x" * 8000 + b"\0")
    patch = unified_diff(b"\0", b"\1", old_path="a b", new_path="a b")
    assert patch.endswith(b'\nBinary files "a/a b" and "b/a b" differ\n')
    assert unified_diff(b"", b"\0", old_path=None, new_path="x").endswith(
        b"\nBinary files /dev/null and b/x differ\n"
    )


@given(pairs(), st.sampled_from(list(Ignoring)))
def test_ignoring_white_space_gives_a_patch_that_still_applies(pair, ignoring):
    old, new = pair
    patch = diff(old, new, ignoring=ignoring)
    if not patch:
        return
    (file,) = parse_patch(patch)
    result = apply_patch(old, file)
    assert diff(result, new, ignoring=ignoring) == b""
    assert b"".join(result.split()) == b"".join(new.split())


def test_line_endings_alone_can_be_ignored():
    old, new = b"a\nb\nc\n", b"a\r\nb\r\nC\r\n"
    assert diff(old, old.replace(b"\n", b"\r\n"), ignoring=Ignoring.LINE_ENDINGS) == b""
    assert b"-c\n+C\r\n" in diff(old, new, ignoring=Ignoring.LINE_ENDINGS)
    assert b"\n-b\n" not in diff(old, new, ignoring=Ignoring.LINE_ENDINGS)
    assert diff(b"a", b"a\n", ignoring=Ignoring.LINE_ENDINGS) == b""


def test_the_amount_of_space_can_be_ignored_but_not_its_presence():
    assert diff(b"a  b \n", b"a b\n", ignoring=Ignoring.SPACE_AMOUNT) == b""
    assert diff(b"a b\n", b"ab\n", ignoring=Ignoring.SPACE_AMOUNT) != b""
    assert diff(b" a b\n", b"ab\n", ignoring=Ignoring.ALL_SPACE) == b""


@pytest.mark.parametrize(
    ("old_path", "new_path"),
    [(None, None), ("", "x"), ("x", "a\0b")],
    ids=["no path", "empty path", "NUL in path"],
)
def test_impossible_paths_are_refused(old_path, new_path):
    with pytest.raises(ValueError, match="path"):
        unified_diff(b"a", b"b", old_path=old_path, new_path=new_path)


def test_a_negative_context_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        diff(b"a", b"b", context=-1)


def test_a_text_without_a_path_is_refused():
    with pytest.raises(ValueError, match="without a path"):
        unified_diff(b"a", b"b", old_path=None, new_path="x")


def test_every_step_of_a_written_history_applies_with_git():
    for old, new in pairwise(history()):
        outcome = git_apply(diff(old, new), old, old_path="x", new_path="x")
        assert (outcome.ok, outcome.text) == (True, new), outcome.said
