"""Moves that are found among deletes and adds, so that a re-arranged folder keeps its history."""

from __future__ import annotations

from typing import Any

from app.flows.find_moves import MAX_LINES
from tests.api.trees import tree_at
from tests.api.world import Project, code_of

TEXT = "".join(f"this is line {number} of a document\n" for number in range(20))


def rearranged(project: Project, *items: dict[str, Any], **headers: str) -> Any:
    body = {"message": "re-arranged", "items": list(items)}
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return project.people.editor.post(f"{project.url}/changes?detect=moves", json=body, headers=fields)


def gone(version: dict[str, Any]) -> dict[str, Any]:
    return {"path": version["path"], "base": version["hash"], "delete": True}


def test_the_same_bytes_elsewhere_are_a_move(project: Project) -> None:
    first = project.written("old/a.md", TEXT)
    answer = rearranged(project, gone(first), {"path": "new/a.md", "text": TEXT})
    assert answer.status_code == 201
    (version,) = answer.json()["change"]["versions"]
    assert (version["document"], version["action"], version["number"]) == (first["document"], "move", 2)
    assert answer.json()["moves"] == [
        {"from": "old/a.md", "to": "new/a.md", "document": first["document"], "similarity": 1.0}
    ]
    assert tree_at(project) == {"new/a.md": TEXT.encode()}
    assert [each["path"] for each in project.history(first["document"])] == ["new/a.md", "old/a.md"]


def test_half_the_same_text_is_a_move_with_an_edit(project: Project) -> None:
    first = project.written("a.md", TEXT)
    edited = TEXT.replace("line 3 of a document", "the third line")
    answer = rearranged(project, gone(first), {"path": "b.md", "text": edited})
    (version,) = answer.json()["change"]["versions"]
    assert (version["document"], version["action"]) == (first["document"], "move")
    assert 0.9 < answer.json()["moves"][0]["similarity"] < 1
    assert tree_at(project) == {"b.md": edited.encode()}


def test_what_has_little_in_common_is_no_move(project: Project) -> None:
    first = project.written("a.md", TEXT)
    other = "".join(f"nothing of it, number {number}, is the same here\n" for number in range(18))
    answer = rearranged(project, gone(first), {"path": "b.md", "text": other})
    assert "moves" not in answer.json()
    assert sorted(each["action"] for each in answer.json()["change"]["versions"]) == ["add", "delete"]


def test_as_many_lines_are_compared_as_the_bound_says_whoever_is_slow(project: Project) -> None:
    half = MAX_LINES // 2
    firsts = [project.written(f"{name}.md", f"{name}\n" + "x\n" * (half - 1)) for name in "ab"]
    small = project.written("small.md", TEXT)
    most = {"path": "new/a.md", "text": "other\n" + "x\n" * (half - 1)}
    one_more = {"path": "new/b.md", "text": "other\n" + "x\n" * half}
    edited = TEXT.replace("line 3 of a document", "the third line")
    beyond = rearranged(project, gone(firsts[1]), gone(small), one_more, {"path": "new.md", "text": edited})
    # What is too long is passed over, and what comes after it is not.
    assert [(each["from"], each["to"]) for each in beyond.json()["moves"]] == [("small.md", "new.md")]
    within = rearranged(project, gone(firsts[0]), most)
    assert [(each["from"], each["to"]) for each in within.json()["moves"]] == [("a.md", "new/a.md")]


def test_without_asking_nothing_is_guessed(project: Project) -> None:
    first = project.written("a.md", TEXT)
    answer = project.change(gone(first), {"path": "b.md", "text": TEXT})
    assert sorted(each["action"] for each in answer.json()["change"]["versions"]) == ["add", "delete"]


def test_of_equal_contents_those_that_keep_their_names_belong_together(project: Project) -> None:
    firsts = [project.written(f"old/{name}.md", TEXT) for name in "abc"]
    items = [gone(each) for each in firsts]
    items += [{"path": f"new/{name}.md", "text": TEXT} for name in "cab"]
    answer = rearranged(project, *items)
    moved = {each["from"]: each["to"] for each in answer.json()["moves"]}
    assert moved == {f"old/{name}.md": f"new/{name}.md" for name in "abc"}


def test_the_most_alike_belong_together(project: Project) -> None:
    one, two = TEXT, TEXT.replace("document", "paper").replace("this", "that")
    first, second = project.written("1.md", one), project.written("2.md", two)
    answer = rearranged(
        project,
        gone(first),
        gone(second),
        {"path": "x.md", "text": two + "more\n"},
        {"path": "y.md", "text": one + "more\n"},
    )
    assert {each["from"]: each["to"] for each in answer.json()["moves"]} == {"1.md": "y.md", "2.md": "x.md"}


def test_binary_files_move_by_their_bytes_only(project: Project) -> None:
    same, other = project.written("a.bin", b"\0same" * 99), project.written("b.bin", b"\0other" * 99)
    files = [("f", ("x.bin", b"\0same" * 99)), ("f", ("y.bin", b"\0otter" * 99))]
    change = f'{{"items":[{{"path":"a.bin","base":"{same["hash"]}","delete":true}},{{"path":"b.bin","base":"{other["hash"]}","delete":true}}]}}'
    answer = project.people.editor.post(
        f"{project.url}/changes?detect=moves", files=[("change", (None, change)), *files]
    )
    assert [(each["from"], each["to"]) for each in answer.json()["moves"]] == [("a.bin", "x.bin")]


def test_empty_files_are_never_taken_for_one_another(project: Project) -> None:
    first = project.written("a.md", "")
    answer = rearranged(project, gone(first), {"path": "b.md", "text": ""})
    assert "moves" not in answer.json()


def test_a_stale_delete_is_still_refused(project: Project) -> None:
    first = project.written("a.md", TEXT)
    project.written("a.md", TEXT + "meanwhile\n", base=first["hash"])
    refused = rearranged(project, gone(first), {"path": "b.md", "text": TEXT})
    assert (refused.status_code, code_of(refused)) == (412, "stale_base")
    assert list(tree_at(project)) == ["a.md"]


def test_a_repeat_is_the_same_change(project: Project) -> None:
    first = project.written("a.md", TEXT)
    items = gone(first), {"path": "b.md", "text": TEXT + "more\n"}
    one, two = (rearranged(project, *items, Idempotency_Key="again") for _ in range(2))
    assert (one.status_code, two.status_code) == (201, 201)
    assert one.json() == two.json()


def test_only_editors_and_members_are_told_anything(project: Project) -> None:
    first = project.written("a.md", TEXT)
    body = {"items": [gone(first), {"path": "b.md", "text": TEXT}]}
    url = f"{project.url}/changes?detect=moves"
    assert project.people.reader.post(url, json=body).status_code == 403
    assert project.people.outsider.post(url, json=body).status_code == 404


def test_what_was_erased_can_be_deleted_and_is_no_move_by_its_text(project: Project) -> None:
    first = project.written("a.md", TEXT)
    asked = {"sha256": first["sha256"], "reason": "Asked for.", "confirm": first["sha256"]}
    assert project.people.owner.post(f"{project.url}/erasures", json=asked).status_code == 201
    edited = TEXT.replace("line 3 of a document", "the third line")
    answer = rearranged(project, gone(first), {"path": "b.md", "text": edited})
    assert answer.status_code == 201, answer.text
    assert "moves" not in answer.json()
    assert tree_at(project) == {"b.md": edited.encode()}
