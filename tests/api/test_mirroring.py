"""A project in bulk: history in whole changes, contents many at a time; enough to check every hash elsewhere."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import psutil
import pytest

from app.model import Change, change_canonical, hash_of, version_canonical
from tests.api.world import code_of

if TYPE_CHECKING:
    from tests.api.world import Api, Person, Project


def sha256(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def history(project: Project, **query: Any) -> list[dict[str, Any]]:
    """All changes, by following the links."""
    url = str(project.people.reader.build_request("GET", f"{project.url}/history", params=query).url)
    found: list[dict[str, Any]] = []
    while url:
        answer = project.people.reader.get(url)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        url = answer.links.get("next", {}).get("url", "")
    return found


def contents(person: Person, project: Project, *hashes: str) -> httpx.Response:
    return person.post(f"{project.url}/contents", json={"sha256": list(hashes)})


def unpacked(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


@pytest.mark.parametrize("query", [{}, {"limit": 1}, {"limit": 2}])
def test_history_is_enough_to_check_every_hash(project: Project, query: dict[str, Any]) -> None:
    first = project.written("a.md", "1")
    project.change({"path": "a.md", "text": "2", "base": first["hash"]}, {"path": "b.md", "text": "3"})
    document = f"/v1/documents/{first['document']}"
    head = project.history(first["document"])[0]["hash"]
    project.people.editor.delete(document, headers={"If-Match": f'"{head}"'})
    previous = None
    changes = msgspec.convert(history(project, **query), list[Change], strict=False)
    assert [change.sequence for change in changes] == [1, 2, 3]
    for change in changes:
        assert change.previous == previous
        for version in change.versions:
            assert hash_of(version_canonical(version)) == version.hash
        previous = hash_of(change_canonical(change, [version.hash for version in change.versions]))
        assert change.hash == previous
    assert project.people.reader.get(project.url).json()["change_hash"] == previous


def test_history_goes_on_from_where_one_is(project: Project) -> None:
    for number in range(3):
        project.written(f"{number}.md", "x")
    answer = project.people.reader.get(f"{project.url}/history?after=1")
    assert [each["sequence"] for each in answer.json()["items"]] == [2, 3]
    assert (answer.json()["next"], answer.json()["newest"]) == (None, 3)
    answer = project.people.reader.get(f"{project.url}/history?after=1&limit=1")
    assert answer.json()["next"] == 2
    answer = project.people.reader.get(f"{project.url}/history?after=9")
    assert answer.json() == {"items": [], "next": None, "newest": 3}


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "limit=0", "limit=100000", "after=4611686018427387904"]
)
def test_history_takes_numbers_only(project: Project, query: str) -> None:
    assert project.people.reader.get(f"{project.url}/history?{query}").status_code in {400, 422}


def test_contents_come_as_one_tar_in_the_order_asked_for(project: Project) -> None:
    texts = [b"", b"1", b"\0" * 511, b"\0" * 512, os.urandom(300_000), "é\r\n".encode()]
    for number, text in enumerate(texts):
        project.written(f"{number}.bin", text)
    asked = [sha256(text) for text in reversed(texts)]
    answer = contents(project.people.reader, project, *asked, asked[0])
    assert answer.headers["content-type"] == "application/x-tar"
    found = unpacked(answer.content)
    assert list(found) == asked
    assert all(sha256(data) == name for name, data in found.items())
    assert answer.content.endswith(bytes(1024))


def test_no_contents_are_an_empty_tar(project: Project) -> None:
    assert contents(project.people.reader, project).content == bytes(1024)


def test_a_content_of_elsewhere_is_not_found_before_the_stream(project: Project) -> None:
    project.written("a.md", "mine")
    refused = contents(project.people.reader, project, sha256("mine"), sha256("not mine"))
    assert (refused.status_code, code_of(refused)) == (404, "content_not_found")
    assert refused.json()["sha256"] == sha256("not mine")


def test_one_content_is_its_bytes_and_never_changes(project: Project) -> None:
    project.written("a.html", "<script>1</script>")
    url = f"{project.url}/contents/{sha256('<script>1</script>')}"
    answer = project.people.reader.get(url)
    assert answer.content == b"<script>1</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "immutable" in answer.headers["cache-control"]
    again = project.people.reader.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    for other in (sha256("else"), "A" * 64, "x"):
        assert code_of(project.people.reader.get(f"{project.url}/contents/{other}")) == "content_not_found"
    large = os.urandom(1_000_000)
    project.written("large", large)
    assert project.people.reader.get(f"{project.url}/contents/{sha256(large)}").content == large


def test_have_names_what_a_version_holds(project: Project) -> None:
    project.written("a.md", "mine")
    asked = {"sha256": [sha256("mine"), sha256("not mine")]}
    answer = project.people.reader.post(f"{project.url}/have", json=asked)
    assert answer.json() == {"have": [sha256("mine")]}


@pytest.mark.parametrize(("address", "most"), [("have", 10_000), ("contents", 1_000)])
def test_what_is_asked_is_checked(project: Project, address: str, most: int) -> None:
    reader, url = project.people.reader, f"{project.url}/{address}"
    assert reader.post(url, json={"sha256": ["A" * 64]}).status_code == 400
    assert reader.post(url, json={"sha256": "x"}).status_code == 400
    assert reader.post(url, json={"sha256": [], "more": 1}).status_code == 400
    assert code_of(reader.post(url, json={"sha256": ["0" * 64] * (most + 1)})) == "bad_value"


def test_strangers_get_what_they_get_for_nothing(project: Project) -> None:
    project.written("a.md", "secret")
    outsider, name = project.people.outsider, sha256("secret")
    for home in (project.url, "/v1/projects/no-such-project"):
        answers = [
            outsider.get(f"{home}/history"),
            outsider.post(f"{home}/have", json={"sha256": [name]}),
            outsider.post(f"{home}/contents", json={"sha256": [name]}),
            outsider.get(f"{home}/contents/{name}"),
        ]
        assert [(each.status_code, code_of(each)) for each in answers] == [(404, "project_not_found")] * 4


def test_altered_bytes_are_never_in_a_tar(project: Project, api: Api, stack: Any) -> None:
    """Somebody with the disk changes an object: the tar ends before it, and isn't whole."""
    project.written("a.bin", "good")
    project.written("b.bin", "soon altered")
    name = sha256("soon altered")
    held = [path for path in stack.data.rglob("*") if path.is_file() and path.read_bytes() == b"soon altered"]
    assert held
    for path in held:
        path.chmod(0o600)
        path.write_bytes(b"evil altered")
    with project.people.reader.stream(
        "POST", f"{project.url}/contents", json={"sha256": [sha256("good"), name]}
    ) as answer:
        assert answer.status_code == 200
        received = bytearray()
        with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012 - not even HTTP takes it for whole
            for piece in answer.iter_raw():
                received += piece
    assert b"evil" not in received
    assert not received.endswith(bytes(1024))


def test_a_page_of_history_is_1_round_trip_and_contents_1_and_the_new_ones(
    project: Project, api: Api
) -> None:
    hashes = [project.written(f"{n}.md", f"cost of {n}")["sha256"] for n in range(5)]
    assert api.cost(project.people.reader.get(f"{project.url}/history")) == 1
    assert api.cost(project.people.reader.post(f"{project.url}/have", json={"sha256": hashes})) == 1
    assert api.cost(contents(project.people.reader, project, *hashes)) == 1 + 5
    assert api.cost(contents(project.people.reader, project, *hashes)) == 1, (
        "contents are immutable and cached"
    )


def test_many_large_contents_pass_through_little_memory(project: Project, api: Api) -> None:
    hashes = [project.written(f"{number}.bin", os.urandom(12 << 20))["sha256"] for number in range(8)]
    process = psutil.Process(api.pid)
    contents(project.people.reader, project, hashes[0])
    before = most = process.memory_info().rss
    size = 0
    with project.people.reader.stream("POST", f"{project.url}/contents", json={"sha256": hashes}) as answer:
        for piece in answer.iter_raw():
            size += len(piece)
            most = max(most, process.memory_info().rss)
    assert size > 96 << 20
    assert most - before < 40 << 20
