"""Patches of others: read behind a screen, applied in their place or not at all."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.errors import PatchRejectedError, PatchUnreadableError
from app.text.patch import apply_patch, parse_patch
from app.text.unified import unified_diff
from tests.unit.text.wild import history, pairs

BASE = b"".join(b"line %d\n" % number for number in range(1, 21))


def patch_of(*hunks: bytes, names: bytes = b"--- a/x\n+++ b/x\n") -> bytes:
    return names + b"".join(hunks)


def only(data: bytes):
    (file,) = parse_patch(data)
    return file


@pytest.mark.parametrize(
    ("header", "paths"),
    [
        (b"--- a/x\n+++ b/x\n", ("x", "x")),
        (b"--- x\n+++ x\n", ("x", "x")),
        (b"--- a/x y\t2026-01-01 10:00\n+++ b/x y\t2026-01-01 10:01\n", ("x y", "x y")),
        (b'--- "a/t\\tab \\303\\274"\n+++ "b/t\\tab \\303\\274"\n', ("t\tab ü", "t\tab ü")),
        (b"--- /dev/null\n+++ b/new\n", (None, "new")),
        (b"--- a/old\n+++ /dev/null\n", ("old", None)),
        (b"diff --git a/x b/y b/x b/y\n--- a/x b/y\n+++ b/x b/y\n", ("x b/y", "x b/y")),
        (b"diff --git a/x b/z\nrename from x\nrename to z\n--- a/x\n+++ b/z\n", ("x", "z")),
        (b"From: someone\nSubject: [PATCH] x\n\n---\n x | 2 +-\n\n--- a/x\r\n+++ b/x\r\n", ("x", "x")),
        (b"Index: x\n=====\n--- x\n+++ x\n", ("x", "x")),
        # diff.mnemonicPrefix and diff.noprefix (git-config).
        (b"diff --git i/x w/x\n--- i/x\n+++ w/x\n", ("x", "x")),
        (b"diff --git w/x c/x\n--- w/x\n+++ c/x\n", ("x", "x")),
        (b"diff --git i/x w/x\nnew file mode 100644\n--- /dev/null\n+++ w/x\n", (None, "x")),
        (b"diff --git i/x w/x\ndeleted file mode 100644\n--- i/x\n+++ /dev/null\n", ("x", None)),
        (b"diff --git b/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n", (None, "b/x")),
        (b"diff --git w/x w/x\n--- w/x\n+++ w/x\n", ("w/x", "w/x")),
    ],
    ids=[
        *("git", "no prefix", "dates", "quoted", "new", "deleted", "b/ in the path", "rename", "mail", "svn"),
        *("mnemonic", "turned", "mnemonic new", "mnemonic deleted", "new without prefix", "w/ in the path"),
    ],
)
def test_names_are_read_as_git_reads_them(header, paths):
    file = only(header + b"@@ -1 +1 @@\n-a\n+b\n")
    assert (file.old_path, file.new_path) == paths


def test_what_follows_the_last_hunk_is_no_part_of_it():
    file = only(patch_of(b"@@ -1 +1 @@\n-a\n+b\n", b"\n\n-- \n2.39.5\n"))
    assert apply_patch(b"a\n", file) == b"b\n"


def test_a_marker_in_another_language_is_a_marker():
    file = only(
        patch_of(b"@@ -1 +1 @@\n-a\n\\ Kein Zeilenumbruch am Dateiende.\n+b\n\\ Kein Zeilenumbruch.\n")
    )
    assert apply_patch(b"a", file) == b"b"


def test_an_empty_context_line_may_have_lost_its_blank():
    file = only(patch_of(b"@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n"))
    assert apply_patch(b"a\n\nb\n", file) == b"a\n\nc\n"


def test_lines_of_a_hunk_that_look_like_headers_are_lines():
    old, new = b"-- a\n-- b\nkeep\n", b"keep\n++ a\n++ b\n"
    patch = unified_diff(old, new, old_path="x", new_path="x")
    assert b"\n--- a\n" in patch
    assert apply_patch(old, only(patch)) == new


def test_a_patch_of_many_files_keeps_their_order():
    steps = history()
    data = b"".join(
        unified_diff(steps[at], steps[at + 1], old_path=f"{at}.md", new_path=f"{at}.md") for at in range(4)
    )
    files = parse_patch(data)
    assert [file.path for file in files] == ["0.md", "1.md", "2.md", "3.md"]
    assert [apply_patch(steps[at], file) for at, file in enumerate(files)] == steps[1:5]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no file"),
        (b"hello\n", "no file"),
        (patch_of(b"@@ -1 +1 @@\n-a\n+b"), "middle of a line"),
        (b"--- a/x\n+++ b/x\n", "says nothing of it"),
        (patch_of(b"@@ -1 +1 @@\n-a\n+b\n") + b"--- a/y\n+++ b/y\n", "says nothing of it"),
        (b"@@ -1 +1 @@\n-a\n+b\n", "Line 1 .* neither after"),
        # Half of a patch whose first hunk was damaged on its way is not the patch.
        (b"--- a/x\n+++ b/x\n@ -1 +1 @@\n-a\n+b\n@@ -9 +9 @@\n-a\n+b\n", "Line 6 .* neither after"),
        (b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n\n@@ -9 +9 @@\n-a\n+b\n", "Line 7 .* neither after"),
        (patch_of(b"@@ -1,2 +1 @@\n-a\n+b\n"), "Line 3 .* numbers of lines"),
        (patch_of(b"@@ -1 +1 @@\n-a\n-b\n"), "numbers of lines"),
        (patch_of(b"@@ -1 +1 @@\n-a\n*b\n"), "Line 5 .* must begin with"),
        (patch_of(b"@@ -1,0 +1,0 @@\n"), "no lines"),
        (patch_of(b"@@ -" + b"1" * 5000 + b" +1 @@\n-a\n+b\n"), "not of the form"),
        (patch_of(b"@@ -\xd9\xa1 +1 @@\n-a\n+b\n"), "not of the form"),
        (b"diff --git a/x b/x\nBinary files a/x and b/x differ\n", "binary"),
        (b"diff --git a/x b/x\nGIT binary patch\nliteral 1\nIcmZPo\n", "binary"),
        (b"diff --git a/x b/y\ncopy from x\ncopy to y\n", "copies"),
        (b"diff --git a/x b/y\nrename from x\n", "only one of its two names"),
        (b"diff --git a/x b/y\n", "no names"),
        (b"--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n-a\n+b\n", "missing on both sides"),
        (b"--- a/\xff\n+++ b/\xff\n@@ -1 +1 @@\n-a\n+b\n", "not UTF-8"),
        (b'--- "a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n', "does not end"),
        (b"--- a/\n+++ b/\n@@ -1 +1 @@\n-a\n+b\n", "empty"),
        (b"--- a/" + b"x" * 20_000 + b"\n+++ b/x\n", "too long"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(data, says):
    with pytest.raises(PatchUnreadableError, match=says):
        parse_patch(data)


def test_too_many_bytes_or_files_are_refused():
    data = patch_of(b"@@ -1 +1 @@\n-a\n+b\n")
    with pytest.raises(PatchUnreadableError, match="larger than 10 bytes"):
        parse_patch(data, max_bytes=10)
    with pytest.raises(PatchUnreadableError, match="more than 2 files"):
        parse_patch(data * 3, max_files=2)


@pytest.mark.parametrize(
    ("hunks", "hunk", "says"),
    [
        ([b"@@ -3 +3 @@\n-line 4\n+x\n"], 1, r"line 3 is 'line 3\\n', the patch expects 'line 4\\n'"),
        ([b"@@ -3 +3 @@\n-line 3\n+x\n", b"@@ -9 +9 @@\n-line 8\n+x\n"], 2, "line 9 is"),
        ([b"@@ -20,2 +20,2 @@\n line 20\n-line 21\n+x\n"], 1, "line 21 is beyond the end"),
        ([b"@@ -40 +40 @@\n-x\n+y\n"], 1, "begins at line 40"),
        ([b"@@ -9 +9 @@\n-line 9\n+x\n", b"@@ -3 +3 @@\n-line 3\n+x\n"], 2, "begins at line 3"),
        ([b"@@ -3 +7 @@\n-line 3\n+x\n"], 1, "new lines begin at 3, not at 7"),
        ([b"@@ -20 +20 @@\n-line 20\n\\ No newline at end of file\n+x\n"], 1, "line 20 is"),
        ([b"@@ -3 +3 @@\n-line 3\n+x\n\\ No newline at end of file\n"], None, "line 3 of the result"),
    ],
)
def test_a_patch_that_does_not_fit_says_which_hunk_and_why(hunks, hunk, says):
    with pytest.raises(PatchRejectedError, match=says) as caught:
        apply_patch(BASE, only(patch_of(*hunks)))
    assert (caught.value.hunk, caught.value.path) == (hunk, "x")


def test_a_patch_names_its_base_and_its_result():
    patch = unified_diff(b"a\nb\n", b"a\nc\n", old_path="x", new_path="x", context=0)
    with pytest.raises(PatchRejectedError, match="the base is not the one"):
        apply_patch(b"other\nb\n", only(patch))
    with pytest.raises(PatchRejectedError, match="the result is not the one"):
        apply_patch(b"a\nb\n", only(patch.replace(b"+c", b"+d")))


def test_an_added_file_must_not_exist_and_a_deleted_one_must_be_emptied():
    with pytest.raises(PatchRejectedError, match="exists already"):
        apply_patch(b"here\n", only(b"--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+new\n"))
    with pytest.raises(PatchRejectedError, match="does not remove all"):
        apply_patch(b"a\nb\n", only(b"--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"))


@given(pairs(), st.data())
def test_a_damaged_patch_is_refused_or_gives_exactly_the_new_bytes(pair, data):
    old, new = pair
    patch = bytearray(unified_diff(old, new, old_path="x", new_path="x", text=True))
    if not patch:
        return
    at = data.draw(st.integers(patch.index(b"index "), len(patch) - 1))
    patch[at] = data.draw(st.integers(0, 255))
    try:
        (file,) = parse_patch(bytes(patch))
        result = apply_patch(old, file)
    except (PatchUnreadableError, PatchRejectedError, ValueError):
        return
    # Damage to the index line itself can switch off what it checks.
    assert result == new or at < patch.index(
        b"\n", patch.index(b"\nindex ") + 1 if b"\nindex " in patch else 0
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    with suppress(PatchUnreadableError):
        assert parse_patch(data)
