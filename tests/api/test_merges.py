"""Meeting someone else's edit: what merges, what conflicts, and that nothing is lost in a crowd."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Project, code_of, tag

if TYPE_CHECKING:
    import httpx

BASE = "".join(f"line {number}\n" for number in range(40))


def merging(project: Project, path: str, text: str | bytes, base: str, **how: Any) -> httpx.Response:
    person = how.pop("by", project.people.editor)
    headers = {"If-Match": f'"{base}"'} | {name.replace("_", "-"): value for name, value in how.items()}
    return person.put(f"{project.file(path)}?merge=auto", content=text, headers=headers)


@pytest.fixture
def heads(project: Project) -> list[dict[str, Any]]:
    """A document's first version, and the second with another line 3."""
    first = project.written("a.md", BASE)
    return [first, project.written("a.md", BASE.replace("line 3\n", "line three\n"), base=first["hash"])]


def test_edits_in_different_places_become_one_version_that_names_both(
    project: Project, heads: list[dict[str, Any]]
) -> None:
    first, second = heads
    answer = merging(project, "a.md", BASE.replace("line 20\n", "line twenty\n"), first["hash"])
    assert answer.status_code == 200
    version = answer.json()["version"]
    assert (version["parent"], version["merged_from"]) == (second["hash"], first["hash"])
    assert (version["number"], version["action"]) == (3, "edit")
    merged = BASE.replace("line 3\n", "line three\n").replace("line 20\n", "line twenty\n")
    assert project.people.reader.get(project.file("a.md")).text == merged


def test_without_asking_a_stale_write_is_refused(project: Project, heads: list[dict[str, Any]]) -> None:
    refused = project.put("a.md", BASE + "more\n", base=heads[0]["hash"])
    assert (refused.status_code, code_of(refused)) == (412, "stale_base")


def test_a_write_on_the_head_is_no_merge(project: Project, heads: list[dict[str, Any]]) -> None:
    version = merging(project, "a.md", BASE + "more\n", heads[1]["hash"]).json()["version"]
    assert (version["merged_from"], version["number"]) == (None, 3)


def test_the_same_edit_twice_writes_nothing_new(project: Project, heads: list[dict[str, Any]]) -> None:
    answer = merging(
        project, "a.md", BASE.replace("line 3\n", "line three\n"), heads[0]["hash"], by=project.people.owner
    )
    assert (answer.status_code, answer.json()["change"]) == (200, None)
    assert tag(answer) == heads[1]["hash"]


def test_a_conflict_is_told_in_full_and_nothing_is_stored(
    project: Project, heads: list[dict[str, Any]]
) -> None:
    first, second = heads
    answer = merging(project, "a.md", BASE.replace("line 3\n", "line THREE\n"), first["hash"])
    assert (answer.status_code, code_of(answer)) == (409, "merge_conflict")
    (merge,) = answer.json()["merges"]
    assert (merge["clean"], merge["base"]["hash"], merge["head"]["hash"]) == (
        False,
        first["hash"],
        second["hash"],
    )
    (conflict,) = merge["conflicts"]
    assert {side: conflict[side]["text"] for side in ("base", "theirs", "yours")} == {
        "base": "line 3\n",
        "theirs": "line three\n",
        "yours": "line THREE\n",
    }
    lines = merge["text"].splitlines()
    assert lines[conflict["line"] - 1 : conflict["line"] + 4] == [
        "<<<<<<< yours",
        "line THREE",
        "=======",
        "line three",
        ">>>>>>> version 2",
    ]
    assert [each["number"] for each in project.history(first["document"])] == [2, 1]
    decided = project.put("a.md", BASE.replace("line 3\n", "line 3!\n"), base=merge["head"]["hash"])
    assert decided.json()["version"]["number"] == 3


def test_one_conflict_stops_the_whole_change(project: Project, heads: list[dict[str, Any]]) -> None:
    items = [
        {"path": "a.md", "base": heads[0]["hash"], "text": BASE.replace("line 3\n", "mine\n")},
        {"path": "b.md", "text": "new\n"},
    ]
    refused = project.people.editor.post(f"{project.url}/changes?merge=auto", json={"items": items})
    assert (refused.status_code, code_of(refused)) == (409, "merge_conflict")
    assert project.people.reader.get(project.file("b.md")).status_code == 404
    items[0]["text"] = BASE.replace("line 30\n", "mine\n")
    done = project.people.editor.post(f"{project.url}/changes?merge=auto", json={"items": items})
    assert [each["merged_from"] for each in done.json()["change"]["versions"]] == [heads[0]["hash"], None]


def test_all_conflicts_of_a_change_are_told_at_once(project: Project) -> None:
    items = []
    for name in ("a.md", "b.md"):
        first = project.written(name, "one\n")
        project.written(name, "theirs\n", base=first["hash"])
        items.append({"path": name, "base": first["hash"], "text": "yours\n"})
    refused = project.people.editor.post(f"{project.url}/changes?merge=auto", json={"items": items})
    assert [each["head"]["path"] for each in refused.json()["merges"]] == ["a.md", "b.md"]


def test_binary_contents_do_not_merge(project: Project) -> None:
    first = project.written("a.bin", b"\0one\n")
    project.written("a.bin", b"\0two\n", base=first["hash"])
    answer = merging(project, "a.bin", b"\0three\n", first["hash"])
    assert (answer.status_code, code_of(answer)) == (409, "merge_impossible")


def test_what_was_deleted_meanwhile_does_not_come_back_by_merging(
    project: Project, heads: list[dict[str, Any]]
) -> None:
    gone = project.people.editor.delete(project.file("a.md"), headers={"If-Match": f'"{heads[1]["hash"]}"'})
    refused = merging(project, "a.md", BASE + "more\n", heads[0]["hash"])
    assert (refused.status_code, code_of(refused)) == (412, "stale_base")
    assert refused.json()["head"] == tag(gone)
    preview = project.people.reader.post(
        f"/v1/documents/{heads[0]['document']}/merge",
        content=BASE,
        headers={"If-Match": f'"{heads[0]["hash"]}"'},
    )
    assert (preview.status_code, code_of(preview)) == (404, "document_deleted")


def test_an_edit_follows_a_document_that_was_moved(project: Project, heads: list[dict[str, Any]]) -> None:
    document = heads[0]["document"]
    project.people.editor.patch(
        f"/v1/documents/{document}", json={"path": "b.md"}, headers={"If-Match": f'"{heads[1]["hash"]}"'}
    ).raise_for_status()
    item = {"document": document, "base": heads[0]["hash"], "text": BASE + "more\n"}
    done = project.people.editor.post(f"{project.url}/changes?merge=auto", json={"items": [item]})
    (version,) = done.json()["change"]["versions"]
    assert (version["path"], version["merged_from"]) == ("b.md", heads[0]["hash"])


def test_line_endings_and_a_missing_newline_survive(project: Project) -> None:
    text = b"one\r\ntwo\r\nthree\r\nfour\r\nfive"
    first = project.written("a.md", text)
    project.written("a.md", text.replace(b"one", b"1"), base=first["hash"])
    assert merging(project, "a.md", text.replace(b"five", b"5"), first["hash"]).status_code == 200
    assert project.people.reader.get(project.file("a.md")).content == b"1\r\ntwo\r\nthree\r\nfour\r\n5"


def test_a_base_of_another_document_is_none(project: Project, heads: list[dict[str, Any]]) -> None:
    other = project.written("b.md", "other\n")
    answer = merging(project, "a.md", BASE, other["hash"])
    assert answer.status_code == 404, answer.text


def test_what_names_a_version_is_no_base(project: Project, heads: list[dict[str, Any]]) -> None:
    editor, first = project.people.editor, heads[0]
    editor.post(f"{project.url}/tags", json={"name": "named", "at": first["hash"]}).raise_for_status()
    url = f"/v1/documents/{first['document']}"
    patch = {"Content-Type": "text/x-diff"}
    diff = editor.get(f"{url}/diff", params={"from": 1, "to": 2}).text
    for name in ("named", "v1", "1", "latest", first["change"]["hash"]):
        match = {"If-Match": f'"{name}"'}
        for refused in (
            merging(project, "a.md", BASE + "more\n", name),
            editor.post(f"{url}/merge", content=BASE, headers=match),
            editor.patch(url, content=diff, headers=match | patch),
            editor.post(f"{url}/restore", json={"version": 1, "lines": "3"}, headers=match),
        ):
            assert refused.status_code in {404, 412, 422}, (name, refused.text)
    assert len(project.history(first["document"])) == 2


@pytest.mark.parametrize("role", ["reviewer", "reader"])
def test_who_may_not_write_may_not_merge(project: Project, heads: list[dict[str, Any]], role: str) -> None:
    refused = merging(project, "a.md", BASE, heads[0]["hash"], by=project.people.members()[role])
    assert (refused.status_code, code_of(refused)) == (403, "role_too_low")


def test_a_merge_that_is_asked_for_again_is_written_once(
    project: Project, heads: list[dict[str, Any]]
) -> None:
    text = BASE.replace("line 20\n", "line twenty\n")
    key = {"Idempotency_Key": "the-same"}
    first = merging(project, "a.md", text, heads[0]["hash"], **key)
    again = merging(project, "a.md", text, heads[0]["hash"], **key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert tag(first) == tag(again)
    assert len(project.history(heads[0]["document"])) == 3
    other = merging(project, "a.md", BASE.replace("line 21\n", "21\n"), heads[0]["hash"], **key)
    assert (other.status_code, code_of(other)) == (409, "idempotency_key_reused")


def test_a_preview_says_the_same_and_writes_nothing(project: Project, heads: list[dict[str, Any]]) -> None:
    first, second = heads
    url = f"/v1/documents/{first['document']}/merge"
    match = {"If-Match": f'"{first["hash"]}"'}
    clean = project.people.reader.post(url, content=BASE + "more\n", headers=match).json()
    assert (clean["clean"], clean["conflicts"], clean["head"]["hash"]) == (True, [], second["hash"])
    assert clean["text"] == BASE.replace("line 3\n", "line three\n") + "more\n"
    mine = BASE.replace("line 3\n", "mine\n")
    marked = project.people.reader.post(f"{url}?style=diff3", content=mine, headers=match).json()
    assert (marked["clean"], len(marked["conflicts"])) == (False, 1)
    assert "||||||| version 1\nline 3\n=======\n" in marked["text"]
    assert len(project.history(first["document"])) == 2
    assert project.people.reader.post(url, content=mine).status_code == 428
    assert project.people.outsider.post(url, content=mine, headers=match).status_code == 404


def test_many_editors_of_different_lines_all_get_their_edit_in(project: Project) -> None:
    lines = [f"line {number}\n\n\n" for number in range(12)]
    first = project.written("crowd.md", "".join(lines))

    def edit(number: int) -> httpx.Response:
        mine = [f"edited {number}\n\n\n" if at == number else line for at, line in enumerate(lines)]
        return merging(project, "crowd.md", "".join(mine), first["hash"])

    with ThreadPoolExecutor(12) as crowd:
        answers = list(crowd.map(edit, range(12)))
    assert [each.status_code for each in answers] == [200] * 12
    everything = "".join(line.replace("line", "edited") for line in lines)
    assert project.people.reader.get(project.file("crowd.md")).text == everything
    assert len(project.history(first["document"])) == 13
