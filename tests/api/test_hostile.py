"""Hostile paths, names, types and documents."""

from __future__ import annotations

import gzip
import unicodedata

import pytest

from tests.api.world import Api, Project, code_of, tag

GOOD = [
    "a",
    "a b",
    " a",
    "**Intent: first thoughts – Zoë.md",  # noqa: RUF001
    "a:b/c:d",
    "日本語/文書.md",
    "👩‍🚀/🚀.md",
    "a%2Fb",
    "a+b&c=d?e#f",
    "..a/b..",
    "...",
    "a\\b",
    "'\"<script>",
    ".hidden",
    "a;v=1",
    "C:",
    "https://x.org/y".replace("//", "/"),
    "\u202egpj.exe",
    "-rf",
    "a\u00a0b",
    "/".join(["d"] * 500),
]


@pytest.mark.parametrize("path", GOOD)
def test_any_path_that_is_text_works(project: Project, path: str) -> None:
    version = project.written(path, path)
    assert version["path"] == unicodedata.normalize("NFC", path)
    answer = project.people.reader.get(project.file(path))
    assert answer.content == path.encode()
    name = path.rpartition("/")[2]
    disposition = answer.headers["content-disposition"]
    assert disposition.isascii()
    assert disposition.count('"') == 2, name
    assert project.change({"path": path, "text": "x"}).status_code == 428


def test_paths_are_one_in_both_normal_forms(project: Project) -> None:
    written = project.written("caf\u0065\u0301.md", "1")
    assert written["path"] == "caf\u00e9.md"
    assert project.people.reader.get(project.file("caf\u00e9.md")).text == "1"
    assert project.put("caf\u00e9.md", "2").status_code == 428


@pytest.mark.parametrize("length", [1024, 1025])
def test_a_path_has_at_most_1024_bytes(project: Project, length: int) -> None:
    path = "ü" * (length // 2) + "x" * (length % 2)
    assert len(path.encode()) == length
    answer = project.put(path, "1")
    assert answer.status_code == (201 if length == 1024 else 422)
    assert project.change({"path": path + "y", "text": "1"}).status_code == 422


RAW = [
    b"a//b",
    b"/a",
    b"a/",
    b"a/../b",
    b"../b",
    b"a/./b",
    b".",
    b"..",
    b"%2e%2e/b",
    b"a/%2E%2e",
    b"a%2F%2Fb",
    b"%2Fa",
    b"a%00b",
    b"a%0Ab",
    b"a%7Fb",
    b"a%C2%85b",
    b"a%E2%80%A8b",
    b"a%FFb",
    b"%C0%AE%C0%AE/b",
    b"%ED%A0%80",
    b"",
]


@pytest.mark.parametrize("path", RAW)
@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE"])
def test_a_path_that_is_none_is_refused_and_never_mended(
    project: Project, api: Api, path: bytes, method: bytes
) -> None:
    target = project.url.encode() + b"/files/" + path
    answer = api.raw(
        b"%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        % (method, target, project.people.editor.token.encode())
    )
    status = answer.split(b" ", 2)[1]
    assert status in {b"422", b"404"} if path else status in {b"404", b"422", b"405"}, answer
    if path:
        assert b'"code":"bad_path"' in answer, answer
    assert project.people.reader.get(f"{project.url}/tree").json()["items"] == []


def test_a_percent_encoded_slash_divides_like_one(project: Project, api: Api) -> None:
    project.written("a/b", "1")
    assert project.people.reader.get(f"{project.url}/files/a%2Fb").text == "1"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("x.html", b"<script>alert(1)</script>", "text/html"),
        ("x.svg", b"<svg onload=alert(1)>", "image/svg+xml"),
        ("x.xhtml", b"<html xmlns='http://www.w3.org/1999/xhtml'><script/></html>", "application/xhtml+xml"),
        ("x.xml", b"<?xml-stylesheet href='x'?><x/>", "text/xml"),
        ("x.js", b"alert(1)", "text/javascript"),
        ("x.pdf", b"%PDF-1.4", "application/pdf"),
        ("x.bin", b"<html>", "application/octet-stream"),
    ],
)
def test_a_document_that_could_run_is_an_attachment_in_a_sandbox(
    project: Project, name: str, content: bytes, kind: str
) -> None:
    version = project.written(name, content, Content_Type=kind)
    for url in (project.file(name), f"/v1/documents/{version['document']}/versions/1/content"):
        answer = project.people.reader.get(url)
        assert answer.content == content
        assert answer.headers["content-type"].partition(";")[0] == kind
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["content-disposition"].startswith("attachment;")


def test_a_markdown_document_is_shown_and_stays_text(project: Project) -> None:
    project.written("x.md", "<script>alert(1)</script>")
    answer = project.people.reader.get(project.file("x.md"))
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("inline;")
    assert "allow-scripts" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "kind",
    [
        "x",
        "/",
        "text/",
        "text/html, text/plain",
        "text/html; x",
        'text/html; x="a;b"',
        "a" * 200 + "/b",
        "text/ht ml",
        "t\xe9xt/html",
    ],
)
def test_a_content_type_that_is_none_is_415(project: Project, kind: str) -> None:
    answer = project.people.editor.put(
        project.file("a"), content=b"x", headers={b"Content-Type": kind.encode("latin-1")}
    )
    assert (answer.status_code, code_of(answer)) == (415, "bad_media_type")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("text/HTML; charset=UTF-8", "text/html; charset=UTF-8"),
        ('text/markdown;charset="utf-8"', "text/markdown;charset=utf-8"),
        ("application/vnd.api+json", "application/vnd.api+json"),
        ("application/octet-stream", "text/markdown"),
        ("application/x-www-form-urlencoded", "text/markdown"),
    ],
)
def test_a_content_type_is_kept_or_taken_from_the_name(project: Project, given: str, kept: str) -> None:
    assert project.written("a.md", "x", Content_Type=given)["media_type"] == kept


@pytest.mark.parametrize("name", ["notes.md.gz", "a.tar.gz", "data:text", "x.svgz", "Makefile", "x.unknown"])
def test_a_compressed_or_unknown_name_is_not_text(project: Project, name: str) -> None:
    assert project.written(name, b"\x1f\x8b")["media_type"].startswith("application/")


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Content-Encoding", "gzip", 415),
        ("Content-Encoding", "identity", 201),
        ("Content-Range", "bytes 0-0/1", 400),
        ("If-None-Match", '"x"', 400),
        ("Content-Digest", "sha-256=x", 400),
        ("Content-Digest", "sha-256=:eA==:", 400),
        ("Content-Digest", "sha-256=:!:", 400),
        ("Content-Digest", "sha-512=:eA==:", 201),
        ("Repr-Digest", "", 400),
    ],
)
def test_headers_that_a_write_cannot_mean_are_refused(
    project: Project, header: str, value: str, status: int
) -> None:
    answer = project.people.editor.put(project.file("a"), content=b"x", headers={header: value})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("route", ["tags", "changes"])
def test_json_that_is_packed_is_refused_with_what_is_taken(project: Project, route: str) -> None:
    answer = project.people.owner.post(
        f"{project.url}/{route}",
        content=gzip.compress(b'{"name": "x"}'),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert (answer.status_code, code_of(answer)) == (415, "unsupported_encoding")
    assert answer.headers["accept-encoding"] == answer.json()["accepted"] == "identity"


def test_json_without_documents_has_a_smaller_limit(project: Project) -> None:
    most = 2 * 1024 * 1024
    for size, told in ((most, (400, "bad_request")), (most + 1, (413, "too_large"))):
        body = b'{"name":[' + b"[]," * ((size - 13) // 3) + b" " * ((size - 13) % 3) + b"[]]}"
        assert len(body) == size
        answer = project.people.owner.post(
            f"{project.url}/sessions", content=body, headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, code_of(answer)) == told
    assert answer.json()["limit"] == most


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"name":' * 100_000, b'{"name": "x", "y": ' + b"[" * 100_000]
)
def test_json_that_is_nested_without_end_is_refused(project: Project, body: bytes) -> None:
    for route in ("tags", "sessions", "have", "changes"):
        answer = project.people.owner.post(
            f"{project.url}/{route}", content=body, headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, code_of(answer)) == (400, "bad_json")


def test_a_create_that_names_a_base_as_well_is_refused(project: Project) -> None:
    head = tag(project.put("a", "1"))
    answer = project.put("a", "2", base=head, If_None_Match="*")
    assert (answer.status_code, code_of(answer)) == (400, "bad_condition")


def test_a_digest_that_is_not_that_of_the_bytes_stores_nothing(project: Project) -> None:
    wrong = "sha-256=:" + "A" * 43 + "=:"
    for content in (b"x", b"x" * 400_000):
        answer = project.put("a", content, Content_Digest=wrong)
        assert (answer.status_code, code_of(answer)) == (400, "digest_mismatch")
    assert project.people.reader.get(project.file("a")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nope", 404, "not_found"),
        ("GET", "/nope", 404, "not_found"),
        ("GET", "/v1/documents/not-an-id", 404, "not_found"),
        ("GET", "/v1/documents/0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11", 404, "document_not_found"),
        ("PUT", "/v1/me", 405, "method_not_allowed"),
        ("TRACE", "/v1/me", 405, "method_not_allowed"),
        ("GET", "/problems/nope", 404, "not_found"),
        ("GET", "/v1/projects/%00", 400, "bad_request"),
        ("GET", "/v1/projects/a%0d%0ab", 404, "project_not_found"),
    ],
)
def test_addresses_that_are_none_are_problems(
    project: Project, method: str, path: str, status: int, code: str
) -> None:
    answer = project.people.owner.request(method, path)
    assert (answer.status_code, code_of(answer)) == (status, code)
    if status == 405:
        assert "GET" in answer.headers["allow"]


def test_every_problem_type_is_an_address_that_explains_it(project: Project) -> None:
    refused = project.people.owner.get("/v1/projects/nope")
    explained = project.people.owner.get(refused.json()["type"])
    assert explained.json() == {"code": "project_not_found", "status": 404, "title": refused.json()["title"]}
