"""A Git history coming in over HTTP: commits become changes, contents come as parts that are named by their hash."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from tests.api.world import Person, Project, code_of


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def commit(number: int, *items: dict[str, Any], message: str | None = None, **more: Any) -> dict[str, Any]:
    """A commit whose object is made up, with the id that Git would give it."""
    text = f"commit {number}" if message is None else message
    raw = f"tree {number:040x}\nauthor Ann <ann@example.com> 1 +0000\ncommitter Ann <ann@example.com> 1 +0000\n\n{text}".encode()
    return {
        "origin": base64.b64encode(raw).decode(),
        "origin_id": hashlib.sha1(b"commit %d\0" % len(raw) + raw).hexdigest(),
        "author_name": "Ann",
        "author_email": "ann@example.com",
        "message": text,
        "authored_at": "2020-05-01T10:00:00+02:00",
        "committed_at": f"2020-05-01T10:00:{number % 60:02d}+02:00",
        "items": list(items),
        **more,
    }


def put(path: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"path": path, "sha256": digest(content), "size": len(content), **more}


def send(
    project: Project,
    commits: list[dict[str, Any]],
    *contents: bytes,
    after: str | None = None,
    by: Person | None = None,
) -> Any:
    parts: list[Any] = [("batch", (None, json.dumps({"after": after, "changes": commits})))]
    parts += [(digest(each), (digest(each), each)) for each in contents]
    return (by or project.people.owner).post(f"{project.url}/imports/git", files=parts)


def imported(project: Project, commits: list[dict[str, Any]], *contents: bytes, after: str | None = None) -> Any:
    answer = send(project, commits, *contents, after=after)
    assert answer.status_code == 201, answer.text
    return answer.json()["changes"]


def test_commits_become_changes_with_their_author_dates_message_and_object(project):
    first = commit(1, put("a.md", b"one"), put("run.sh", b"#!", mode="100755"))
    second = commit(2, message="Empty\n\nCo-authored-by: Bot <bot@example.com>\n", attributed_to=project.people.editor.handle)
    made = imported(project, [first, second], b"one", b"#!")
    assert [(each["sequence"], each["version_count"]) for each in made] == [(1, 2), (2, 0)]
    assert [each["origin_id"] for each in made] == [first["origin_id"], second["origin_id"]]
    reader = project.people.reader
    change = reader.get(f"{project.url}/changes/1").json()
    assert change["hash"] == made[0]["hash"]
    assert (change["author_name"], change["actor"], change["source"]) == ("Ann", "import", "git")
    assert change["authored_at"] == "2020-05-01T08:00:00Z"
    assert change["origin"]["id"] == first["origin_id"]
    assert change["origin"]["sha256"] == digest(base64.b64decode(first["origin"]))
    assert [version["mode"] for version in change["versions"]] == [None, "100755"]
    later = reader.get(f"{project.url}/changes/2").json()
    assert later["origin"]["attributed_to"]["id"] == project.people.editor.id
    assert later["co_authors"] == [{"name": "Bot", "email": "bot@example.com"}]
    assert reader.get(project.file("a.md"), params={"at": second["origin_id"]}).content == b"one"
    state = reader.get(f"{project.url}/imports/git").json()
    assert state == {"after": made[1]["hash"], "last": second["origin_id"], "count": 2, "diverged": False}
    there = reader.get(f"{project.url}/imports/git/commits").json()["items"]
    assert there == [{"sequence": 1, "origin_id": first["origin_id"]}, {"sequence": 2, "origin_id": second["origin_id"]}]


def test_only_owners_import(project):
    for role, person in project.people.members().items():
        answer = send(project, [commit(1)], by=person)
        assert (answer.status_code, role) == ((201 if role == "owner" else 403), role)
    outside = send(project, [commit(2)], by=project.people.outsider)
    assert (outside.status_code, code_of(outside)) == (404, "project_not_found")
