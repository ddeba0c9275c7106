"""A section of an old version back, and which version broke it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.world import Project, code_of

TEXT = "".join(f"line {number}\n" for number in range(1, 31))


def section(project: Project, head: dict[str, Any], version: int, lines: str, **more: Any) -> Any:
    return project.people.editor.post(
        f"/v1/documents/{head['document']}/restore",
        json={"version": version, "lines": lines, **more},
        headers={"If-Match": f'"{head["hash"]}"'},
    )


@pytest.fixture
def versions(project: Project) -> list[dict[str, Any]]:
    """Lines 10 to 12 went away in version 2, line 25 was rewritten in version 3."""
    first = project.written("a.md", TEXT)
    without = TEXT.replace("line 10\nline 11\nline 12\n", "")
    second = project.written("a.md", without, base=first["hash"])
    third = project.written("a.md", without.replace("line 25\n", "line XXV\n"), base=second["hash"])
    return [first, second, third]


def test_a_section_comes_back_and_the_rest_stays(project: Project, versions: list[dict[str, Any]]) -> None:
    first, _, third = versions
    answer = section(project, third, 1, "9-13", message="ten to twelve")
    assert answer.status_code == 200, answer.text
    version = answer.json()["version"]
    assert (version["parent"], version["merged_from"], version["restored_from"]) == (
        third["hash"],
        first["hash"],
        None,
    )
    assert (version["action"], version["change"]["message"]) == ("edit", "ten to twelve")
    assert project.people.reader.get(project.file("a.md")).text == TEXT.replace("line 25\n", "line XXV\n")


def test_one_line_of_what_went_away_comes_back(project: Project, versions: list[dict[str, Any]]) -> None:
    assert section(project, versions[2], 1, "11").status_code == 200
    text = project.people.reader.get(project.file("a.md")).text
    assert "line 9\nline 11\nline 13\n" in text


def test_a_section_that_is_there_already_writes_nothing(
    project: Project, versions: list[dict[str, Any]]
) -> None:
    answer = section(project, versions[2], 1, "1-5")
    assert (answer.status_code, answer.json()["change"]) == (200, None)


def test_a_section_whose_edge_was_rewritten_conflicts(project: Project) -> None:
    first = project.written("a.md", TEXT)
    head = project.written("a.md", TEXT.replace("line 10\nline 11\n", "rewritten\n"), base=first["hash"])
    refused = section(project, head, 1, "11-15")
    assert (refused.status_code, code_of(refused)) == (409, "merge_conflict")
    assert "<<<<<<< version 1\n" in refused.json()["merges"][0]["text"]
    assert len(project.history(first["document"])) == 2


def test_a_stale_section_is_refused(project: Project, versions: list[dict[str, Any]]) -> None:
    refused = section(project, versions[1], 1, "9-13")
    assert (refused.status_code, code_of(refused)) == (412, "stale_base")


@pytest.mark.parametrize(
    "lines", ["0", "5-4", "29-31", "31", "x", "1-", "-3", "1-2-3", "9999999999", " 1", "1\n"]
)
def test_lines_that_are_none_are_refused(
    project: Project, versions: list[dict[str, Any]], lines: str
) -> None:
    refused = section(project, versions[2], 1, lines)
    assert refused.status_code in {400, 422}, refused.text


def test_a_section_of_a_binary_is_impossible(project: Project) -> None:
    first = project.written("a.bin", b"\0\n1\n")
    head = project.written("a.bin", b"\0\n2\n", base=first["hash"])
    assert code_of(section(project, head, 1, "2")) == "merge_impossible"


def test_who_may_only_read_restores_no_section(project: Project, versions: list[dict[str, Any]]) -> None:
    url = f"/v1/documents/{versions[0]['document']}/restore"
    match = {"If-Match": f'"{versions[2]["hash"]}"'}
    for person, status in ((project.people.reader, 403), (project.people.outsider, 404)):
        assert person.post(url, json={"version": 1, "lines": "9-13"}, headers=match).status_code == status


# Bisecting ----------------------------------------------------------------------------------------


def history(project: Project, length: int, *, deleted: frozenset[int] = frozenset()) -> str:
    head = project.written("b.md", "1")
    for number in range(2, length + 1):
        if number in deleted:
            project.people.editor.delete(project.file("b.md"), headers={"If-Match": f'"{head["hash"]}"'})
            head = {"hash": project.history(head["document"])[0]["hash"], "document": head["document"]}
        else:
            head = project.written("b.md", str(number), base=head["hash"])
    return f"/v1/documents/{head['document']}/bisect"


def bisected(
    project: Project, url: str, *, good: int, bad: int, broken: int, skip: frozenset[int] = frozenset()
) -> Any:
    """Follow the service's advice to its answer; the answer and how many versions were looked at."""
    verdicts: dict[str, str] = {}
    while True:
        answer = project.people.reader.post(url, json={"good": good, "bad": bad, "verdicts": verdicts})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        if found["next"] is None:
            return found, len(verdicts)
        number = found["next"]["number"]
        assert good < number < bad
        assert str(number) not in verdicts
        verdicts[str(number)] = "skip" if number in skip else "bad" if number >= broken else "good"


def test_the_first_bad_version_is_found_in_few_steps(project: Project) -> None:
    url = history(project, 20)
    for broken in (2, 7, 13, 20):
        found, steps = bisected(project, url, good=1, bad=20, broken=broken)
        assert (found["first_bad"]["number"], found["suspects"], found["left"]) == (broken, [], 0)
        assert steps <= 5


def test_what_cannot_be_told_leaves_suspects(project: Project) -> None:
    url = history(project, 10)
    found, _ = bisected(project, url, good=1, bad=10, broken=5, skip=frozenset({3, 4}))
    assert (found["first_bad"]["number"], found["suspects"]) == (5, [3, 4, 5])
    found, _ = bisected(project, url, good=1, bad=10, broken=7, skip=frozenset({3, 4}))
    assert (found["first_bad"]["number"], found["suspects"]) == (7, [])


def test_deletes_are_passed_over(project: Project) -> None:
    url = history(project, 9, deleted=frozenset({5}))
    found, _ = bisected(project, url, good=1, bad=9, broken=6)
    assert (found["first_bad"]["number"], found["suspects"]) == (6, [])


def test_verdicts_that_contradict_each_other_are_refused(project: Project) -> None:
    url = history(project, 4)
    for body in (
        {"good": 3, "bad": 2},
        {"good": 2, "bad": 2},
        {"good": 1, "bad": 4, "verdicts": {"3": "good", "2": "bad"}},
    ):
        refused = project.people.reader.post(url, json=body)
        assert (refused.status_code, code_of(refused)) == (422, "bad_value")
    beyond = project.people.reader.post(url, json={"good": 4, "bad": 90})
    assert (beyond.status_code, code_of(beyond)) == (404, "version_not_found")
    assert (
        project.people.reader.post(url, json={"good": 1, "bad": 4, "verdicts": {"2": "ugly"}}).status_code
        == 400
    )
    assert project.people.outsider.post(url, json={"good": 1, "bad": 4}).status_code == 404
