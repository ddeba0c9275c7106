"""A project's rows over HTTP: what a bundle is made from."""

from __future__ import annotations

import pytest

from tests.api.world import code_of

PARTS = [
    "project", "profiles", "acquaintances", "members", "sessions", "documents", "changes", "events",
    "tags", "comments", "comment_texts", "comment_acts", "reviews",
]  # fmt: skip


def all_rows(person, project, part):
    cursor, found = None, []
    while True:
        answer = person.get(f"{project.url}/rows/{part}", params={"cursor": cursor} if cursor else {})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


def test_a_reader_gets_every_row_of_every_part(project):
    version = project.written("a.md", "one\n")
    project.people.owner.post(f"{project.url}/sessions", json={"slug": "s"})
    project.people.owner.post(f"{project.url}/tags", json={"name": "t"})
    project.people.reviewer.post(f"/v1/versions/{version['hash']}/comments", json={"body": "why?"})
    rows = {part: all_rows(project.people.reader, project, part) for part in PARTS}
    assert [row["hash"] for row in rows["changes"]] == [rows["project"][0]["change_hash"]]
    assert rows["changes"][0]["versions"][0]["hash"] == version["hash"]
    assert [row["sequence"] for row in rows["events"]] == list(
        range(1, rows["project"][0]["event_sequence"] + 1)
    )
    assert {row["user_id"] for row in rows["members"]} == {p.id for p in project.people.members().values()}
    assert [len(rows[part]) for part in ("documents", "sessions", "tags", "comments", "comment_texts")] == [
        1
    ] * 5


@pytest.mark.parametrize("part", PARTS)
def test_no_row_is_anybody_elses_business(project, part):
    answer = project.people.outsider.get(f"{project.url}/rows/{part}")
    assert (answer.status_code, code_of(answer)) == (404, "project_not_found")


def test_a_part_that_there_is_not_says_so(project):
    answer = project.people.owner.get(f"{project.url}/rows/blobs")
    assert (answer.status_code, code_of(answer)) == (404, "part_not_found")


def test_rows_are_never_kept_by_a_cache(project):
    assert project.people.owner.get(f"{project.url}/rows/project").headers["cache-control"] == "no-store"
