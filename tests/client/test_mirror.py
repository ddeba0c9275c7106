"""The mirror: read without a server, and never fooled by one."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.client.api import Api
from app.client.folder import open_folder
from app.client.pull import clone
from app.errors import VersoError
from tests.client.folders import Copy, Someone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack


class Tampering(httpx.BaseTransport):
    """The real server behind somebody who changes its answers."""

    def __init__(self, change: Callable[[str, bytes], bytes]) -> None:
        self._inner = httpx.HTTPTransport()
        self._change = change

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        body = self._change(request.url.path, answer.read())
        kept = {name: value for name, value in answer.headers.items() if name == "content-type"}
        return httpx.Response(answer.status_code, headers=kept, content=body)


@pytest.fixture(scope="module")
def zoe(stack: Stack, server: Server) -> Someone:
    return Someone(stack, server, "zoe")


@pytest.fixture
def copy(zoe: Someone, tmp_path: Path) -> Any:
    """A folder whose project has three changes: a.md written, edited and moved, b.md beside it."""
    with Copy(zoe, zoe.project(), tmp_path / "work") as copy:
        copy.write("a.md", "one\n")
        copy.write("b.md", "bee\n")
        copy.push("First")
        copy.write("a.md", "two\n")
        copy.push("Second")
        (copy.root / "a.md").rename(copy.root / "c.md")
        copy.push("Third")
        yield copy


def refused(zoe: Someone, project: str, root: Path, change: Callable[[str, bytes], bytes]) -> str:
    with Api(zoe.url, zoe.token, transport=Tampering(change)) as api:
        with pytest.raises(VersoError) as error:
            clone(api, project, root)
        return error.value.code


def test_history_is_read_with_no_server(copy: Copy) -> None:
    with open_folder(copy.place, lock=False) as folder:
        mirror = folder.mirror
        assert [change.message for change in mirror.changes()] == ["Third", "Second", "First"]
        assert [change.sequence for change in mirror.changes(path="b.md")] == [1]
        assert [version.path for version in mirror.versions("c.md")] == ["c.md", "a.md", "a.md"]
        assert list(mirror.tree()) == ["b.md", "c.md"]
        assert list(mirror.tree(2)) == ["a.md", "b.md"]
        first = mirror.versions("c.md")[-1]
        assert mirror.content(first.sha256 or "") == b"one\n"
        assert mirror.resolve("#2") == mirror.resolve(mirror.change(2).hash[:10]) == 2
        assert mirror.version(first.hash[:12]) == first
        assert mirror.resolve(mirror.change(1).committed_at.isoformat()) == 1
        with pytest.raises(VersoError, match="point_not_found"):
            mirror.resolve("4")


@pytest.mark.parametrize(
    ("field", "value"),
    [("message", "Other"), ("sequence", 7), ("previous", "0" * 64), ("authored_at", "2020-01-01T00:00:00Z")],
)
def test_a_change_that_was_altered_on_the_way_is_refused(
    copy: Copy, zoe: Someone, tmp_path: Path, field: str, value: Any
) -> None:
    def alter(path: str, body: bytes) -> bytes:
        if not path.endswith("/history"):
            return body
        page = json.loads(body)
        page["items"][1][field] = value
        return json.dumps(page).encode()

    code = refused(zoe, copy.place.config.project, tmp_path / "other", alter)
    assert code in {"history_altered", "history_diverged"}


@pytest.mark.parametrize("path", ["../../outside.md", "a/../../b", "/etc/passwd"])
def test_a_version_whose_path_leads_out_is_refused(
    copy: Copy, zoe: Someone, tmp_path: Path, path: str
) -> None:
    def alter(asked: str, body: bytes) -> bytes:
        return body.replace(b'"path":"b.md"', b'"path":"%s"' % path.encode()) if "history" in asked else body

    assert refused(zoe, copy.place.config.project, tmp_path / "other", alter) in {
        "bad_path",
        "history_altered",
    }


def test_contents_that_are_not_what_they_are_named_are_refused(
    copy: Copy, zoe: Someone, tmp_path: Path
) -> None:
    def alter(path: str, body: bytes) -> bytes:
        return body.replace(b"two\n", b"TWO\n") if path.endswith("/contents") else body

    assert refused(zoe, copy.place.config.project, tmp_path / "other", alter) == "content_altered"
    assert not (tmp_path / "other" / "c.md").exists()


def test_contents_that_were_cut_off_between_two_of_them_are_not_taken_for_erased(
    copy: Copy, zoe: Someone, tmp_path: Path
) -> None:
    """By somebody in between who says all the same that the answer was whole."""

    def alter(path: str, body: bytes) -> bytes:
        return body[:1024] if path.endswith("/contents") else body  # the first one's header, and its block

    with Api(zoe.url, zoe.token, transport=Tampering(alter)) as api:
        place, _ = clone(api, copy.place.config.project, tmp_path / "other")
    assert (tmp_path / "other" / "b.md").read_bytes() == copy.files()["b.md"]
    with open_folder(place) as folder:
        erased = folder.mirror.store.sql.execute("select count(*) from contents where erased = 1")
        assert erased.fetchone() == (0,)
        assert not folder.mirror.missing()


def test_a_history_that_went_back_is_refused(copy: Copy, zoe: Someone) -> None:
    def alter(path: str, body: bytes) -> bytes:
        return b'{"items":[],"next":null,"newest":2}' if path.endswith("/history") else body

    with Api(zoe.url, zoe.token, transport=Tampering(alter)) as api:
        copy.api.close()
        copy.api = api
        with pytest.raises(VersoError, match="history_diverged"):
            copy.pull()


def test_a_content_that_was_damaged_on_this_disk_is_noticed_and_fetched_again(copy: Copy) -> None:
    with copy.opened() as folder:
        sha256 = folder.mirror.tree()["b.md"].sha256 or ""
        folder.mirror.store.sql.execute("update contents set packed = x'00' where sha256 = ?", (sha256,))
        with pytest.raises(VersoError, match="mirror_damaged"):
            folder.mirror.content(sha256)
    copy.pull()
    with copy.opened() as folder:
        assert folder.mirror.content(sha256) == b"bee\n"


def test_a_content_that_comes_back_after_it_was_erased_is_read(copy: Copy) -> None:
    """What somebody's merge comes to here may be the very bytes that were erased there."""
    data = b"they were erased once\n"
    sha256 = hashlib.sha256(data).hexdigest()
    with copy.opened() as folder:
        contents = folder.mirror.contents
        contents.note_erased(sha256)
        with pytest.raises(VersoError, match="content_erased"):
            contents.read(sha256)
        contents.add(sha256, len(data), [data])
        assert contents.read(sha256) == data


def test_a_pull_moves_only_what_is_missing(copy: Copy, zoe: Someone, tmp_path: Path) -> None:
    asked: list[int] = []

    def watch(path: str, body: bytes) -> bytes:
        if path.endswith("/contents"):
            with tarfile.open(fileobj=io.BytesIO(body)) as tar:
                asked.extend(member.size for member in tar)
        return body

    with Copy(zoe, copy.place.config.project, tmp_path / "other", transport=Tampering(watch)) as other:
        assert sorted(asked) == [4, 4, 4]
        asked.clear()
        copy.write("d.md", "a new document\n")
        copy.write("e.md", "two\n")
        copy.push()
        other.pull()
        assert asked == [len("a new document\n")]
        other.pull()
        assert len(asked) == 1
