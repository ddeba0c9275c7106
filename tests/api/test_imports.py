"""A Git history coming in over HTTP: commits become changes, contents come as parts that are named by their hash."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.supabase.cache import IN_MEMORY_SIZE
from tests.api.world import Person, Project, code_of

LARGE = b"x" * (IN_MEMORY_SIZE + 1)
"""So large that it waits in a file."""


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


def imported(
    project: Project, commits: list[dict[str, Any]], *contents: bytes, after: str | None = None
) -> Any:
    answer = send(project, commits, *contents, after=after)
    assert answer.status_code == 201, answer.text
    return answer.json()["changes"]


def test_commits_become_changes_with_their_author_dates_message_and_object(project):
    first = commit(1, put("a.md", b"one"), put("run.sh", b"#!", mode="100755"))
    second = commit(
        2,
        message="Empty\n\nCo-authored-by: Bot <bot@example.com>\n",
        attributed_to=project.people.editor.handle,
    )
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
    assert there == [
        {"sequence": 1, "origin_id": first["origin_id"]},
        {"sequence": 2, "origin_id": second["origin_id"]},
    ]


def test_only_owners_import(project):
    for role, person in project.people.members().items():
        answer = send(project, [commit(1)], by=person)
        assert (answer.status_code, role) == ((201 if role == "owner" else 403), role)
    outside = send(project, [commit(2)], by=project.people.outsider)
    assert (outside.status_code, code_of(outside)) == (404, "project_not_found")


# The body ---------------------------------------------------------------------------------------------


def test_the_batch_may_be_json_when_there_is_nothing_to_send(project):
    first = imported(project, [commit(1, put("a.md", b"one"))], b"one")
    batch = {"after": first[0]["hash"], "changes": [commit(2, put("b.md", b"one")), commit(3)]}
    answer = project.people.owner.post(f"{project.url}/imports/git", json=batch)
    assert answer.status_code == 201, answer.text
    assert [each["version_count"] for each in answer.json()["changes"]] == [1, 0]
    other = project.people.owner.post(
        f"{project.url}/imports/git", content=b"x", headers={"Content-Type": "text/plain"}
    )
    assert (other.status_code, code_of(other)) == (415, "bad_media_type")


def test_what_the_project_has_need_not_be_sent_and_what_it_lacks_is_named(project):
    missing = send(project, [commit(1, put("a.md", b"one"), put("b.md", b"two"))], b"one")
    assert (missing.status_code, code_of(missing)) == (422, "no_content")
    assert [each["path"] for each in missing.json()["items"]] == ["b.md"]
    assert missing.json()["items"][0]["origin_id"] == commit(1)["origin_id"]
    first = imported(project, [commit(1, put("a.md", b"one"))], b"one")
    imported(project, [commit(2, put("b.md", b"one"))], after=first[0]["hash"])
    assert project.people.reader.get(project.file("b.md")).content == b"one"


def test_a_lost_answer_is_given_again_and_a_longer_batch_goes_on(project):
    batch = [commit(1, put("a.md", b"one")), commit(2, put("a.md", b"two"))]
    first = imported(project, batch, b"one", b"two")
    assert imported(project, batch, b"one", b"two") == first
    assert imported(project, batch) == first  # not even the bytes are needed
    longer = imported(project, [*batch, commit(3, put("a.md", b"three"))], b"three")
    assert longer[:2] == first
    assert [each["sequence"] for each in longer] == [1, 2, 3]


def test_the_place_of_a_batch_is_checked_before_its_contents_come(project):
    first = imported(project, [commit(1, put("a.md", b"one"))], b"one")
    stale = send(project, [commit(2, put("b.md", b"two"))], b"two")
    assert (stale.status_code, code_of(stale)) == (409, "import_stale")
    assert stale.json()["head"] == first[0]["hash"]
    project.written("native.md", "mine")
    diverged = send(project, [commit(2)], after=first[0]["hash"])
    assert (diverged.status_code, code_of(diverged)) == (409, "import_diverged")
    conflict = send(project, [commit(1, put("a.md", b"two"))], b"two")
    assert (conflict.status_code, code_of(conflict)) == (409, "import_conflict")


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([("batch", (None, "{"))], 400, "bad_json"),
        ([("batch", (None, '{"changes": []}'))], 400, "bad_json"),
        ([("other", (None, "x"))], 400, "bad_multipart"),
        ([(digest(b"one"), ("f", b"one"))], 400, "bad_multipart"),
        ([("batch", "good"), (digest(b"two"), ("f", b"two"))], 400, "bad_multipart"),
        ([("batch", "good"), (digest(b"one"), ("f", b"two"))], 400, "digest_mismatch"),
        (
            [("batch", "good"), (digest(b"one"), ("f", b"one")), (digest(b"one"), ("f", b"one"))],
            400,
            "bad_multipart",
        ),
        ([("batch", "good"), ("batch", "good")], 400, "bad_multipart"),
        ([("batch", "large"), (digest(LARGE), ("f", LARGE)), ("batch", "good")], 400, "bad_multipart"),
        ([("batch", "size"), (digest(b"one"), ("f", b"one"))], 422, "bad_value"),
    ],
)
def test_what_is_no_batch_is_refused_and_leaves_nothing(project, api, parts, status, code):
    good = json.dumps({"changes": [commit(1, put("a.md", b"one"))]})
    large = json.dumps({"changes": [commit(1, put("a.md", LARGE))]})
    named = {"good": good, "size": good.replace('"size": 3', '"size": 4'), "large": large}
    files = [(name, (None, named[value]) if isinstance(value, str) else value) for name, value in parts]
    answer = project.people.owner.post(f"{project.url}/imports/git", files=files)
    assert (answer.status_code, code_of(answer)) == (status, code), answer.text
    assert project.people.owner.get(project.url).json()["change_sequence"] == 0
    assert list(api.spool.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"origin": base64.b64encode(b"tree x").decode()}, 422, "bad_origin"),
        ({"origin_id": "0" * 40}, 422, "bad_origin"),
        ({"origin_id": "0" * 64}, 422, "bad_origin"),
        ({"origin_id": "x"}, 400, "bad_json"),
        ({"origin": ""}, 422, "bad_origin"),
        ({"attributed_to": "nobody-of-that-name"}, 404, "member_not_found"),
        ({"items": [{"path": "a//b", "delete": True}]}, 422, "bad_path"),
        ({"items": [{"path": "a", "delete": True}]}, 404, "document_not_found"),
        ({"items": [{"path": "a", "mode": "100777"}]}, 400, "bad_json"),
        ({"items": [{"path": "a", "delete": True, "take": "0" * 40}]}, 422, "bad_item"),
        ({"items": [{"path": "a", "sha256": "0" * 64}]}, 422, "bad_item"),
        ({"items": [{"path": "a", "take": "0" * 40}]}, 422, "bad_item"),
        ({"items": [{"path": "a", "base": "0" * 64}]}, 400, "bad_json"),
        ({"authored_at": "1700-01-01T00:00:00Z"}, 422, "bad_import"),
    ],
)
def test_the_refusal_names_the_commit(project, change, status, code):
    given = commit(2) | change
    answer = send(project, [commit(1), given])
    assert (answer.status_code, code_of(answer)) == (status, code), answer.text
    if code not in {"bad_json", "member_not_found"}:
        assert answer.json()["origin_id"] == given["origin_id"]


def test_what_git_knows_of_a_name_or_message_is_kept_as_it_can_be(project):
    made = commit(1, author_name="Zo\u00eb\x07\n Ann ", author_email="", message="a\x00b" + "\u00e9" * 40_000)
    imported(project, [made])
    change = project.people.reader.get(f"{project.url}/changes/1").json()
    assert (change["author_name"], change["origin"]["author_email"]) == ("Zo\u00eb  Ann", None)
    assert change["message"] == "ab" + "\u00e9" * 32_767


def test_paths_come_in_their_normal_form(project):
    imported(project, [commit(1, put("re\u0301sume\u0301.md", b"one"))], b"one")
    assert project.people.reader.get(project.file("r\u00e9sum\u00e9.md")).content == b"one"


def test_altered_objects_are_mended_when_the_batch_comes_again(project, stack):
    """Somebody stored junk under the content's name: the import does not take it for the content."""
    junk = httpx.post(
        f"{stack.supabase_url}/storage/v1/object/documents/{project.id}/{digest(b'one')}",
        content=b"two",
        headers={"apikey": stack.publishable_key, "Authorization": f"Bearer {project.people.editor.token}"},
    )
    assert junk.status_code == 200, junk.text
    imported(project, [commit(1, put("a.md", b"one"))], b"one")
    assert project.people.reader.get(project.file("a.md")).content == b"one"


def test_large_contents_pass_through_little_memory(project, api):
    sizes = [5_000_000 + n for n in range(12)]
    contents = [bytes([n]) * size for n, size in enumerate(sizes)]
    imported(project, [commit(1)])  # what a first request takes once
    before = peak(api.pid)
    batch = [commit(n + 2, put(f"{n}.bin", content)) for n, content in enumerate(contents)]
    after = project.people.owner.get(f"{project.url}/imports/git").json()["after"]
    imported(project, batch, *contents, after=after)
    assert peak(api.pid) - before < 40_000_000
    deadline = time.monotonic() + 20
    while list(api.spool.iterdir()):  # it is emptied behind the answer
        assert time.monotonic() < deadline
        time.sleep(0.02)


def peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_the_round_trips_are_two_and_one_for_each_new_content(project, api):
    contents = [f"content {n}".encode() for n in range(5)]
    first = send(project, [commit(n, put("a.md", content)) for n, content in enumerate(contents)], *contents)
    assert api.cost(first) == 2 + 5
    again = send(project, [commit(9, put("b.md", contents[0]))], after=first.json()["changes"][-1]["hash"])
    assert api.cost(again) == 2


# What is seen of it -----------------------------------------------------------------------------------


def test_log_blame_tree_and_versions_tell_whom_git_names(project):
    first = commit(1, put("a.md", b"one\n", mode="100755"))
    imported(project, [first], b"one\n")
    reader = project.people.reader
    assert reader.get(f"{project.url}/tree").json()["items"][0]["mode"] == "100755"
    logged = reader.get(f"{project.url}/changes", params={"author": "ANN@example.com"}).json()["items"]
    assert [(each["author_name"], each["origin"]["id"]) for each in logged] == [("Ann", first["origin_id"])]
    document = reader.get(f"{project.url}/tree").json()["items"][0]["document"]
    version = reader.get(f"/v1/documents/{document}/versions/1").json()
    assert (version["mode"], version["change"]["author_name"]) == ("100755", "Ann")
    blame = reader.get(f"/v1/documents/{document}/blame").json()
    assert [each["author_name"] for each in blame["origins"]] == ["Ann"]
    assert blame["origins"][0]["origin"]["id"] == first["origin_id"]
    text = reader.get(f"/v1/documents/{document}/blame", headers={"Accept": "text/plain"}).text
    assert "(Ann 2020-05-01 08:00:00 +0000 1) one" in text


def test_ordinary_items_say_a_mode(project):
    made = project.change({"path": "run.sh", "create": True, "text": "#!", "mode": "100755"}).json()[
        "change"
    ]["versions"][0]
    assert made["mode"] == "100755"
    edited = project.change({"path": "run.sh", "base": made["hash"], "text": "#!/bin/sh"}).json()["change"][
        "versions"
    ][0]
    assert edited["mode"] == "100755"
    plain = project.change({"path": "run.sh", "base": edited["hash"], "mode": "100644"}).json()["change"][
        "versions"
    ][0]
    assert (plain["action"], plain["mode"]) == ("edit", None)


def test_a_tag_keeps_its_git_object(project):
    imported(project, [commit(1)])
    raw = b"object 0\ntype commit\ntag v1.0\n\n\xff"
    body = {"name": "v1.0", "at": commit(1)["origin_id"], "origin": base64.b64encode(raw).decode()}
    refusal = project.people.editor.post(f"{project.url}/tags", json=body)
    assert (refusal.status_code, code_of(refusal)) == (403, "role_too_low")
    assert project.people.owner.post(f"{project.url}/tags", json=body).status_code == 201
    listed = project.people.reader.get(f"{project.url}/tags").json()["items"]
    assert base64.b64decode(listed[0]["origin"]) == raw


def test_pages_of_commits_go_on_where_they_ended(project):
    imported(project, [commit(n) for n in range(5)])
    seen: list[int] = []
    address = f"{project.url}/imports/git/commits?limit=2"
    while address:
        answer = project.people.reader.get(address)
        seen += [each["sequence"] for each in answer.json()["items"]]
        address = answer.links.get("next", {}).get("url", "")
    assert seen == [1, 2, 3, 4, 5]
