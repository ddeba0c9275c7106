"""Points in time: every form of a point, on everything that takes one, and the way back to it."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.trees import tree_at
from tests.api.world import Project, code_of, tag


@pytest.fixture
def story(project: Project) -> dict[str, Any]:
    """Three versions of a.md, b.md beside it from change 2 on, a tag of each kind, and the times between."""
    editor = project.people.editor
    first = project.written("a.md", "1\n")
    editor.post(f"{project.url}/tags", json={"name": "start", "at": "1"}).raise_for_status()
    time.sleep(0.02)
    between = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    time.sleep(0.02)
    answer = project.change(
        {"path": "a.md", "base": first["hash"], "text": "2\n"}, {"path": "b.md", "text": "b\n"}
    )
    change = answer.json()["change"]
    second = change["versions"][0]
    third = project.written("a.md", "3\n", base=second["hash"])
    editor.post(f"{project.url}/tags", json={"name": "middle-of-a", "at": second["hash"]}).raise_for_status()
    return {
        "document": first["document"],
        "versions": [first, second, third],
        "between": between,
        "change": change,
    }


def test_a_file_is_read_at_every_form_of_a_point(project: Project, story: dict[str, Any]) -> None:
    first, second, third = story["versions"]
    later = (datetime.now(UTC) + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S+02:00")
    expected = {
        "1": "1\n",
        "2": "2\n",
        "3": "3\n",
        "v1": "1\n",
        "v3": "3\n",
        first["hash"]: "1\n",
        second["hash"]: "2\n",
        third["hash"]: "3\n",
        story["change"]["hash"]: "2\n",
        "start": "1\n",
        "middle-of-a": "2\n",
        story["between"]: "1\n",
        later: "3\n",
        "2999-01-01": "3\n",
    }
    for point, text in expected.items():
        answer = project.people.reader.get(project.file("a.md"), params={"at": point})
        assert (answer.status_code, answer.text) == (200, text), point


def test_a_tree_is_read_at_every_form_of_a_point(project: Project, story: dict[str, Any]) -> None:
    for point, paths in {
        "0": [],
        "1": ["a.md"],
        "2": ["a.md", "b.md"],
        "start": ["a.md"],
        story["change"]["hash"]: ["a.md", "b.md"],
        story["between"]: ["a.md"],
        "1999-12-31": [],
        "1999-12-31T23:59:59.999999999+14:00": [],
    }.items():
        answer = project.people.reader.get(f"{project.url}/tree", params={"at": point})
        assert [entry["path"] for entry in answer.json()["items"]] == paths, point


def test_a_document_is_described_at_a_point(project: Project, story: dict[str, Any]) -> None:
    url = f"/v1/documents/{story['document']}"
    for point, number in {"1": 1, "v2": 2, "start": 1, "middle-of-a": 2, story["between"]: 1}.items():
        found = project.people.reader.get(url, params={"at": point})
        assert found.json()["version"]["number"] == number, point
        assert found.json()["head_number"] == 3
        again = project.people.reader.get(
            url, params={"at": point}, headers={"If-None-Match": found.headers["etag"]}
        )
        assert again.status_code == 304


def test_a_diff_takes_points_on_both_sides(project: Project, story: dict[str, Any]) -> None:
    url = f"/v1/documents/{story['document']}/diff"
    for older, newer, lines in (
        ("1", "3", (b"-1", b"+3")),
        ("start", "middle-of-a", (b"-1", b"+2")),
        (story["between"], "v3", (b"-1", b"+3")),
        (story["versions"][2]["hash"], "v1", (b"-3", b"+1")),
    ):
        patch = project.people.reader.get(url, params={"from": older, "to": newer}).content
        assert lines == tuple(patch.splitlines()[-2:]), (older, newer)


@pytest.mark.parametrize(
    ("point", "status", "code"),
    [
        ("99", 404, "point_not_found"),
        ("f" * 64, 404, "point_not_found"),
        ("no-such-tag", 404, "point_not_found"),
        ("v9", 404, "version_not_found"),
        ("v0", 404, "version_not_found"),
        ("yesterday evening", 422, "bad_point"),
        ("2026-02-30", 404, "point_not_found"),
        ("2026-01-01T25:00:00Z", 422, "bad_point"),
        ("2026-01-01 00:00:00", 422, "bad_point"),
        ("'; drop table versions; --", 422, "bad_point"),
        ("9" * 18, 404, "point_not_found"),
        ("", 422, "bad_point"),
    ],
)
def test_what_is_no_point_is_told_so(
    project: Project, story: dict[str, Any], point: str, status: int, code: str
) -> None:
    answer = project.people.reader.get(project.file("a.md"), params={"at": point})
    assert (answer.status_code, code_of(answer)) == (status, code)


def test_a_version_of_one_document_is_no_point_of_a_project(project: Project, story: dict[str, Any]) -> None:
    reader, editor = project.people.reader, project.people.editor
    for answer in (
        reader.get(f"{project.url}/tree?at=v1"),
        reader.get(f"{project.url}/archive?at=v12345678901"),
        reader.get(f"{project.url}/diff?from=v1"),
        editor.post(f"{project.url}/restore", json={"at": "v1"}),
        editor.post(f"{project.url}/tags", json={"name": "one", "at": "v1"}),
    ):
        assert (answer.status_code, code_of(answer)) == (422, "bad_point"), answer.url
        assert "is a version of one document" in answer.json()["detail"]


def test_strangers_learn_nothing_from_points(project: Project, story: dict[str, Any]) -> None:
    outsider = project.people.outsider
    for url in (
        f"{project.url}/diff?from=0",
        f"{project.url}/changes/1/diff",
        f"{project.url}/archive?at=start",
        f"{project.url}/tree?at=start",
        f"{project.file('a.md')}?at=v1",
        f"/v1/documents/{story['document']}?at=start",
        f"/v1/documents/{story['document']}/diff",
    ):
        assert outsider.get(url).status_code == 404, url


# Back to a point --------------------------------------------------------------------------------


def restored(project: Project, at: str | int, **body: Any) -> Any:
    answer = project.people.editor.post(f"{project.url}/restore", json={"at": str(at), **body})
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()["change"]


def rearranged(project: Project) -> dict[str, bytes]:
    """A project whose change 2 moved, edited, deleted and added; the tree before it."""
    made = project.change(
        *({"path": path, "text": path} for path in ("a.md", "docs/b.md", "docs/c.md", "docs/d.md", "keep.md"))
    ).json()["change"]["versions"]
    a, b, c, d, _ = made
    before = tree_at(project)
    changed = project.change(
        {"document": a["document"], "base": a["hash"], "path": "moved/a.md"},
        {"document": b["document"], "base": b["hash"], "path": "docs/c.md"},
        {"document": c["document"], "base": c["hash"], "path": "docs/b.md"},
        {"document": d["document"], "base": d["hash"], "delete": True},
        {"path": "a.md", "text": "another document at the old path"},
        {"path": "docs/new.md", "text": "new"},
    )
    assert changed.status_code == 201, changed.text
    return before


def test_a_project_goes_back_to_a_point_in_one_change(project: Project) -> None:
    before = rearranged(project)
    change = restored(project, 1)
    assert change["sequence"] == 3
    assert change["message"] == "Restore everything to change 1"
    assert tree_at(project) == before
    assert {each["action"] for each in change["versions"]} <= {"restore", "move", "delete"}


def test_a_restore_can_itself_be_undone(project: Project) -> None:
    rearranged(project)
    after = tree_at(project)
    restored(project, 1)
    restored(project, 2)
    assert tree_at(project) == after
    assert tree_at(project, 3) == tree_at(project, 1)


def test_a_folder_goes_back_and_the_rest_stays(project: Project) -> None:
    before = rearranged(project)
    now = tree_at(project)
    restored(project, 1, prefix="docs/")
    expected = {path: text for path, text in now.items() if not path.startswith("docs/")}
    expected |= {path: text for path, text in before.items() if path.startswith("docs/")}
    assert tree_at(project) == expected


def test_a_document_that_left_the_folder_comes_back_to_it(project: Project) -> None:
    first = project.written("docs/a.md", "1")
    project.change({"document": first["document"], "base": first["hash"], "path": "elsewhere/a.md"})
    restored(project, 1, prefix="docs/")
    assert tree_at(project) == {"docs/a.md": b"1"}


def test_restoring_what_is_there_already_writes_nothing(project: Project) -> None:
    project.written("a.md", "1")
    answer = project.people.editor.post(f"{project.url}/restore", json={"at": "1"})
    assert (answer.status_code, answer.json()) == (200, {"change": None})


def test_a_project_goes_back_to_before_its_first_change(project: Project) -> None:
    project.written("a.md", "1")
    assert [each["action"] for each in restored(project, 0)["versions"]] == ["delete"]
    assert tree_at(project) == {}


def test_the_message_and_the_author_are_those_of_who_restores(project: Project) -> None:
    rearranged(project)
    change = restored(project, 1, message="back to where it worked")
    assert change["message"] == "back to where it worked"
    assert change["author"]["id"] == project.people.editor.id


@pytest.mark.parametrize("role", ["reviewer", "reader"])
def test_only_editors_restore(project: Project, role: str) -> None:
    project.written("a.md", "1")
    answer = project.people.members()[role].post(f"{project.url}/restore", json={"at": "0"})
    assert (answer.status_code, code_of(answer)) == (403, "role_too_low")
    assert project.people.outsider.post(f"{project.url}/restore", json={"at": "0"}).status_code == 404


@pytest.mark.parametrize("prefix", ["", "docs/"])
def test_a_repeated_restore_is_written_once_and_answered_alike(project: Project, prefix: str) -> None:
    rearranged(project)

    def restore(**other: Any) -> Any:
        return project.people.editor.post(
            f"{project.url}/restore",
            json={"at": "1", "prefix": prefix} | other,
            headers={"Idempotency-Key": "once"},
        )

    first = restore()
    assert first.status_code == 201, first.text
    again = restore()
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    # What others write afterwards is neither undone nor a reason to refuse the repeat.
    project.written("docs/later.md", "later")
    assert restore().json() == first.json()
    assert project.people.reader.get(project.url).json()["change_sequence"] == 4
    for other in ({"at": "2"}, {"at": "0"}, {"message": "because"}, {"prefix": "keep.md"}):
        answer = restore(**other)
        assert (answer.status_code, code_of(answer)) == (409, "idempotency_key_reused"), other


def test_a_key_that_wrote_something_else_restores_nothing(project: Project) -> None:
    first = project.written("a.md", "1", Idempotency_Key="k")
    project.written("a.md", "2", base=first["hash"])
    answer = project.people.editor.post(
        f"{project.url}/restore", json={"at": "1"}, headers={"Idempotency-Key": "k"}
    )
    assert (answer.status_code, code_of(answer)) == (409, "idempotency_key_reused")


def test_whoever_writes_while_a_restore_is_made_never_loses_their_work(project: Project) -> None:
    """Each round either the restore saw the write (and may undo it), or it is refused as stale."""
    head = project.written("a.md", "0")
    outcomes = []
    results: list[Any] = []

    def restore() -> None:
        results.append(project.people.owner.post(f"{project.url}/restore", json={"at": "1"}))

    for round_ in range(12):
        racing = threading.Thread(target=restore)
        racing.start()
        written = project.put("a.md", f"round {round_}", base=head["hash"])
        racing.join()
        outcomes.append((written.status_code, results[-1].status_code))
        assert outcomes[-1] in {(200, 200), (200, 201), (200, 412), (412, 201), (412, 200)}
        history = project.history(head["document"])
        if written.status_code == 200:
            assert any(each["hash"] == tag(written) for each in history)
        head = history[0]
    numbers = [each["number"] for each in project.history(head["document"])]
    assert numbers == list(range(len(numbers), 0, -1))
