"""Many documents in one atomic change, and the project's log."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Project, code_of

if TYPE_CHECKING:
    import httpx


def post(project: Project, *files: tuple[str, Any], **headers: str) -> httpx.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return project.people.editor.post(f"{project.url}/changes", files=list(files), headers=fields)


def part(change: dict[str, Any]) -> tuple[str, Any]:
    return ("change", (None, json.dumps(change), "application/json"))


def paths(project: Project) -> list[str]:
    tree = project.people.reader.get(f"{project.url}/tree", params={"limit": 200}).json()
    return [entry["path"] for entry in tree["items"]]


def test_any_number_of_files_become_one_change(project: Project) -> None:
    files = [("file", (f"docs/{n:03}.md", f"# {n}".encode(), "text/markdown")) for n in range(50)]
    answer = post(project, ("message", (None, "many")), *files)
    assert answer.status_code == 201
    change = answer.json()["change"]
    assert (change["sequence"], change["version_count"], change["message"]) == (1, 50, "many")
    assert answer.headers["location"] == f"{project.url}/changes/1"
    read = project.people.reader.get(answer.headers["location"]).json()
    assert read | {"diffstat": None} == change | {"diffstat": None}
    assert change["diffstat"]["added"] == 50
    assert project.people.reader.get(project.file("docs/007.md")).text == "# 7"


def test_a_multipart_change_says_more_of_its_files_in_its_json_part(project: Project) -> None:
    old = project.written("old.md", "old")
    answer = post(
        project,
        part(
            {
                "message": "all kinds",
                "items": [
                    {"path": "by-name.md", "part": "first"},
                    {"path": "old.md", "base": old["hash"]},
                    {"path": "small.md", "text": "small", "create": True},
                ],
            }
        ),
        ("first", ("whatever.txt", b"by name")),
        ("file", ("old.md", b"new")),
        ("file", ("further.md", b"further")),
    )
    assert answer.status_code == 201, answer.text
    assert paths(project) == ["by-name.md", "further.md", "old.md", "small.md"]
    reader = project.people.reader
    assert reader.get(project.file("by-name.md")).text == "by name"
    assert reader.get(project.file("old.md")).text == "new"


def test_a_new_file_over_the_early_check_is_not_taken_for_a_missing_one(project: Project) -> None:
    big = b"x" * 400_000
    answer = post(project, part({"items": [{"path": "big.bin", "create": True}]}), ("file", ("big.bin", big)))
    assert answer.status_code == 201, answer.text
    assert project.people.reader.get(project.file("big.bin")).content == big


def test_json_changes_write_move_delete_and_restore_at_once(project: Project) -> None:
    heads = {name: project.written(name, name)["hash"] for name in ("a", "b", "c", "d")}
    project.change({"path": "d", "base": heads["d"], "delete": True})
    gone = project.people.reader.get(project.file("d")).json()
    answer = project.change(
        {"path": "a", "base": heads["a"], "text": "A"},
        {"from": "b", "path": "b2", "base": heads["b"]},
        {"path": "c", "base": heads["c"], "delete": True},
        {"document": gone["document"], "base": gone["head"], "restore": 1},
        {"path": "e", "base64": base64.b64encode(b"\x00\xff").decode(), "media_type": "application/x-e"},
        message="everything",
    )
    assert answer.status_code == 201, answer.text
    actions = {each["path"]: each["action"] for each in answer.json()["change"]["versions"]}
    assert actions == {"a": "edit", "b2": "move", "c": "delete", "d": "restore", "e": "add"}
    assert paths(project) == ["a", "b2", "d", "e"]
    assert project.people.reader.get(project.file("e")).content == b"\x00\xff"


def test_two_documents_can_swap_their_paths(project: Project) -> None:
    a, b = project.written("a", "1"), project.written("b", "2")
    answer = project.change(
        {"document": a["document"], "path": "b", "base": a["hash"]},
        {"document": b["document"], "path": "a", "base": b["hash"]},
    )
    assert answer.status_code == 201, answer.text
    assert project.people.reader.get(project.file("a")).text == "2"


def test_one_refused_item_refuses_them_all_and_every_reason_is_told(project: Project) -> None:
    a = project.written("a", "1")
    project.written("a", "2", base=a["hash"])
    project.written("taken/x", "1")
    answer = project.change(
        {"path": "fine", "text": "1"},
        {"path": "a", "base": a["hash"], "text": "3"},
        {"path": "taken", "text": "1"},
        {"path": "nothing", "delete": True, "base": a["hash"]},
    )
    assert answer.status_code == 412
    told = {(each["index"], each["code"]) for each in answer.json()["items"]}
    assert {(2, "stale_base"), (4, "document_not_found")} <= told
    assert paths(project) == ["a", "taken/x"]
    assert len(project.people.reader.get(f"{project.url}/changes").json()["items"]) == 3


@pytest.mark.parametrize(
    ("item", "status", "code"),
    [
        ({"path": "new", "text": "1", "base64": "MQ=="}, 422, "bad_change"),
        ({"path": "new", "text": "1", "delete": True}, 422, "bad_change"),
        ({"path": "new", "text": "1", "restore": 1}, 422, "bad_change"),
        ({"path": "new", "text": "1", "create": True, "base": "0" * 64}, 422, "bad_change"),
        ({"path": "new", "base64": "!"}, 422, "bad_change"),
        ({"path": "new"}, 422, "no_content"),
        ({"text": "1"}, 422, "bad_path"),
        ({"path": "a//b", "text": "1"}, 422, "bad_path"),
        ({"path": "../b", "text": "1"}, 422, "bad_path"),
        ({"path": "b", "text": "1", "media_type": "x"}, 415, "bad_media_type"),
        ({"path": "b", "text": "1", "media_type": "text/html\r\nx: y"}, 415, "bad_media_type"),
        ({"path": "there", "text": "1"}, 428, "base_required"),
        ({"path": "there", "text": "1", "create": True}, 412, "already_exists"),
        ({"path": "there", "text": "1", "base": "0" * 64}, 412, "stale_base"),
        ({"path": "there/below", "text": "1"}, 409, "path_taken"),
        ({"document": "nonsense", "text": "1", "base": "x"}, 404, "document_not_found"),
        ({"from": "nowhere", "path": "x", "base": "x"}, 404, "document_not_found"),
        ({"path": "b", "text": "1", "colour": "red"}, 400, "bad_json"),
        ({"path": "b", "text": 1}, 400, "bad_json"),
        ({"path": "b", "restore": 0}, 400, "bad_json"),
    ],
)
def test_an_item_that_cannot_be_says_why(
    project: Project, item: dict[str, Any], status: int, code: str
) -> None:
    project.written("there", "0")
    answer = project.change(item)
    assert (answer.status_code, code_of(answer)) == (status, code), answer.text
    assert answer.json()["detail"]
    assert paths(project) == ["there"]


def test_one_document_is_written_once_in_a_change(project: Project) -> None:
    answer = project.change({"path": "a", "text": "1"}, {"path": "a", "text": "2"})
    assert code_of(answer) in {"document_twice", "path_taken"}
    head = project.written("b", "1")
    answer = project.change(
        {"document": head["document"], "base": head["hash"], "text": "2"},
        {"document": head["document"], "base": head["hash"], "path": "c"},
    )
    assert (answer.status_code, code_of(answer)) == (422, "document_twice")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '{"items":[{"path":"b","text":"\\ud800"}]}',
        '{"items":null}',
        '{"items":[]}',
        '{"itens":[]}',
        '{"a":1}{',
        "\xff",
    ],
)
def test_a_body_that_is_no_change_is_refused(project: Project, body: str) -> None:
    answer = project.people.editor.post(
        f"{project.url}/changes", content=body.encode("latin-1"), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, code_of(answer)) in {(400, "bad_json"), (422, "bad_change")}


@pytest.mark.parametrize(
    "kind", ["text/plain", "", "application/x-www-form-urlencoded", "multipart/mixed; boundary=x"]
)
def test_a_change_in_another_form_is_415(project: Project, kind: str) -> None:
    answer = project.people.editor.post(
        f"{project.url}/changes", content=b"{}", headers={"Content-Type": kind}
    )
    assert (answer.status_code, code_of(answer)) == (415, "bad_media_type")


BOUNDARY = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body_incomplete"),
        (b"--b--\r\n", "bad_change"),
        (b"nonsense", "bad_multipart"),
        (b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nhalf', "body_incomplete"),
        (b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nx\r\n', "body_incomplete"),
        (b"--b\r\n\r\nx\r\n--b--\r\n", "bad_multipart"),
        (b'--b\r\nContent-Disposition: attachment; filename="a"\r\n\r\nx\r\n--b--\r\n', "bad_multipart"),
        (b'--b\r\nContent-Disposition: form-data; name="stray"\r\n\r\nx\r\n--b--\r\n', "bad_multipart"),
        (b'--b\r\nContent-Disposition: form-data; name="change"\r\n\r\n{\r\n--b--\r\n', "bad_json"),
        (b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\n\xff\r\n--b--\r\n', "bad_multipart"),
        (
            b'--b\r\nContent-Disposition: form-data; name="f"; filename="\xff"\r\n\r\nx\r\n--b--\r\n',
            "bad_multipart",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="f"; filename="../x"\r\n\r\nx\r\n--b--\r\n',
            "bad_path",
        ),
        (b"--b\r\nX: " + b"y" * 9000 + b"\r\n\r\nx\r\n--b--\r\n", "bad_multipart"),
    ],
)
def test_a_multipart_body_that_is_none_is_refused(project: Project, body: bytes, code: str) -> None:
    answer = project.people.editor.post(
        f"{project.url}/changes", content=body, headers={"Content-Type": BOUNDARY}
    )
    assert code_of(answer) == code, answer.text
    assert paths(project) == []


@pytest.mark.parametrize(
    "boundary", ["", "; boundary=", f"; boundary={'b' * 71}", f"; boundary={'b' * 3000}"]
)
def test_a_multipart_body_needs_a_boundary(project: Project, boundary: str) -> None:
    answer = project.people.editor.post(
        f"{project.url}/changes", content=b"x", headers={"Content-Type": f"multipart/form-data{boundary}"}
    )
    assert code_of(answer) == "bad_multipart"


def test_parts_that_contradict_each_other_are_refused(project: Project) -> None:
    item = {"path": "a", "part": "p"}
    for files in (
        [part({"items": [item]})],
        [part({"items": [item]}), ("p", ("x", b"1")), ("p", ("y", b"2"))],
        [part({"items": [item]}), part({"items": []}), ("p", ("x", b"1"))],
        [("message", (None, "one")), ("message", (None, "two")), ("f", ("x", b"1"))],
    ):
        assert code_of(post(project, *files)) == "bad_multipart"
    assert paths(project) == []


def test_a_file_matches_its_item_whatever_its_normal_form(project: Project) -> None:
    answer = post(
        project, part({"items": [{"path": "caf\u00e9.md", "create": True}]}), ("f", ("cafe\u0301.md", b"x"))
    )
    assert answer.status_code == 201, answer.text
    assert paths(project) == ["caf\u00e9.md"]


@pytest.mark.parametrize(
    "name", ['say "hi".md', "a;b=c.md", "ü ✓.md", "back\\slash.md", "100%.md", "a&b='c'.md"]
)
def test_odd_file_names_arrive_as_they_are(project: Project, name: str) -> None:
    assert post(project, ("f", (name, b"x"))).status_code == 201
    assert paths(project) == [name]


def test_a_digest_of_the_whole_body_or_of_a_part_is_checked(project: Project) -> None:
    digest = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    wrong = base64.b64encode(hashlib.sha256(b"y").digest()).decode()
    good = ("f", ("a.md", b"x", "text/markdown", {"Content-Digest": f"sha-256=:{digest}:"}))
    bad = ("f", ("a.md", b"x", "text/markdown", {"Content-Digest": f"sha-256=:{wrong}:"}))
    assert code_of(post(project, bad)) == "digest_mismatch"
    assert code_of(post(project, good, Content_Digest=f"sha-256=:{digest}:")) == "digest_mismatch"
    assert paths(project) == []
    assert post(project, good).status_code == 201
    body = json.dumps({"items": [{"path": "b", "text": "1"}]}).encode()
    headers = {"Content-Type": "application/json", "Content-Digest": f"sha-256=:{digest}:"}
    refused = project.people.editor.post(f"{project.url}/changes", content=body, headers=headers)
    assert code_of(refused) == "digest_mismatch"
    named = project.people.editor.post(f"{project.url}/tags", content=b'{"name": "t"}', headers=headers)
    assert code_of(named) == "digest_mismatch"
    headers["Content-Digest"] = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    assert (
        project.people.editor.post(f"{project.url}/changes", content=body, headers=headers).status_code == 201
    )
