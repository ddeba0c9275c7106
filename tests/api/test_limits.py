"""Each limit at its edge, bodies that never end, clients that leave."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.client.api import Api as Client
from app.supabase.spool import PREFIX
from tests.api.world import Api, Contract, Person, Project, code_of, read_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack import Stack

LIMITS = {
    "max_upload_size": 300_000,
    "max_change_size": 600_000,
    "max_files_per_change": 5,
    "max_json_size": 2_000,
    "max_message_length": 50,
    "max_page_size": 10,
    "default_page_size": 4,
    "max_diff_size": 1_000,
    "body_timeout": 1,
}


@pytest.fixture(scope="module")
def small_api(stack: Stack) -> Iterator[Api]:
    made = Api(stack, **LIMITS)
    left = made.spool / f"{PREFIX}of-a-killed-service"
    left.mkdir()
    os.utime(left, (0, 0))
    with made as running:
        yield running
    shutil.rmtree(running.directory)


@pytest.fixture
def editor(small_api: Api, project: Project, contract: Contract) -> Iterator[Person]:
    """The project's editor, at the process with small limits."""
    known = project.people.editor
    session = {"access_token": known.token, "user": {"id": known.id, "email": known.email}}
    with Person(small_api, session, contract) as person:
        yield person


def head_of(project: Project, method: str, path: str, *fields: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: verso",
        f"Authorization: Bearer {project.people.editor.token}",
    ]
    return "\r\n".join([*lines, *fields, "", ""]).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def problem_of(answer: bytes) -> dict[str, Any]:
    return dict(json.loads(answer.partition(b"\r\n\r\n")[2]))


def paths(project: Project) -> list[str]:
    tree = project.people.reader.get(f"{project.url}/tree", params={"limit": 200}).json()
    return [entry["path"] for entry in tree["items"]]


@pytest.mark.parametrize(("size", "status"), [(300_000, 201), (300_001, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_has_its_limit(
    editor: Person, project: Project, size: int, status: int, chunked: bool
) -> None:
    content = iter([b"x" * size]) if chunked else b"x" * size
    answer = editor.put(project.file("a"), content=content)
    assert answer.status_code == status
    if status == 413:
        assert answer.json()["limit"] == 300_000
        assert paths(project) == []


@pytest.mark.parametrize(("size", "status"), [(300_000, 201), (300_001, 413)])
def test_a_file_of_a_form_has_the_same_limit(
    editor: Person, project: Project, size: int, status: int
) -> None:
    answer = editor.post(f"{project.url}/changes", files=[("f", ("a", b"x" * size))])
    assert answer.status_code == status


def test_a_form_has_a_limit_as_a_whole(editor: Person, project: Project) -> None:
    files = [("f", (f"{n}", b"x" * 250_000)) for n in range(3)]
    assert editor.post(f"{project.url}/changes", files=files[:2]).status_code == 201
    answer = editor.post(f"{project.url}/changes", files=files)
    assert (answer.status_code, answer.json()["limit"]) == (413, 600_000)


@pytest.mark.parametrize(
    ("method", "part", "kind", "limit"),
    [
        ("PUT", "/files/a", "text/plain", 300_000),
        ("POST", "/changes", "multipart/form-data; boundary=b", 600_000),
        ("POST", "/changes", "application/json", 2_000),
        ("POST", "/tags", "application/json", 2_000),
    ],
)
def test_413_comes_before_the_body(
    small_api: Api, project: Project, *, method: str, part: str, kind: str, limit: int
) -> None:
    """Only the headers are sent, so an answer at all shows that nobody waited for the body."""
    head = head_of(
        project, method, project.url + part, f"Content-Type: {kind}", f"Content-Length: {limit + 1}"
    )
    answer = small_api.raw(head, seconds=20)
    assert status_of(answer) == 413
    assert problem_of(answer)["code"] == "too_large"


@pytest.mark.parametrize("part", ["/files/a", "/changes"])
def test_413_comes_while_a_chunked_body_goes_on(small_api: Api, project: Project, part: str) -> None:
    method = "PUT" if part == "/files/a" else "POST"
    fields = ["Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=b"]
    opening = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' if method == "POST" else b""
    )
    with socket.create_connection(("127.0.0.1", small_api.port), timeout=10) as connection:
        connection.sendall(head_of(project, method, project.url + part, *fields))
        for piece in [opening] * bool(opening) + [b"x" * 65_536] * 5:
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        assert status_of(read_answer(connection)) == 413
    assert paths(project) == []


def test_a_refused_large_upload_costs_no_body(small_api: Api, project: Project) -> None:
    """Who may not write is told so before the bytes are taken in."""
    project.written("there", "1")
    for field, status in (("If-None-Match: *", 412), ("X-Nothing: x", 428)):
        head = head_of(project, "PUT", project.file("there"), "Content-Length: 299999", field)
        assert status_of(small_api.raw(head, seconds=20)) == status


@pytest.mark.parametrize(("count", "status"), [(5, 201), (6, 413)])
def test_a_change_has_so_many_files(editor: Person, project: Project, count: int, status: int) -> None:
    url = f"{project.url}/changes"
    form = editor.post(url, files=[("f", (f"form/{n}", b"x")) for n in range(count)])
    items = [{"path": f"json/{n}", "text": "x"} for n in range(count)]
    told = editor.post(url, json={"items": items})
    assert (form.status_code, told.status_code) == (status, status)
    if status == 413:
        assert code_of(form) == code_of(told) == "too_many_files"


@pytest.mark.parametrize(("message", "status"), [("ü" * 25, 201), ("ü" * 25 + "x", 422)])
def test_a_message_is_so_long_in_bytes(editor: Person, project: Project, message: str, status: int) -> None:
    put = editor.put(project.file("a"), params={"message": message}, content=b"x")
    form = editor.post(f"{project.url}/changes", files=[("message", (None, message)), ("f", ("b", b"x"))])
    told = editor.post(
        f"{project.url}/changes", json={"message": message, "items": [{"path": "c", "text": "x"}]}
    )
    assert [put.status_code, form.status_code, told.status_code] == [status] * 3
    if status == 422:
        assert code_of(put) == code_of(form) == code_of(told) == "message_too_long"


def test_a_message_that_is_too_long_costs_no_bytes_and_no_reading(
    small_api: Api, editor: Person, project: Project
) -> None:
    url, long = f"{project.url}/changes", "x" * 51
    form = b"\r\n".join(
        [
            *(b"--b", b'Content-Disposition: form-data; name="message"', b"", long.encode()),
            *(
                b"--b",
                b'Content-Disposition: form-data; name="f"; filename="a"',
                b"",
                b"the rest never comes",
            ),
        ]
    )
    fields = "Content-Type: multipart/form-data; boundary=b", "Content-Length: 299999"
    assert status_of(small_api.raw(head_of(project, "POST", url, *fields) + form, seconds=20)) == 422
    gone = {"path": "a", "sha256": "0" * 64}
    for answer in (
        editor.post(url, json={"message": long, "items": [gone]}),
        editor.post(
            url,
            params={"message": long, "base": "no such point"},
            content=b"--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n",
            headers={"Content-Type": "text/x-diff"},
        ),
    ):
        assert (answer.status_code, code_of(answer)) == (422, "message_too_long")


def test_a_message_has_no_nul(editor: Person, project: Project) -> None:
    for answer in (
        editor.put(project.file("a"), params={"message": "a\0b"}, content=b"x"),
        editor.post(
            f"{project.url}/changes", json={"message": "a\0b", "items": [{"path": "c", "text": "x"}]}
        ),
    ):
        assert (answer.status_code, code_of(answer)) == (422, "bad_value")


def test_json_is_so_large(editor: Person, project: Project) -> None:
    def sized(size: int) -> bytes:
        body = b'{"items":[{"path":"a","text":"%s"}]}'
        return body % (b"x" * (size - len(body) + 2))

    for size, status in ((2_001, 413), (2_000, 201)):
        content: Any
        for content in (sized(size), iter([sized(size)])):
            answer = editor.post(
                f"{project.url}/changes", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code in {status, 428}, answer.text
            assert (answer.status_code == 413) == (status == 413)
    elsewhere = editor.post("/v1/projects", json={"slug": "s", "description": "x" * 2_000})
    assert (elsewhere.status_code, elsewhere.json()["limit"]) == (413, 2_000)


def test_a_page_is_so_long(editor: Person, project: Project) -> None:
    for start in (0, 5, 10):
        project.change(*({"path": f"{start + n:02}", "text": "x"} for n in range(5)))
    tree = f"{project.url}/tree"
    assert len(editor.get(tree).json()["items"]) == 4
    assert len(editor.get(tree, params={"limit": 10}).json()["items"]) == 10
    assert code_of(editor.get(tree, params={"limit": 11})) == "bad_value"
    with Client(editor.api.url, editor.token) as client:  # which asks for 200 until it is told
        assert len(list(client.pages(tree, kind=dict[str, Any]))) == 15


def test_a_diff_beyond_its_limit_says_what_is_known(editor: Person, project: Project) -> None:
    one = project.written("a", "x" * 1_000)
    two = project.written("a", "y" * 1_000, base=one["hash"])
    url = f"/v1/documents/{one['document']}/diff"
    assert editor.get(url).status_code == 200
    project.written("a", "z" * 1_001, base=two["hash"])
    answer = editor.get(url)
    assert (answer.status_code, code_of(answer)) == (422, "diff_too_large")
    assert answer.json()["to"]["size"] == 1_001


# Bodies that don't come ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "size", "sent"),
    [
        ("PUT /files/a", 290_000, 0),
        ("PUT /files/a", 290_000, 1_000),
        ("PUT /files/a", 290_000, 280_000),
        ("POST /tags", 1_000, 100),
    ],
)
def test_a_body_that_stands_still_is_408_and_leaves_nothing(
    small_api: Api, project: Project, *, ask: str, size: int, sent: int
) -> None:
    method, _, part = ask.partition(" ")
    head = head_of(project, method, project.url + part, f"Content-Length: {size}")
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", small_api.port), timeout=15) as connection:
        connection.sendall(head + b"x" * sent)
        answer = read_answer(connection)
        assert status_of(answer) == 408
        assert problem_of(answer)["code"] == "body_timeout"
        assert b"connection: close" in answer.lower()
    assert time.monotonic() - begun < 10
    assert paths(project) == []
    assert_no_temporary_files(small_api)


def test_what_a_killed_service_left_is_gone_when_the_next_one_is_ready(small_api: Api) -> None:
    assert not list(small_api.spool.glob("*killed*"))


def assert_no_temporary_files(api: Api) -> None:
    deadline = time.monotonic() + 30
    while left := list(Path(api.spool).iterdir()):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def idle(api: Api) -> None:
    """Wait until nothing is being answered but the question itself."""
    deadline = time.monotonic() + 20
    while api.metric("verso_active_requests") > 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("form", [False, True])
def test_a_client_that_leaves_at_any_tenth_leaves_nothing_behind(
    api: Api, project: Project, form: bool
) -> None:
    content = b"y" * 2_000_000
    if form:
        opening = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
        content = opening + content + b"\r\n--b--\r\n"
    method, part = ("POST", "/changes") if form else ("PUT", "/files/a")
    head = head_of(
        project,
        method,
        project.url + part,
        "Content-Type: multipart/form-data; boundary=b",
        f"Content-Length: {len(content)}",
    )
    for tenth in range(10):
        with socket.create_connection(("127.0.0.1", api.port), timeout=20) as connection:
            connection.sendall(head + content[: len(content) * tenth // 10])
            time.sleep(0.02)
    idle(api)
    assert paths(project) == []
    assert_no_temporary_files(api)
    assert project.put("a", content).status_code == 201
    assert (
        len(project.history(project.people.reader.get(f"{project.url}/tree").json()["items"][0]["document"]))
        == 1
    )
    assert_no_temporary_files(api)
    assert not [line for line in api.log_lines() if line["event"] == "fault"]


def test_a_reader_that_leaves_half_way_leaves_no_open_file(api: Api, project: Project) -> None:
    descriptors = Path(f"/proc/{api.pid}/fd")

    def blobs_open() -> set[str]:
        found = set()
        for each in descriptors.iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.add(str(each.readlink()))
        return {each for each in found if "/cache/" in each}

    others = blobs_open()
    project.written("big", b"z" * 8_000_000)
    assert len(project.people.reader.get(project.file("big")).content) == 8_000_000
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", api.port), timeout=20) as connection:
            connection.sendall(head_of(project, "GET", project.file("big")))
            connection.recv(1000)
    idle(api)
    deadline = time.monotonic() + 30
    while left := blobs_open() - others:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
