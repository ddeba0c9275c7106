"""Documents: move, delete, undelete, restore, history, versions, differences."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import unidiff

from tests.api.world import Project, code_of

if TYPE_CHECKING:
    from pathlib import Path


def act(project: Project, method: str, document: str, part: str = "", *, base: str | None, **how: Any):
    headers = {} if base is None else {"If-Match": f'"{base}"'}
    return project.people.editor.request(method, f"/v1/documents/{document}{part}", headers=headers, **how)


@pytest.fixture
def three(project: Project) -> list[dict[str, Any]]:
    """Three versions of a.md."""
    one = project.written("a.md", "one\n")
    two = project.written("a.md", "one\ntwo\n", base=one["hash"])
    return [one, two, project.written("a.md", "one\nthree\n", base=two["hash"])]


def test_a_document_says_where_it_is_and_what_it_is(project: Project, three: list[dict[str, Any]]) -> None:
    found = project.people.reader.get(f"/v1/documents/{three[0]['document']}").json()
    assert (found["path"], found["live"], found["head"], found["head_number"]) == (
        "a.md",
        True,
        three[2]["hash"],
        3,
    )
    assert found["version"] == three[2]


def test_history_is_newest_first_and_says_everything(project: Project, three: list[dict[str, Any]]) -> None:
    history = project.history(three[0]["document"])
    assert history == three[::-1]
    assert [each["action"] for each in history] == ["edit", "edit", "add"]
    assert [each["parent"] for each in history] == [three[1]["hash"], three[0]["hash"], None]
    assert {"author", "committed_at", "message", "hash"} <= set(history[0]["change"])


def test_history_pages_join_without_gap_or_repeat(project: Project, three: list[dict[str, Any]]) -> None:
    reader, url = project.people.reader, f"/v1/documents/{three[0]['document']}/versions"
    first = reader.get(url, params={"limit": 2})
    assert [each["number"] for each in first.json()["items"]] == [3, 2]
    project.written("a.md", "four", base=three[2]["hash"])  # what is written meanwhile moves nothing
    following = reader.get(first.links["next"]["url"])
    assert [each["number"] for each in following.json()["items"]] == [1]
    assert following.json()["next"] is None
    assert "next" not in following.links
    assert reader.get(url, params={"limit": 2, "cursor": first.json()["next"]}).json() == following.json()


def test_history_crosses_move_delete_and_restore(project: Project, three: list[dict[str, Any]]) -> None:
    document = three[0]["document"]
    moved = act(
        project, "PATCH", document, base=three[2]["hash"], json={"path": "b/b.md", "message": "m"}
    ).json()
    deleted = act(project, "DELETE", document, base=moved["version"]["hash"]).json()
    back = act(project, "POST", document, "/undelete", base=deleted["version"]["hash"]).json()
    restored = act(
        project,
        "POST",
        document,
        "/restore",
        base=back["version"]["hash"],
        json={"version": 1, "path": "a.md"},
    ).json()
    history = project.history(document)
    assert [each["action"] for each in history] == [
        "restore",
        "restore",
        "delete",
        "move",
        "edit",
        "edit",
        "add",
    ]
    assert history[3]["sha256"] == three[2]["sha256"]
    assert history[0]["restored_from"] == three[0]["hash"]
    assert history[1]["restored_from"] == moved["version"]["hash"]
    assert restored["version"]["sha256"] == three[0]["sha256"]
    assert project.people.reader.get(project.file("a.md")).text == "one\n"
    assert code_of(project.people.reader.get(project.file("b/b.md"))) == "document_moved"


@pytest.mark.parametrize(
    ("method", "part", "body"),
    [
        ("PATCH", "", {"path": "z.md"}),
        ("DELETE", "", None),
        ("POST", "/restore", {"version": 1}),
    ],
)
def test_every_write_to_a_document_needs_its_head(
    project: Project, three: list[dict[str, Any]], method: str, part: str, body: dict[str, Any] | None
) -> None:
    document = three[0]["document"]
    missing = act(project, method, document, part, base=None, json=body)
    assert (missing.status_code, code_of(missing)) == (428, "base_required")
    stale = act(project, method, document, part, base=three[0]["hash"], json=body)
    assert (stale.status_code, code_of(stale)) == (412, "stale_base")
    assert stale.json()["head"] == three[2]["hash"]
    for role in ("reviewer", "reader"):
        refused = project.people.members()[role].request(
            method,
            f"/v1/documents/{document}{part}",
            json=body,
            headers={"If-Match": f'"{three[2]["hash"]}"'},
        )
        assert (refused.status_code, code_of(refused)) == (403, "role_too_low")
    assert len(project.history(document)) == 3


@pytest.mark.parametrize("field", ["*", "abc", '"a", "b"', '"unended', ""])
def test_an_if_match_that_names_no_one_version_is_refused(
    project: Project, three: list[dict[str, Any]], field: str
) -> None:
    url = f"/v1/documents/{three[0]['document']}"
    refused = project.people.editor.patch(url, json={"path": "z.md"}, headers={"If-Match": field})
    assert (refused.status_code, code_of(refused)) == (400, "bad_condition")


def test_a_weak_tag_never_is_a_base(project: Project, three: list[dict[str, Any]]) -> None:
    url = f"/v1/documents/{three[0]['document']}"
    field = f'W/"{three[2]["hash"]}"'
    assert (
        project.people.editor.patch(url, json={"path": "z.md"}, headers={"If-Match": field}).status_code
        == 412
    )


def test_a_move_to_where_it_is_writes_nothing(project: Project, three: list[dict[str, Any]]) -> None:
    answer = act(project, "PATCH", three[0]["document"], base=three[2]["hash"], json={"path": "a.md"})
    assert (answer.status_code, answer.json()["change"]) == (200, None)


def test_a_move_onto_another_document_is_refused(project: Project, three: list[dict[str, Any]]) -> None:
    project.written("b.md", "b")
    answer = act(project, "PATCH", three[0]["document"], base=three[2]["hash"], json={"path": "b.md"})
    assert (answer.status_code, code_of(answer)) == (409, "path_taken")


def test_restoring_what_is_no_content_says_so(project: Project, three: list[dict[str, Any]]) -> None:
    document = three[0]["document"]
    deleted = act(project, "DELETE", document, base=three[2]["hash"]).json()["version"]
    for version, status, code in (
        (4, 409, "nothing_to_restore"),
        (9, 404, "version_not_found"),
        (0, 400, "bad_request"),
        (-1, 400, "bad_request"),
        (10**12, 400, "bad_request"),
        ("newest", 400, "bad_request"),
    ):
        answer = act(project, "POST", document, "/restore", base=deleted["hash"], json={"version": version})
        assert answer.status_code == status, version
        assert code_of(answer) in {code, "bad_json"}, version
    assert act(project, "DELETE", document, base=deleted["hash"]).status_code == 404


def test_one_version_and_its_content(project: Project, three: list[dict[str, Any]]) -> None:
    url, reader = f"/v1/documents/{three[0]['document']}/versions", project.people.reader
    assert reader.get(f"{url}/2").json() == three[1]
    content = reader.get(f"{url}/2/content")
    assert (content.text, content.headers["etag"]) == ("one\ntwo\n", f'"{three[1]["hash"]}"')
    assert (
        reader.get(f"{url}/2/content", headers={"If-None-Match": content.headers["etag"]}).status_code == 304
    )
    assert reader.get(f"{url}/2/content", headers={"Range": "bytes=0-2"}).text == "one"
    assert reader.head(f"{url}/2/content").headers["content-length"] == "8"
    for number in (0, 4, 10**9, 10**30, -1):
        assert reader.get(f"{url}/{number}").status_code == 404, number
        assert reader.get(f"{url}/{number}/content").status_code == 404, number


def test_a_delete_has_no_content(project: Project, three: list[dict[str, Any]]) -> None:
    act(project, "DELETE", three[0]["document"], base=three[2]["hash"])
    url = f"/v1/documents/{three[0]['document']}/versions/4/content"
    assert code_of(project.people.reader.get(url)) == "version_is_delete"
    assert project.people.reader.head(url).status_code == 404


def test_a_diff_is_taken_by_git_apply_and_read_by_unidiff(
    project: Project, three: list[dict[str, Any]], tmp_path: Path
) -> None:
    url = f"/v1/documents/{three[0]['document']}/diff"
    answer = project.people.reader.get(url, params={"from": 1, "to": 3})
    assert answer.headers["content-type"].startswith("text/x-diff")
    (tmp_path / "a.md").write_text("one\n")
    subprocess.run(["git", "apply", "-"], input=answer.content, cwd=tmp_path, check=True)
    assert (tmp_path / "a.md").read_text() == "one\nthree\n"
    (patched,) = unidiff.PatchSet.from_string(answer.text)
    assert (patched.path, patched.added, patched.removed) == ("a.md", 1, 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a\nb", b"a\nb\n"),
        (b"a\r\nb\r\n", b"a\nb\r\n"),
        (b"", b"x"),
        (b"x\x0cy\n", b"x\x0cz\n"),
        ("u\u2028v\n".encode(), "u\u2028w\n".encode()),
        (b"--- a\n+++ b\n", b"--- a\n+++ c\n@@ -1 +1 @@\n"),
        (b"\xff\xfe\n", b"\xff\xfd\n"),
        (b"caf\xc3\xa9\n", b"cafe\xcc\x81\n"),
    ],
)
def test_git_apply_gives_back_the_new_version_byte_for_byte(
    project: Project, tmp_path: Path, old: bytes, new: bytes
) -> None:
    path = "dir/**Intent: ü b.md"
    one = project.written(path, old)
    project.written(path, new, base=one["hash"])
    patch = project.people.reader.get(f"/v1/documents/{one['document']}/diff").content
    target = tmp_path / path
    target.parent.mkdir()
    target.write_bytes(old)
    subprocess.run(["git", "apply", "-"], input=patch, cwd=tmp_path, check=True)
    assert target.read_bytes() == new


def test_a_diff_as_json_has_hunks_and_both_versions(project: Project, three: list[dict[str, Any]]) -> None:
    url = f"/v1/documents/{three[0]['document']}/diff"
    answer = project.people.reader.get(url, headers={"Accept": "application/json"})
    body = answer.json()
    assert (body["from"]["number"], body["to"]["number"]) == (2, 3)
    assert len(body["diff"]["hunks"]) == 1
    by_hash = project.people.reader.get(
        url,
        params={"from": three[1]["hash"], "to": three[2]["hash"]},
        headers={"Accept": "text/html;q=0.1, application/json"},
    )
    assert by_hash.json() == body


def test_a_diff_of_the_first_version_adds_everything(project: Project, three: list[dict[str, Any]]) -> None:
    patch = project.people.reader.get(f"/v1/documents/{three[0]['document']}/diff", params={"to": 1})
    assert "new file mode" in patch.text
    assert patch.text.endswith("+one\n")


def test_a_diff_that_one_has_is_304(project: Project, three: list[dict[str, Any]]) -> None:
    url, reader = f"/v1/documents/{three[0]['document']}/diff", project.people.reader
    tag = reader.get(url).headers["etag"]
    assert reader.get(url, headers={"If-None-Match": tag}).status_code == 304
    for other in ({"params": {"context": 0}}, {"headers": {"Accept": "application/json"}}):
        headers = {"If-None-Match": tag} | other.get("headers", {})
        assert reader.get(url, params=other.get("params"), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("query", "accept", "status", "code"),
    [
        ({"from": "9"}, "*/*", 404, "version_not_found"),
        ({"to": "x y"}, "*/*", 422, "bad_point"),
        ({"context": "-1"}, "*/*", 422, "bad_value"),
        ({"context": "lots"}, "*/*", 400, "bad_request"),
        ({"ignore": "vowels"}, "*/*", 400, "bad_request"),
        ({}, "image/png", 406, "not_acceptable"),
    ],
)
def test_a_diff_that_cannot_be_says_why(
    project: Project,
    three: list[dict[str, Any]],
    *,
    query: dict[str, str],
    accept: str,
    status: int,
    code: str,
) -> None:
    answer = project.people.reader.get(
        f"/v1/documents/{three[0]['document']}/diff", params=query, headers={"Accept": accept}
    )
    assert answer.status_code in {status, 400}, answer.text
    assert code_of(answer) in {code, "bad_request"}
