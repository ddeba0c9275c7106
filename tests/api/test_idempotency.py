"""Idempotency-Key: the same request again gets the same answer and writes once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.world import Project, code_of


def test_a_repeated_request_with_its_key_gets_the_same_answer_and_writes_once(project: Project) -> None:
    head = project.written("a", "1")
    first = project.put("a", "2", base=head["hash"], Idempotency_Key="k1")
    project.written("a", "3", base=first.json()["version"]["hash"])
    again = project.put("a", "2", base=head["hash"], Idempotency_Key="k1")
    assert again.status_code == first.status_code == 200, (
        "a repeat isn't told that its own write made it stale"
    )
    assert again.json() == first.json()
    assert len(project.history(head["document"])) == 3


def test_a_repeat_of_a_large_upload_is_none_either(project: Project) -> None:
    big = b"b" * 400_000
    first = project.put("big", big, Idempotency_Key="k")
    assert first.status_code == 201
    again = project.put("big", big, Idempotency_Key="k")
    assert (again.status_code, again.json()) == (201, first.json())


def test_a_key_for_something_else_is_409(project: Project) -> None:
    assert project.put("a", "1", Idempotency_Key="k").status_code == 201
    for other in (
        project.put("a", "2", Idempotency_Key="k"),
        project.put("b", "1", Idempotency_Key="k"),
        project.change({"path": "a", "text": "1"}, headers={"Idempotency-Key": "k"}, message="x"),
    ):
        assert (other.status_code, code_of(other)) == (409, "idempotency_key_reused")


def test_a_key_is_its_authors_own(project: Project) -> None:
    assert project.put("a", "1", Idempotency_Key="k").status_code == 201
    assert project.put("b", "2", Idempotency_Key="k", by=project.people.owner).status_code == 201


def test_every_write_of_documents_takes_a_key(project: Project) -> None:
    one = project.written("a", "1")
    url = f"/v1/documents/{one['document']}"
    editor = project.people.editor

    def twice(method: str, where: str, base: str, **how: Any) -> dict[str, Any]:
        headers = {"If-Match": f'"{base}"', "Idempotency-Key": f"{method}{where}"}
        first = editor.request(method, where, headers=headers, **how)
        again = editor.request(method, where, headers=headers, **how)
        assert first.is_success, first.text
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        return dict(first.json()["version"])

    moved = twice("PATCH", url, one["hash"], json={"path": "b"})
    deleted = twice("DELETE", url, moved["hash"])
    back = twice("POST", f"{url}/undelete", deleted["hash"])
    two = project.written("b", "2", base=back["hash"])
    restored = twice("POST", f"{url}/restore", two["hash"], json={"version": 1})
    twice("DELETE", project.file("b"), restored["hash"])
    assert len(project.history(one["document"])) == 7


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_has_1_to_200_printable_characters(project: Project, key: str) -> None:
    assert code_of(project.put("a", "1", Idempotency_Key=key)) == "bad_request"
    assert project.put("a", "1", Idempotency_Key="x" * 200).status_code == 201
