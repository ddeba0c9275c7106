"""Reviews: verdicts, comments beside their lines, and the rules that ask for them."""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from app.flows.follow_comments import MAX_SOURCES
from tests.api.world import Api, Person, Project, code_of

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


def test_old_lines_are_those_of_the_version_before(project: Project) -> None:
    one = project.written("a.md", TEXT)
    two = project.written("a.md", "one\nthree\nfour\nfive\n", base=one["hash"])
    made = comment(project.people.reviewer, two["hash"], "Why is it gone?", side="old", first_line=2)
    assert made.json()["side"] == "old"
    (gone,) = placed(project, one["document"])
    assert (gone["outdated"], gone["at_lines"], gone["at_line"]) == (True, None, 2)
    (there,) = placed(project, one["document"], at="v1")
    assert (there["outdated"], there["at_lines"]) == (False, lines(2, 2))


def test_comments_cross_moves_deletes_and_restores(project: Project) -> None:
    people, one = project.people, project.written("a.md", TEXT)
    comment(people.reviewer, one["hash"], first_line=5)
    url = f"/v1/documents/{one['document']}"

    def shown() -> list[tuple[bool, Any, Any]]:
        return [
            (each["outdated"], each["at_lines"], each["at_line"]) for each in placed(project, one["document"])
        ]

    moved = people.editor.patch(url, json={"path": "b.md"}, headers={"If-Match": f'"{one["hash"]}"'})
    assert shown() == [(False, lines(5, 5), 5)]
    deleted = people.editor.delete(url, headers={"If-Match": moved.headers["etag"]})
    assert shown() == [(True, None, None)]
    people.editor.post(f"{url}/undelete", headers={"If-Match": deleted.headers["etag"]})
    assert shown() == [(False, lines(5, 5), 5)]


def test_what_cannot_be_compared_says_so(project: Project) -> None:
    one = project.written("a.md", TEXT)
    comment(project.people.reviewer, one["hash"], first_line=1)
    two = project.written("a.md", b"one\n\x00\xff", base=one["hash"])
    (found,) = placed(project, one["document"])
    assert (found["outdated"], found["at_lines"], found["at_line"]) == (None, None, None)
    refused = comment(project.people.reviewer, two["hash"], first_line=1)
    assert (refused.status_code, code_of(refused)) == (422, "bad_lines")
    assert comment(project.people.reviewer, two["hash"]).status_code == 201


def test_a_page_needs_the_bytes_of_few_versions_and_all_pages_together_have_everything(
    project: Project,
) -> None:
    one = project.written("a.md", TEXT)
    version, made = one, []
    for n in range(MAX_SOURCES + 4):
        made.append(comment(project.people.reviewer, version["hash"], first_line=2).json()["id"])
        made.append(comment(project.people.reviewer, version["hash"], "All of it").json()["id"])
        version = project.written("a.md", f"{n}\n" + TEXT, base=version["hash"])
    seen, address, sizes = [], f"/v1/documents/{one['document']}/comments?limit=100", []
    while address:
        page = project.people.reader.get(address)
        items = page.json()["items"]
        sizes.append(len(items))
        seen += [each["id"] for each in items]
        assert all(each["outdated"] is False for each in items)
        address = page.links.get("next", {}).get("url", "")
    assert seen == made
    assert sizes == [2 * MAX_SOURCES, 8]


def test_placing_a_page_of_comments_costs_one_round_trip_when_the_bytes_are_cached(
    project: Project, api: Api
) -> None:
    one = project.written("a.md", TEXT)
    for line in range(1, 6):
        comment(project.people.reviewer, one["hash"], first_line=line)
    project.written("a.md", "zero\n" + TEXT, base=one["hash"])
    placed(project, one["document"])
    again = project.people.reader.get(f"/v1/documents/{one['document']}/comments")
    assert len(again.json()["items"]) == 5
    assert api.cost(again) == 1


def test_comments_without_lines_need_no_bytes(project: Project, api: Api) -> None:
    one = project.written("a.md", secrets.token_hex(100))
    comment(project.people.reviewer, one["hash"])
    assert api.cost(project.people.reader.get(f"/v1/documents/{one['document']}/comments")) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"body": "x", "first_line": 6}, "bad_lines"),
        ({"body": "x", "first_line": 3, "last_line": 2}, "bad_lines"),
        ({"body": "x", "last_line": 2}, "bad_lines"),
        ({"body": "x", "side": "new"}, "bad_lines"),
        ({"body": "x", "side": "old", "first_line": 1}, "bad_lines"),
        ({"body": "x", "first_line": 0}, "bad_request"),
        ({"body": "x", "first_line": 2**40}, "bad_request"),
        ({"body": "x", "first_line": 1.5}, "bad_request"),
        ({"body": "x", "side": "left", "first_line": 1}, "bad_request"),
        ({"body": "x", "lines": [1, 2]}, "bad_request"),
        ({}, "bad_request"),
        ({"body": ""}, "comment_empty"),
        ({"body": " \n"}, "comment_empty"),
        ({"body": "a\x00b"}, "bad_value"),
        ({"body": "é" * 32_769}, "comment_too_long"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_no_comment_is_refused(project: Project, body: dict[str, Any], code: str) -> None:
    version = project.written("a.md", TEXT)["hash"]
    refused = project.people.reviewer.post(f"/v1/versions/{version}/comments", json=body)
    assert (refused.is_client_error, code_of(refused)) == (True, code)
    assert project.people.reader.get(f"/v1/versions/{version}/comments").json()["items"] == []


def test_a_body_of_65536_bytes_of_control_characters_is_a_comment(project: Project) -> None:
    version = project.written("a.md", TEXT)["hash"]
    body = "\x01" * 65_535 + "x"
    assert comment(project.people.reviewer, version, body).json()["body"] == body
    longer = comment(project.people.reviewer, version, body + "x")
    assert (code_of(longer), longer.json()["limit"]) == ("comment_too_long", 65_536)


def test_half_a_character_is_refused_as_json(project: Project) -> None:
    version = project.written("a.md", TEXT)["hash"]
    refused = project.people.reviewer.post(
        f"/v1/versions/{version}/comments",
        content=b'{"body": "\\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    assert (refused.status_code, code_of(refused)) == (400, "bad_request")


def test_a_comment_is_retracted_by_its_author_and_its_place_stays(project: Project) -> None:
    people, version = project.people, project.written("a.md", TEXT)["hash"]
    url = comment(people.reviewer, version, "secret", first_line=1).headers["location"]
    denied = people.owner.delete(url)
    assert (denied.status_code, code_of(denied)) == (403, "not_the_author")
    for _ in range(2):
        assert people.reviewer.delete(url).json()["body"] is None
    for address in (url, f"/v1/versions/{version}/comments"):
        assert "secret" not in people.owner.get(address).text
    assert people.reader.get(url).json()["retracted_at"]


def test_the_reasons_of_a_review_are_a_comment_to_answer(project: Project) -> None:
    people, version = project.people, project.written("a.md", TEXT)["hash"]
    made = review(people.reviewer, version, "request_changes", "Line 2 is wrong.").json()
    answer = people.editor.post(f"/v1/comments/{made['comment']}/replies", json={"body": "Is it?"})
    assert answer.json()["thread"] == made["comment"]
    people.reviewer.delete(f"/v1/comments/{made['comment']}")
    shown = people.reader.get(f"/v1/versions/{version}/reviews").json()["items"][0]
    assert (shown["verdict"], shown["body"]) == ("request_changes", None)


def test_a_comment_sent_again_under_its_key_is_written_once(project: Project) -> None:
    version, by = project.written("a.md", TEXT)["hash"], project.people.reviewer
    address, key = f"/v1/versions/{version}/comments", {"Idempotency-Key": "once"}
    sent = [by.post(address, json={"body": "x", "first_line": 1}, headers=key) for _ in range(2)]
    assert [each.status_code for each in sent] == [201, 201]
    assert sent[0].json() == sent[1].json()
    other = by.post(address, json={"body": "y"}, headers=key)
    assert (other.status_code, code_of(other)) == (409, "idempotency_key_reused")


# Who -----------------------------------------------------------------------------------------------


def test_readers_read_and_strangers_find_nothing(project: Project) -> None:
    people, version = project.people, project.written("a.md", TEXT)
    made = comment(people.reviewer, version["hash"]).json()["id"]
    writes = [
        (f"/v1/versions/{version['hash']}/comments", {"body": "x", "first_line": 1}),
        (f"/v1/versions/{version['hash']}/reviews", {"verdict": "approve"}),
        (f"/v1/comments/{made}/replies", {"body": "x"}),
        (f"/v1/comments/{made}/resolve", None),
    ]
    for address, body in writes:
        low = people.reader.post(address, json=body)
        assert (low.status_code, code_of(low)) == (403, "role_too_low")
    reads = [address for address, _ in writes[:2]]
    reads += [f"/v1/comments/{made}", f"/v1/documents/{version['document']}/comments"]
    real = [people.outsider.post(address, json=body) for address, body in writes]
    real += [people.outsider.get(address) for address in reads]
    for answer in real:
        made_up = str(answer.request.url)
        made_up = made_up.replace(version["hash"], "0" * 64).replace(made, str(uuid.uuid4()))
        made_up = made_up.replace(version["document"], str(uuid.uuid4()))
        unknown = people.outsider.request(
            answer.request.method,
            made_up,
            content=answer.request.content,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == unknown.status_code == 404
        known = answer.json() | {"request_id": ""}
        assert known == unknown.json() | {"request_id": ""}


def test_an_archived_project_takes_no_reviews(project: Project) -> None:
    people, version = project.people, project.written("a.md", TEXT)["hash"]
    url = comment(people.reviewer, version).headers["location"]
    people.owner.patch(project.url, json={"archived": True})
    for answer in (
        review(people.reviewer, version, "approve"),
        comment(people.reviewer, version),
        people.reviewer.post(f"{url}/replies", json={"body": "x"}),
        people.reviewer.post(f"{url}/resolve"),
        people.reviewer.delete(url),
        people.owner.patch(f"{project.url}/rules", json={"tags_need_approval": True}),
    ):
        assert (answer.status_code, code_of(answer)) == (403, "project_archived")
    assert people.reader.get(url).json()["body"] == "Why?"


@pytest.mark.parametrize("version", ["x", "A" * 64, "%00", "a" * 5000, "..%2f"])
def test_what_is_no_hash_is_no_version(project: Project, version: str) -> None:
    for what in ("reviews", "comments"):
        answer = project.people.reader.get(f"/v1/versions/{version}/{what}")
        assert answer.status_code in {400, 404}
        assert code_of(answer) in {"version_not_found", "bad_request", "not_found"}


# Rules ---------------------------------------------------------------------------------------------


def test_a_project_may_ask_that_tags_name_approved_versions_only(project: Project) -> None:
    people, version = project.people, project.written("a.md", TEXT)["hash"]
    rules = f"{project.url}/rules"
    assert people.reader.get(rules).json() == {
        "tags_need_approval": False,
        "completion_needs_approval": False,
        "completion_needs_document": False,
        "completion_needs_validation": False,
    }
    assert code_of(people.editor.patch(rules, json={"tags_need_approval": True})) == "role_too_low"
    asked = people.reader.get(rules).json() | {"tags_need_approval": True}
    assert people.owner.patch(rules, json={"tags_need_approval": True}).json() == asked
    assert people.owner.patch(rules, json={}).json() == asked
    for at in (version, "1", None):
        refused = people.editor.post(f"{project.url}/tags", json={"name": "done", "at": at})
        assert (refused.status_code, code_of(refused)) == (409, "approval_needed")
        assert [each["version"] for each in refused.json()["versions"]] == [version]
    review(people.reviewer, version, "approve")
    assert people.editor.post(f"{project.url}/tags", json={"name": "done"}).status_code == 201


def test_a_project_may_ask_that_sessions_are_completed_with_approved_stages_only(project: Project) -> None:
    people, url = project.people, f"{project.url}/sessions"
    people.editor.post(url, json={"slug": "s"}).raise_for_status()
    spec = project.written("sessions/s/specs/spec.md", TEXT)
    project.written("sessions/s/notes.md", "of no stage")
    answer = people.owner.patch(f"{project.url}/rules", json={"completion_needs_approval": True})
    assert answer.json() == {
        "tags_need_approval": False,
        "completion_needs_approval": True,
        "completion_needs_document": False,
        "completion_needs_validation": False,
    }
    assert people.editor.patch(f"{url}/s", json={"status": "review"}).status_code == 200
    refused = people.editor.patch(f"{url}/s", json={"status": "complete"})
    assert (refused.status_code, code_of(refused)) == (409, "approval_needed")
    assert [(each["path"], each["state"]) for each in refused.json()["versions"]] == [
        ("sessions/s/specs/spec.md", "pending")
    ]
    review(people.reviewer, spec["hash"], "approve")
    done = people.editor.patch(f"{url}/s", json={"status": "complete"})
    assert (done.status_code, done.json()["status"]) == (200, "complete")
