"""A change names contents that the project holds, in place of sending them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx

from tests.api.world import code_of

if TYPE_CHECKING:
    from tests.api.world import People, Project


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_content_that_the_project_holds_neednt_be_sent(project: Project) -> None:
    project.written("a.md", "the text\n")
    answer = project.change({"path": "b.md", "create": True, "sha256": sha256_of("the text\n")})
    assert answer.status_code == 201
    read = project.people.reader.get(project.file("b.md"))
    assert (read.text, read.headers["content-type"]) == ("the text\n", "text/markdown; charset=utf-8")


def test_one_change_may_send_some_and_name_others(project: Project) -> None:
    first = project.written("a.md", "one\n")
    project.written("a.md", "two\n", base=first["hash"])
    items = [
        {"path": "old.md", "create": True, "sha256": sha256_of("one\n")},
        {"path": "new.md", "create": True, "part": "f"},
    ]
    body = {"message": "", "items": items}
    answer = project.people.editor.post(
        f"{project.url}/changes",
        files={"change": (None, httpx.Response(200, json=body).text), "f": ("f", b"three\n")},
    )
    assert answer.status_code == 201, answer.text
    texts = [project.people.reader.get(project.file(path)).text for path in ("a.md", "old.md", "new.md")]
    assert texts == ["two\n", "one\n", "three\n"]


def test_what_no_version_of_this_project_holds_is_not_taken(project: Project, people: People) -> None:
    answer = project.change({"path": "b.md", "create": True, "sha256": sha256_of("nobody's")})
    assert (answer.status_code, code_of(answer)) == (404, "content_not_found")
    assert people.reader.get(project.file("b.md")).status_code == 404


def test_a_name_in_place_of_a_content_stands_alone(project: Project) -> None:
    project.written("a.md", "one\n")
    answer = project.change({"path": "b.md", "create": True, "sha256": sha256_of("one\n"), "text": "two\n"})
    assert (answer.status_code, code_of(answer)) == (422, "bad_change")


def test_the_same_request_under_its_key_writes_once(project: Project) -> None:
    project.written("a.md", "one\n")
    item = {"path": "b.md", "create": True, "sha256": sha256_of("one\n")}
    key = {"Idempotency-Key": "once"}
    first, second = (project.change(item, headers=key).json()["change"] for _ in range(2))
    assert first["hash"] == second["hash"]
