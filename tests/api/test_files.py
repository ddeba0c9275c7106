"""Files by path: bytes in, bytes out, and nobody's work overwritten."""

from __future__ import annotations

import hashlib

import pytest

from tests.api.world import Project, code_of, tag


def test_a_file_comes_back_as_it_was_sent(project: Project) -> None:
    content = b"# One\r\n\xff\x00\n"
    assert project.put("docs/one.md", content).status_code == 201
    for person in project.people.members().values():
        answer = person.get(project.file("docs/one.md"))
        assert answer.content == content
        assert answer.headers["content-length"] == str(len(content))


def test_an_empty_file_is_a_file(project: Project) -> None:
    assert project.written("empty", b"")["size"] == 0
    answer = project.people.reader.get(project.file("empty"))
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_first_version_is_created_and_the_next_one_answers_200(project: Project) -> None:
    first = project.put("a.md", "1")
    assert first.status_code == 201
    assert first.headers["location"].endswith("/versions/1")
    second = project.put("a.md", "2", base=tag(first))
    assert second.status_code == 200
    assert second.json()["version"]["number"] == 2
    assert second.json()["version"]["parent"] == tag(first)
    assert second.json()["change"] == 2


def test_a_write_without_a_base_to_something_that_exists_is_428(project: Project) -> None:
    first = project.written("a.md", "1")
    refused = project.put("a.md", "2")
    assert refused.status_code == 428
    assert code_of(refused) == "base_required"
    assert refused.json()["head"] == first["hash"]


def test_a_stale_write_is_412_and_names_the_head(project: Project) -> None:
    first = project.written("a.md", "1")
    second = project.written("a.md", "2", base=first["hash"])
    refused = project.put("a.md", "3", base=first["hash"])
    assert (refused.status_code, code_of(refused)) == (412, "stale_base")
    assert refused.json()["head"] == second["hash"]
    assert refused.json()["base"] == first["hash"]
    assert project.people.reader.get(project.file("a.md")).text == "2"


def test_a_base_where_nothing_is_is_stale(project: Project) -> None:
    refused = project.put("a.md", "1", base="0" * 64)
    assert (refused.status_code, code_of(refused)) == (412, "stale_base")
    assert refused.json()["head"] is None


def test_if_none_match_star_creates_and_refuses_to_overwrite(project: Project) -> None:
    assert project.put("a.md", "1", If_None_Match="*").status_code == 201
    refused = project.put("a.md", "2", If_None_Match="*")
    assert (refused.status_code, code_of(refused)) == (412, "already_exists")


def test_the_same_content_again_writes_no_version(project: Project) -> None:
    first = project.written("a.md", "1")
    again = project.put("a.md", "1", base=first["hash"])
    assert (again.status_code, again.json()["change"]) == (200, None)
    assert tag(again) == first["hash"]
    assert len(project.history(first["document"])) == 1


def test_a_repeat_of_ones_own_last_write_is_no_conflict(project: Project) -> None:
    first = project.written("a.md", "1")
    second = project.written("a.md", "2", base=first["hash"])
    again = project.put("a.md", "2", base=first["hash"])
    assert again.status_code == 200
    assert tag(again) == second["hash"]
    other = project.put("a.md", "2", base=first["hash"], by=project.people.owner)
    assert other.status_code == 412


@pytest.mark.parametrize("role", ["reviewer", "reader"])
def test_those_who_may_only_read_may_not_write(project: Project, role: str) -> None:
    head = project.written("a.md", "1")["hash"]
    person = project.people.members()[role]
    for refused in (
        project.put("b.md", "2", by=person),
        project.put("a.md", "2", by=person, base=head),
        person.delete(project.file("a.md"), headers={"If-Match": f'"{head}"'}),
        person.post(f"{project.url}/changes", json={"items": [{"path": "c.md", "text": "3"}]}),
    ):
        assert (refused.status_code, code_of(refused)) == (403, "role_too_low")


def test_head_says_what_get_says(project: Project) -> None:
    project.written("a.md", b"12345", Content_Type="text/markdown")
    get = project.people.reader.get(project.file("a.md"))
    head = project.people.reader.head(project.file("a.md"))
    assert head.status_code == 200
    same = set(get.headers) - {"date", "x-request-id"}
    assert {name: head.headers[name] for name in same} == {name: get.headers[name] for name in same}


def test_a_deleted_file_is_404_and_says_where_its_history_is(project: Project) -> None:
    first = project.written("a.md", "1")
    deleted = project.people.editor.delete(
        project.file("a.md"), headers={"If-Match": f'"{first["hash"]}"'}, params={"message": "old"}
    )
    assert deleted.status_code == 200
    assert deleted.json()["version"]["action"] == "delete"
    assert deleted.json()["version"]["change"]["message"] == "old"
    gone = project.people.reader.get(project.file("a.md"))
    assert (gone.status_code, code_of(gone)) == (404, "document_deleted")
    assert gone.json()["document"] == first["document"]
    assert gone.json()["head"] == tag(deleted)
    assert project.people.reader.head(project.file("a.md")).status_code == 404


def test_a_delete_needs_the_head(project: Project) -> None:
    first = project.written("a.md", "1")
    project.written("a.md", "2", base=first["hash"])
    url = project.file("a.md")
    assert project.people.editor.delete(url).status_code == 428
    assert project.people.editor.delete(url, headers={"If-Match": f'"{first["hash"]}"'}).status_code == 412
    missing = project.people.editor.delete(project.file("b.md"), headers={"If-Match": f'"{first["hash"]}"'})
    assert missing.status_code == 404


def test_what_is_written_where_something_was_deleted_continues_its_history(project: Project) -> None:
    first = project.written("a.md", "1")
    project.people.editor.delete(project.file("a.md"), headers={"If-Match": f'"{first["hash"]}"'})
    third = project.written("a.md", "3")
    assert (third["document"], third["number"]) == (first["document"], 3)


def test_a_moved_file_says_where_it_went(project: Project) -> None:
    first = project.written("a.md", "1")
    project.people.editor.patch(
        f"/v1/documents/{first['document']}",
        json={"path": "b/c.md"},
        headers={"If-Match": f'"{first["hash"]}"'},
    )
    gone = project.people.reader.get(project.file("a.md"))
    assert (gone.status_code, code_of(gone)) == (404, "document_moved")
    assert gone.json()["moved_to"] == "b/c.md"
    assert project.people.reader.get(project.file("b/c.md")).text == "1"


def test_a_document_cannot_be_a_folder_at_once(project: Project) -> None:
    project.written("a/b.md", "1")
    assert code_of(project.put("a", "2")) == "path_taken"
    assert code_of(project.put("a/b.md/c", "2")) == "path_taken"


def test_a_path_at_a_point_is_what_it_was_there(project: Project) -> None:
    one = project.written("a.md", "1")
    two = project.written("a.md", "2", base=one["hash"])
    project.written("other.md", "x")
    three = project.written("a.md", "3", base=two["hash"])
    reader = project.people.reader
    for at, content in {
        "1": "1",
        "2": "2",
        "3": "2",
        "4": "3",
        "v1": "1",
        "v2": "2",
        "v3": "3",
        one["hash"]: "1",
        three["hash"]: "3",
        two["change"]["hash"]: "2",
    }.items():
        assert reader.get(project.file("a.md"), params={"at": at}).text == content, at


def test_a_point_that_is_none_is_refused_with_its_reason(project: Project) -> None:
    project.written("a.md", "1")
    reader = project.people.reader
    for at, status, code in (
        ("0", 404, "document_not_found"),
        ("99", 404, "point_not_found"),
        ("v9", 404, "version_not_found"),
        ("f" * 64, 404, "point_not_found"),
        ("no such tag!", 422, "bad_point"),
        ("-1", 422, "bad_point"),
        ("9" * 30, 404, "point_not_found"),
    ):
        answer = reader.get(project.file("a.md"), params={"at": at})
        assert (answer.status_code, code_of(answer)) == (status, code), at


def test_what_was_at_a_path_before_a_delete_can_still_be_read(project: Project) -> None:
    first = project.written("a.md", "1")
    project.people.editor.delete(project.file("a.md"), headers={"If-Match": f'"{first["hash"]}"'})
    reader = project.people.reader
    assert reader.get(project.file("a.md"), params={"at": "1"}).text == "1"
    assert code_of(reader.get(project.file("a.md"), params={"at": "2"})) == "document_not_found"
    assert code_of(reader.get(project.file("a.md"), params={"at": "v2"})) == "version_is_delete"


def test_a_numbered_state_is_cached_for_ever_and_the_latest_is_asked_for_again(project: Project) -> None:
    first = project.written("a.md", "1")
    reader = project.people.reader
    assert reader.get(project.file("a.md")).headers["cache-control"] == "private, no-cache"
    for at in ("1", first["hash"]):
        assert "immutable" in reader.get(project.file("a.md"), params={"at": at}).headers["cache-control"]
    # which document v1 of this path is can change
    assert (
        reader.get(project.file("a.md"), params={"at": "v1"}).headers["cache-control"] == "private, no-cache"
    )


def test_a_version_names_its_bytes_and_its_author(project: Project) -> None:
    version = project.written("a.md", b"hello", Content_Type="text/markdown")
    assert version["sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert version["size"] == 5
    assert version["media_type"] == "text/markdown"
    assert version["change"]["author"]["id"] == project.people.editor.id


def test_a_project_whose_slug_is_files_has_files(project: Project) -> None:
    made = project.people.owner.post("/v1/projects", json={"slug": "files"}).json()
    url = "/v1/projects/files/files/files/a.md"
    assert project.people.owner.put(url, content=b"x").json()["version"]["path"] == "files/a.md"
    assert project.people.owner.get(f"/v1/projects/{made['id']}/files/files/a.md").content == b"x"
