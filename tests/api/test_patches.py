"""Patches in: applied strictly or not at all, and never able to do more than their author."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.api.trees import DIFF, diff, tree_at
from tests.api.world import Api, Person, Project, code_of, make_project, tag

PATCH = {"Content-Type": "text/x-diff"}
BASE = "".join(f"line {number}\n" for number in range(12))
EDITED = BASE.replace("line 5\n", "line five\n")
HUNK = """\
@@ -4,5 +4,5 @@
 line 3
 line 4
-line 5
+line five
 line 6
 line 7
"""
PLAIN = f"--- a/a.md\n+++ b/a.md\n{HUNK}"


def patched(project: Project, document: str, patch: str | bytes, base: str, **query: str) -> Any:
    headers = PATCH | {"If-Match": f'"{base}"'}
    return project.people.editor.patch(
        f"/v1/documents/{document}", content=patch, headers=headers, params=query
    )


def sent(project: Project, patch: str | bytes, **query: str) -> Any:
    return project.people.editor.post(f"{project.url}/changes", content=patch, headers=PATCH, params=query)


@pytest.fixture
def first(project: Project) -> dict[str, Any]:
    return project.written("a.md", BASE, Content_Type="text/markdown")


def test_a_patch_makes_the_next_version(project: Project, first: dict[str, Any]) -> None:
    answer = patched(project, first["document"], PLAIN, first["hash"], message="five")
    assert answer.status_code == 200
    version = answer.json()["version"]
    assert (version["number"], version["parent"], version["media_type"]) == (
        2,
        first["hash"],
        "text/markdown",
    )
    assert version["change"]["message"] == "five"
    assert project.people.reader.get(project.file("a.md")).text == EDITED


def test_what_we_give_out_we_take_in(project: Project, people: Any) -> None:
    """The patch of a project's whole history makes the same tree in another project."""
    texts = {
        "a b.md": b"one\n",
        "crlf.md": b"a\r\nb\r\n",
        "end.md": b"no newline",
        "empty": b"",
        "東京/x.md": b"\xff\n",
    }
    for path, text in texts.items():
        project.written(path, text)
    other = make_project(people)
    assert sent(other, diff(project, from_=0).content).status_code == 201
    assert tree_at(other) == texts


def test_a_patch_of_many_files_is_one_change(project: Project) -> None:
    for name in ("edited.md", "moved.md", "gone.md"):
        project.written(name, BASE)
    copy = make_project(project.people)
    for name in ("edited.md", "moved.md", "gone.md"):
        copy.written(name, BASE)
    heads = {each["path"]: each for each in project.people.reader.get(f"{project.url}/tree").json()["items"]}
    project.change(
        {"path": "edited.md", "base": heads["edited.md"]["version"], "text": EDITED},
        {"from": "moved.md", "base": heads["moved.md"]["version"], "path": "to/moved.md", "text": EDITED},
        {"path": "gone.md", "base": heads["gone.md"]["version"], "delete": True},
        {"path": "new.md", "text": "new\n"},
    )
    answer = sent(copy, project.people.reader.get(f"{project.url}/changes/4/diff", headers=DIFF).content)
    assert answer.status_code == 201, answer.text
    change = answer.json()["change"]
    assert change["sequence"] == 4
    assert {each["path"]: each["action"] for each in change["versions"]} == {
        "edited.md": "edit",
        "to/moved.md": "move",
        "gone.md": "delete",
        "new.md": "add",
    }
    assert {each["path"]: each["media_type"] for each in change["versions"]}["new.md"] == "text/markdown"
    assert tree_at(copy) == tree_at(project)


def test_a_hunk_that_does_not_fit_is_named_and_nothing_changes(
    project: Project, first: dict[str, Any]
) -> None:
    second = "@@ -9,3 +9,3 @@\n line 8\n-line nine\n+9\n line 10\n"
    refused = patched(project, first["document"], PLAIN + second, first["hash"])
    assert (refused.status_code, code_of(refused)) == (409, "patch_rejected")
    assert (refused.json()["path"], refused.json()["hunk"]) == ("a.md", 2)
    assert "line 10 is 'line 9\\n', the patch expects 'line nine\\n'" in refused.json()["detail"]
    assert len(project.history(first["document"])) == 1


def test_one_file_that_does_not_fit_stops_the_whole_patch(project: Project, first: dict[str, Any]) -> None:
    new = "--- /dev/null\n+++ b/new.md\n@@ -0,0 +1 @@\n+new\n"
    refused = sent(project, new + PLAIN.replace("-line 5", "-line six"))
    assert (refused.status_code, code_of(refused), refused.json()["path"]) == (409, "patch_rejected", "a.md")
    assert list(tree_at(project)) == ["a.md"]


def test_there_is_no_fuzz(project: Project, first: dict[str, Any]) -> None:
    moved_down = PLAIN.replace("-4,5 +4,5", "-5,5 +5,5")
    assert patched(project, first["document"], moved_down, first["hash"]).status_code == 409
    other_context = PLAIN.replace(" line 7\n", " line seven\n")
    assert patched(project, first["document"], other_context, first["hash"]).status_code == 409


def test_a_patch_for_another_base_or_result_is_refused(project: Project, first: dict[str, Any]) -> None:
    project.written("a.md", EDITED, base=first["hash"])
    honest = diff(project, from_=1).content
    index = next(line for line in honest.splitlines() if line.startswith(b"index "))
    old, new = index.split()[1].split(b"..")
    for wrong, which in ((old, "base"), (new, "result")):
        refused = patched(project, first["document"], honest.replace(wrong, b"1" * 40), first["hash"])
        assert (refused.status_code, code_of(refused)) == (409, "patch_rejected")
        assert f"the {which} is not the one that the patch names" in refused.json()["detail"]


def test_a_stale_base_is_refused_and_merges_when_asked(project: Project, first: dict[str, Any]) -> None:
    head = project.written("a.md", BASE.replace("line 11\n", "line eleven\n"), base=first["hash"])
    refused = patched(project, first["document"], PLAIN, first["hash"])
    assert (refused.status_code, code_of(refused), refused.json()["head"]) == (
        412,
        "stale_base",
        head["hash"],
    )
    merged = patched(project, first["document"], PLAIN, first["hash"], merge="auto")
    assert merged.json()["version"]["merged_from"] == first["hash"]
    assert project.people.reader.get(project.file("a.md")).text == EDITED.replace(
        "line 11\n", "line eleven\n"
    )


def test_a_stale_patch_of_the_tree_merges_when_asked(project: Project, first: dict[str, Any]) -> None:
    project.written("a.md", BASE.replace("line 11\n", "line eleven\n"), base=first["hash"])
    assert sent(project, PLAIN, base="1").status_code == 412
    done = sent(project, PLAIN, base="1", merge="auto", message="merged")
    assert done.status_code == 201
    assert done.json()["change"]["versions"][0]["merged_from"] == first["hash"]
    conflicting = sent(project, PLAIN.replace("line five", "line V"), base="1", merge="auto")
    assert (conflicting.status_code, code_of(conflicting)) == (409, "merge_conflict")


def test_a_patch_needs_its_base(project: Project, first: dict[str, Any]) -> None:
    answer = project.people.editor.patch(f"/v1/documents/{first['document']}", content=PLAIN, headers=PATCH)
    assert (answer.status_code, code_of(answer)) == (428, "base_required")


def test_a_patch_of_what_is_not_there_is_404(project: Project) -> None:
    refused = sent(project, PLAIN)
    assert (refused.status_code, code_of(refused)) == (404, "document_not_found")


def test_adding_what_is_there_already_is_refused(project: Project, first: dict[str, Any]) -> None:
    refused = sent(project, "--- /dev/null\n+++ b/a.md\n@@ -0,0 +1 @@\n+new\n")
    assert (refused.status_code, code_of(refused)) == (412, "already_exists")


def test_two_files_are_no_patch_of_a_document(project: Project, first: dict[str, Any]) -> None:
    refused = patched(project, first["document"], PLAIN + PLAIN.replace("a.md", "b.md"), first["hash"])
    assert (refused.status_code, code_of(refused)) == (409, "patch_rejected")


def test_names_of_local_files_do_not_move_a_document(project: Project, first: dict[str, Any]) -> None:
    patch = f"--- /home/ann/old.txt\t2026-01-01\n+++ /home/ann/new.txt\t2026-01-02\n{HUNK}"
    version = patched(project, first["document"], patch, first["hash"]).json()["version"]
    assert (version["path"], version["action"]) == ("a.md", "edit")


def test_a_rename_is_one_in_whatever_form_its_name_is_written(project: Project) -> None:
    project.written("caf\u00e9.md", BASE)
    names = "rename from cafe\u0301.md\nrename to cafe\u0301s.md\n"
    answer = sent(project, f"diff --git a/cafe\u0301.md b/cafe\u0301s.md\nsimilarity index 100%\n{names}")
    assert answer.status_code == 201, answer.text
    (version,) = answer.json()["change"]["versions"]
    assert (version["path"], version["action"]) == ("caf\u00e9s.md", "move")


@pytest.mark.parametrize("role", ["reviewer", "reader", "outsider"])
def test_only_editors_send_patches(project: Project, first: dict[str, Any], role: str) -> None:
    person: Person = getattr(project.people, role)
    status = 404 if role == "outsider" else 403
    assert person.post(f"{project.url}/changes", content=PLAIN, headers=PATCH).status_code == status
    headers = PATCH | {"If-Match": f'"{first["hash"]}"'}
    answer = person.patch(f"/v1/documents/{first['document']}", content=PLAIN, headers=headers)
    assert answer.status_code == status


# Hostile patches ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "a//b", "./x", "a/\\000b", "a/\\012b", "x/", "\\377"]
)
def test_paths_that_lead_elsewhere_are_refused(project: Project, path: str) -> None:
    patch = f'--- /dev/null\n+++ "b/{path}"\n@@ -0,0 +1 @@\n+new\n'
    refused = sent(project, patch)
    assert refused.status_code == 422, refused.text
    assert code_of(refused) in {"bad_path", "patch_unreadable"}
    assert tree_at(project) == {}


@pytest.mark.parametrize(
    "patch",
    [
        b"",
        b"\n",
        b"no patch at all\n",
        b"\0" * 1000 + b"\n",
        b"--- a/a.md\n+++ b/a.md\n@@ -1 +1 @@\n",
        b"--- a/a.md\n+++ b/a.md\n@@ -" + b"9" * 5000 + b" +1 @@\n-x\n+y\n",
        b"--- a/a.md\n+++ b/a.md\n@@ -1,999999999 +1 @@\n-x\n+y\n",
        b"--- a/a.md\n+++ b/a.md\n@@ -1 +1 @@\n-line 0\n+x",
        b"diff --git a/a.md b/a.md\ncopy from a.md\ncopy to b.md\n",
        b"diff --git a/a b/a\nGIT binary patch\nliteral 3\nKcmZQzU|?VX0096l\n",
        b"@@ -1 +1 @@\n-x\n+y\n",
        b"diff --git a/x b/x\nrename from x\n",
    ],
)
def test_what_is_no_patch_is_told_so(project: Project, patch: bytes) -> None:
    project.written("a.md", BASE)
    refused = sent(project, patch)
    assert 400 <= refused.status_code < 500, refused.text
    assert code_of(refused) in {"patch_unreadable", "patch_rejected", "bad_change"}, refused.text
    assert tree_at(project) == {"a.md": BASE.encode()}


def test_a_line_that_makes_a_regular_expression_run_for_ever_does_not(project: Project) -> None:
    project.written("a.md", BASE)
    started = time.monotonic()
    for line in (
        b"Binary files " + b"a and b " * 300_000,
        b"diff --git " + b"a b/" * 300_000,
        b"--- " + b" " * 999_999,
    ):
        refused = sent(project, line + b"\n+++ b\n" + PLAIN.encode())
        assert code_of(refused) == "patch_unreadable"
    assert time.monotonic() - started < 15


def test_a_patch_beyond_the_limit_is_refused_unread(project: Project, api: Api) -> None:
    refused = sent(project, b"x" * ((16 << 20) + 1))
    assert (refused.status_code, code_of(refused)) == (413, "too_large")
    chunked = sent(project, iter([b"y" * (1 << 20)] * 17))  # type: ignore[arg-type]
    assert (chunked.status_code, code_of(chunked)) == (413, "too_large")


def test_a_patch_may_not_fan_out_into_more_than_it_is(project: Project) -> None:
    big = "x\n" * (7 << 20)
    names = [f"{number}.txt" for number in range(6)]
    for name in names:
        project.written(name, big)
    patch = "".join(f"--- a/{name}\n+++ b/{name}\n@@ -1,2 +1,2 @@\n-x\n+y\n x\n" for name in names)
    refused = sent(project, patch)
    assert (refused.status_code, code_of(refused)) == (422, "diff_too_large")


def test_a_patch_of_more_files_than_a_change_takes_is_refused(project: Project) -> None:
    patch = "".join(f"--- /dev/null\n+++ b/{number}\n@@ -0,0 +1 @@\n+x\n" for number in range(1001))
    assert sent(project, patch).status_code in {413, 422}
    assert tree_at(project) == {}


def test_one_document_twice_in_a_patch_is_refused(project: Project, first: dict[str, Any]) -> None:
    refused = sent(project, PLAIN + PLAIN)
    assert (refused.status_code, code_of(refused)) == (422, "document_twice")
    assert tag(project.people.reader.get(project.file("a.md"))) == first["hash"]
