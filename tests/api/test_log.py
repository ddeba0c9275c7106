"""The log of a project's changes: filtered, paged, chained."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.world import Project, code_of


@pytest.fixture
def log(project: Project) -> Project:
    project.change({"path": "docs/a.md", "text": "1"}, message="Begin the docs")
    project.put("src/b.py", "1", by=project.people.owner)
    project.change({"path": "docs/c.md", "text": "1"}, {"path": "x", "text": "1"}, message="More DOCS, 100%")
    return project


def sequences(project: Project, **query: Any) -> list[int]:
    answer = project.people.reader.get(f"{project.url}/changes", params=query)
    assert answer.status_code == 200, answer.text
    return [each["sequence"] for each in answer.json()["items"]]


def test_the_log_is_newest_first_and_paged(log: Project) -> None:
    assert sequences(log) == [3, 2, 1]
    first = log.people.reader.get(f"{log.url}/changes", params={"limit": 2, "text": ""})
    assert [each["sequence"] for each in first.json()["items"]] == [3, 2]
    assert "text=" in first.links["next"]["url"]
    assert [
        each["sequence"] for each in log.people.reader.get(first.links["next"]["url"]).json()["items"]
    ] == [1]


def test_the_log_is_filtered(log: Project) -> None:
    assert sequences(log, prefix="docs/") == [3, 1]
    assert sequences(log, prefix="docs/c") == [3]
    assert sequences(log, text="docs") == [3, 1]
    assert sequences(log, text="100%") == [3]
    assert sequences(log, text="%") == [3], "no wildcard"
    assert sequences(log, author=log.people.owner.id) == [2]
    assert sequences(log, author=log.people.editor.handle) == [3, 1]
    assert sequences(log, author="nobody") == []
    assert sequences(log, author=log.people.editor.id, prefix="x") == [3]


def test_the_log_is_filtered_by_time(log: Project) -> None:
    moments = {
        each["sequence"]: each["committed_at"]
        for each in log.people.reader.get(f"{log.url}/changes").json()["items"]
    }
    assert sequences(log, since=moments[2]) == [3, 2]
    assert sequences(log, until=moments[2]) == [1]
    assert sequences(log, since=moments[2], until=moments[3]) == [2]
    assert sequences(log, since="2999-01-01T00:00:00Z") == []
    assert sequences(log, until="1999-01-01T00:00:00+05:00") == []
    bad = log.people.reader.get(f"{log.url}/changes", params={"since": "yesterday"})
    assert (bad.status_code, code_of(bad)) == (400, "bad_request")


@pytest.mark.parametrize("sequence", ["0", "99", "9" * 18, "9" * 40, "-1"])
def test_a_change_that_is_not_there_is_404(log: Project, sequence: str) -> None:
    assert log.people.reader.get(f"{log.url}/changes/{sequence}").status_code == 404


def test_the_chain_of_changes_names_each_predecessor(log: Project) -> None:
    items = log.people.reader.get(f"{log.url}/changes").json()["items"]
    assert [each["previous"] for each in items] == [items[1]["hash"], items[2]["hash"], None]
    assert log.people.reader.get(log.url).json()["change_hash"] == items[0]["hash"]
