"""Reviews: verdicts, comments beside their lines, and the rules that ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Person, Project, code_of

if TYPE_CHECKING:
    import httpx

TEXT = "one\ntwo\nthree\nfour\nfive\n"


def comment(by: Person, version: str, body: str = "Why?", **where: Any) -> httpx.Response:
    return by.post(f"/v1/versions/{version}/comments", json={"body": body, **where})


def review(by: Person, version: str, verdict: str, body: str = "") -> httpx.Response:
    return by.post(f"/v1/versions/{version}/reviews", json={"verdict": verdict, "body": body})


def state(project: Project, version: str) -> str:
    return str(project.people.reader.get(f"/v1/versions/{version}/reviews").json()["state"])


def placed(project: Project, document: str, **query: Any) -> list[dict[str, Any]]:
    answer = project.people.reader.get(f"/v1/documents/{document}/comments", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def lines(first: int, last: int) -> dict[str, int]:
    return {"first": first, "last": last}


# Verdicts ------------------------------------------------------------------------------------------


def test_a_version_is_approved_when_somebody_approves_and_nobody_objects(project: Project) -> None:
    people, version = project.people, project.written("a.md", TEXT)["hash"]
    assert state(project, version) == "pending"
    made = review(people.reviewer, version, "approve", "Fine by me")
    assert made.status_code == 201
    assert made.json()["reviewer"]["id"] == people.reviewer.id
    assert made.json()["body"] == "Fine by me"
    assert state(project, version) == "approved"
    review(people.owner, version, "request_changes")
    assert state(project, version) == "changes_requested"
    review(people.owner, version, "withdraw")
    assert state(project, version) == "approved"


def test_the_newest_verdict_of_each_reviewer_counts(project: Project) -> None:
    people, version = project.people, project.written("a.md", TEXT)["hash"]
    for verdict in ("approve", "request_changes", "approve"):
        review(people.reviewer, version, verdict)
    found = people.reader.get(f"/v1/versions/{version}/reviews").json()
    assert [(each["verdict"], each["counts"]) for each in found["items"]] == [
        ("approve", True),
        ("request_changes", False),
        ("approve", False),
    ]
    assert found["state"] == "approved"


def test_nobody_approves_what_they_wrote(project: Project) -> None:
    version = project.written("a.md", TEXT)["hash"]
    refused = review(project.people.editor, version, "approve")
    assert (refused.status_code, code_of(refused)) == (403, "own_version")
    assert review(project.people.editor, version, "request_changes").status_code == 201
    assert state(project, version) == "changes_requested"


def test_whose_verdict_counts_ends_with_their_role(project: Project) -> None:
    people, version = project.people, project.written("a.md", TEXT)["hash"]
    review(people.reviewer, version, "approve")
    for role, expected in (("reader", "pending"), ("reviewer", "approved")):
        people.owner.put(f"{project.url}/members/{people.reviewer.id}", json={"role": role})
        assert state(project, version) == expected
    people.owner.delete(f"{project.url}/members/{people.reviewer.id}")
    assert state(project, version) == "pending"


def test_reviews_come_in_pages(project: Project) -> None:
    people, version = project.people, project.written("a.md", TEXT)["hash"]
    made = [review(people.reviewer, version, "approve").json()["id"] for _ in range(5)]
    seen, address = [], f"/v1/versions/{version}/reviews?limit=2"
    while address:
        page = people.reader.get(address)
        seen += [each["id"] for each in page.json()["items"]]
        address = page.links.get("next", {}).get("url", "")
    assert seen == made[::-1]


# Comments ------------------------------------------------------------------------------------------


def test_a_thread_is_commented_replied_to_resolved_and_reopened(project: Project) -> None:
    people, version = project.people, project.written("a.md", TEXT)
    first = comment(people.reviewer, version["hash"], "Why\tthis?\x01\n", first_line=2, last_line=3)
    assert first.status_code == 201
    assert first.headers["location"] == f"/v1/comments/{first.json()['id']}"
    url = first.headers["location"]
    reply = people.editor.post(f"{url}/replies", json={"body": "Because."}).json()
    again = people.owner.post(f"/v1/comments/{reply['id']}/replies", json={"body": "Hm."}).json()
    found = people.reader.get(f"/v1/versions/{version['hash']}/comments").json()["items"]
    assert [each["body"] for each in found] == ["Why\tthis?\x01\n", "Because.", "Hm."]
    assert {each["thread"] for each in found} == {first.json()["id"]}
    assert all((each["side"], each["first_line"], each["last_line"]) == ("new", 2, 3) for each in found)
    assert people.editor.post(f"/v1/comments/{again['id']}/resolve").json()["resolved"]
    assert people.reader.get(url).json()["resolved"]
    assert placed(project, version["document"], resolved=False) == []
    assert len(placed(project, version["document"], resolved=True)) == 3
    assert not people.editor.post(f"{url}/reopen").json()["resolved"]


def test_a_comment_follows_its_lines_and_says_when_they_changed(project: Project) -> None:
    one = project.written("a.md", TEXT)
    two = project.written("a.md", "zero\n" + TEXT, base=one["hash"])
    three = project.written("a.md", "zero\none\ntwo\nTHREE\nfour\nfive\n", base=two["hash"])
    by, document = project.people.reviewer, one["document"]
    comment(by, one["hash"], first_line=2, last_line=3)
    comment(by, one["hash"], first_line=4)
    comment(by, one["hash"], "All of it")
    comment(by, three["hash"], first_line=4)

    def shown(at: str | None) -> list[Any]:
        found = placed(project, document, **({} if at is None else {"at": at}))
        return [(each["outdated"], each["at_lines"], each["at_line"]) for each in found]

    assert shown("v1")[:3] == [(False, lines(2, 3), 2), (False, lines(4, 4), 4), (False, None, None)]
    assert shown("v2")[:3] == [(False, lines(3, 4), 3), (False, lines(5, 5), 5), (False, None, None)]
    assert shown(None) == [
        (True, None, 4),
        (False, lines(5, 5), 5),
        (False, None, None),
        (False, lines(4, 4), 4),
    ]
    assert shown("v1")[3] == (True, None, 3)
    first = placed(project, document)[0]
    assert (first["first_line"], first["last_line"], first["number"]) == (2, 3, 1)
