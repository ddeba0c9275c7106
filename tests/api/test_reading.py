"""Conditional and partial reads (RFC 9110), digests (RFC 9530), relations (RFC 5829, 8288)."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.api.world import Project, code_of

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def written(project: Project) -> dict[str, str]:
    return project.written("a.bin", CONTENT, Content_Type="application/x-demo")


def read(project: Project, **headers: str):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return project.people.reader.get(project.file("a.bin"), headers=fields)


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"x", "{}"', '"a,b" , W/"{}" ,"y"', "*"])
def test_what_one_has_already_is_304_without_a_body(
    project: Project, written: dict[str, str], form: str
) -> None:
    answer = read(project, If_None_Match=form.replace("{}", written["hash"]))
    assert answer.status_code == 304
    assert answer.headers["etag"] == f'"{written["hash"]}"'
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("form", ['"x"', "{}", '"{}x"', "", "W/*"])
def test_what_one_has_not_is_200(project: Project, written: dict[str, str], form: str) -> None:
    answer = read(project, If_None_Match=form.replace("{}", written["hash"]))
    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_a_repeated_if_none_match_is_one_list(project: Project, written: dict[str, str]) -> None:
    fields = [("If-None-Match", '"x"'), ("If-None-Match", f'"{written["hash"]}"')]
    assert project.people.reader.get(project.file("a.bin"), headers=fields).status_code == 304


def test_if_match_on_a_read_is_compared_strongly(project: Project, written: dict[str, str]) -> None:
    assert read(project, If_Match=f'"{written["hash"]}"').status_code == 200
    assert read(project, If_Match="*").status_code == 200
    for other in ('"x"', f'W/"{written["hash"]}"'):
        refused = read(project, If_Match=other)
        assert (refused.status_code, code_of(refused)) == (412, "precondition_failed")
    both = read(project, If_Match='"x"', If_None_Match=f'"{written["hash"]}"')
    assert both.status_code == 412, "If-Match comes first (RFC 9110, 13.2.2)"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, 1024),
        ("bytes=-1", 1023, 1024),
        ("bytes=-99999", 0, 1024),
        ("bytes=1023-99999999999999999999999999", 1023, 1024),
        ("BYTES=0-3", 0, 4),
        ("bytes= 5-6", 5, 7),
    ],
)
def test_a_range_is_206_with_those_bytes(
    project: Project, written: dict[str, str], asked: str, start: int, stop: int
) -> None:
    answer = read(project, Range=asked)
    assert (answer.status_code, answer.content) == (206, CONTENT[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/1024"
    assert answer.headers["content-length"] == str(stop - start)
    assert answer.headers["etag"] == f'"{written["hash"]}"'


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-3",
        "bytes=-",
        "bytes=a-b",
        "lines=0-1",
        "bytes=0-1,5-6",
        "bytes",
        "bytes=٣-٤".encode().decode("latin-1"),
    ],
)
def test_a_range_that_is_none_of_ours_is_ignored(
    project: Project, written: dict[str, str], asked: str
) -> None:
    answer = project.people.reader.get(project.file("a.bin"), headers={b"Range": asked.encode("latin-1")})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize(
    "asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0", "bytes=99999999999999999999-"]
)
def test_a_range_after_the_end_is_416_with_the_size(
    project: Project, written: dict[str, str], asked: str
) -> None:
    answer = read(project, Range=asked)
    assert (answer.status_code, code_of(answer)) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */1024"


def test_a_range_of_a_delete_is_no_range(project: Project, written: dict[str, str]) -> None:
    project.people.editor.delete(project.file("a.bin"), headers={"If-Match": f'"{written["hash"]}"'})
    answer = project.people.reader.get(
        f"/v1/documents/{written['document']}/versions/2/content", headers={"Range": "bytes=0-1"}
    )
    assert (answer.status_code, code_of(answer)) == (404, "version_is_delete")


def test_a_suffix_of_an_empty_file_is_the_empty_file(project: Project) -> None:
    project.written("empty", b"")
    reader = project.people.reader
    assert reader.get(project.file("empty"), headers={"Range": "bytes=-5"}).status_code == 200
    assert reader.get(project.file("empty"), headers={"Range": "bytes=0-"}).status_code == 416


def test_if_range_sends_the_whole_unless_it_names_this_version_strongly(
    project: Project, written: dict[str, str]
) -> None:
    tag = written["hash"]
    assert read(project, Range="bytes=0-3", If_Range=f'"{tag}"').status_code == 206
    for other in ('"x"', f'W/"{tag}"', "Sun, 22 Nov 2026 11:02:41 GMT"):
        assert read(project, Range="bytes=0-3", If_Range=other).content == CONTENT


def test_a_range_of_what_one_has_is_304(project: Project, written: dict[str, str]) -> None:
    assert read(project, Range="bytes=0-3", If_None_Match=f'"{written["hash"]}"').status_code == 304


def test_repr_digest_is_that_of_the_whole_content_also_in_a_part(
    project: Project, written: dict[str, str]
) -> None:
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert read(project).headers["repr-digest"] == f"sha-256=:{digest}:"
    assert read(project, Range="bytes=0-3").headers["repr-digest"] == f"sha-256=:{digest}:"


def test_versions_are_related(project: Project) -> None:
    one = project.written("a.md", "1")
    two = project.written("a.md", "2", base=one["hash"])
    project.written("a.md", "3", base=two["hash"])
    url = f"/v1/documents/{one['document']}"
    links = project.people.reader.get(f"{url}/versions/2").links
    assert links["version-history"]["url"] == f"{url}/versions"
    assert links["latest-version"]["url"] == url
    assert links["predecessor-version"]["url"] == f"{url}/versions/1"
    assert links["successor-version"]["url"] == f"{url}/versions/3"
    first = project.people.reader.get(f"{url}/versions/1/content")
    assert "predecessor-version" not in first.links
    assert "immutable" in first.headers["cache-control"]
    assert "successor-version" not in project.people.reader.get(project.file("a.md")).links


def test_a_documents_description_changes_its_tag_when_a_session_adopts_it(project: Project) -> None:
    head = project.written("sessions/s/specs/spec.md", "1")
    reader = project.people.reader
    url = f"/v1/documents/{head['document']}"
    before = reader.get(url)
    assert reader.get(url, headers={"If-None-Match": before.headers["etag"]}).status_code == 304
    made = project.people.editor.post(f"{project.url}/sessions", json={"slug": "s"})
    after = reader.get(url, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert (after.json()["session"], after.json()["stage"]) == (made.json()["id"], "spec")
    moved = project.people.editor.patch(
        url, json={"path": "sessions/s/specs/other.md"}, headers={"If-Match": after.headers["etag"]}
    )
    assert moved.status_code == 200, "the description's tag is good as a base"
