"""The same walk through the front door on any Supabase: the embedded one, and a hosted one when it is named.

    export SUPABASE_URL=https://<ref>.supabase.co SUPABASE_PUBLISHABLE_KEY=sb_publishable_…
    export VERSO_TEST_EDITOR=a@example.com:password VERSO_TEST_OUTSIDER=b@example.com:password
    make test ARGS=tests/hosted

The two people must exist there, and Verso's migrations be applied. It leaves an archived project behind.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import uuid
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from app.supabase.live import Live
from tests.api.world import Api
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTED = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "VERSO_TEST_EDITOR", "VERSO_TEST_OUTSIDER")


class Named:
    """A Supabase that the environment names, as tests.api.world.Api takes it."""

    def __init__(self) -> None:
        self.supabase_url = os.environ["SUPABASE_URL"]
        self.publishable_key = os.environ["SUPABASE_PUBLISHABLE_KEY"]
        self.env = {"SUPABASE_URL": self.supabase_url, "SUPABASE_PUBLISHABLE_KEY": self.publishable_key}


class Place(NamedTuple):
    """Where the walk goes, and who walks."""

    api: str
    supabase_url: str
    key: str
    editor: str
    outsider: str

    def client(self, token: str) -> httpx.Client:
        return httpx.Client(base_url=self.api, headers={"authorization": f"Bearer {token}"}, timeout=60)


def signed_in(url: str, key: str, email: str, password: str, *, new: bool) -> str:
    path = "signup" if new else "token?grant_type=password"
    answer = httpx.post(
        f"{url}/auth/v1/{path}",
        headers={"apikey": key},
        json={"email": email, "password": password},
        timeout=30,
    )
    assert answer.is_success, answer.text
    return str(answer.json()["access_token"])


PLACES = ["embedded", "hosted"] if all(os.environ.get(name) for name in HOSTED) else ["embedded"]


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if request.param == "hosted":
        named = Named()
        with Api(named) as api:
            tokens = [
                signed_in(
                    named.supabase_url, named.publishable_key, *os.environ[who].split(":", 1), new=False
                )
                for who in ("VERSO_TEST_EDITOR", "VERSO_TEST_OUTSIDER")
            ]
            yield Place(api.url, named.supabase_url, named.publishable_key, *tokens)
        return
    with Stack(tmp_path_factory.mktemp("any")) as stack, Api(stack) as api:
        tokens = [
            signed_in(stack.supabase_url, stack.publishable_key, f"{who}@example.com", "a-password", new=True)
            for who in ("editor", "outsider")
        ]
        yield Place(api.url, stack.supabase_url, stack.publishable_key, *tokens)


@pytest.fixture(scope="module")
def project(place: Place) -> Iterator[str]:
    with place.client(place.editor) as editor:
        made = editor.post("/v1/projects", json={"slug": f"walk-{uuid.uuid4().hex[:12]}"})
        assert made.status_code == 201, made.text
        yield made.json()["id"]
        assert editor.patch(f"/v1/projects/{made.json()['id']}", json={"archived": True}).is_success


def test_a_document_goes_in_and_its_versions_come_out(place: Place, project: str, tmp_path: Path) -> None:
    with place.client(place.editor) as editor:
        where = f"/v1/projects/{project}/files/docs/**Intent: größer.md"
        first = editor.put(where, content=b"one\ntwo\n", params={"message": "first"})
        assert first.status_code == 201, first.text
        stale = {"If-Match": first.headers["etag"]}
        second = editor.put(where, content=b"one\n2\n", headers=stale)
        assert second.status_code == 200, second.text
        assert editor.put(where, content=b"late\n", headers=stale).status_code == 412

        document = second.json()["version"]["document"]
        latest = editor.get(where)
        assert latest.content == b"one\n2\n"
        assert latest.headers["etag"] == second.headers["etag"]
        assert editor.get(where, headers={"If-None-Match": latest.headers["etag"]}).status_code == 304
        history = editor.get(f"/v1/documents/{document}/versions").json()["items"]
        assert [each["number"] for each in history] == [2, 1]
        assert history[1]["sha256"] == hashlib.sha256(b"one\ntwo\n").hexdigest()

        patch = editor.get(f"/v1/documents/{document}/diff", headers={"accept": "text/x-diff"})
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "**Intent: größer.md").write_bytes(b"one\ntwo\n")
        subprocess.run(["git", "apply", "-"], input=patch.content, cwd=tmp_path, check=True)
        assert (tmp_path / "docs" / "**Intent: größer.md").read_bytes() == b"one\n2\n"

        back = editor.post(
            f"/v1/documents/{document}/restore",
            json={"version": 1},
            headers={"If-Match": second.headers["etag"]},
        )
        assert back.status_code == 200, back.text
        assert editor.get(where).content == b"one\ntwo\n"


def test_what_is_larger_than_memory_allows_inline_goes_through_files(place: Place, project: str) -> None:
    content = os.urandom(1 << 20) * 3
    with place.client(place.editor) as editor:
        where = f"/v1/projects/{project}/files/large.bin"
        assert editor.put(where, content=content).status_code == 201
        assert editor.get(where).content == content
        assert (
            editor.get(where, headers={"range": "bytes=1000000-1000009"}).content == content[1000000:1000010]
        )


def test_a_stranger_sees_nothing_and_nobody_overwrites_an_object(place: Place, project: str) -> None:
    with place.client(place.editor) as editor, place.client(place.outsider) as outsider:
        written = editor.put(f"/v1/projects/{project}/files/private.md", content=b"private\n")
        assert written.status_code == 201, written.text
        version = written.json()["version"]
        hidden = outsider.get(f"/v1/projects/{project}/files/private.md")
        absent = outsider.get(f"/v1/projects/{uuid.uuid4()}/files/private.md")
        assert hidden.status_code == absent.status_code == 404
        assert hidden.json()["detail"] == absent.json()["detail"]
        assert outsider.get(f"/v1/documents/{version['document']}").status_code == 404

        stored = f"{place.supabase_url}/storage/v1/object/documents/{project}/{version['sha256']}"
        for token in (place.editor, place.outsider):
            headers = {"apikey": place.key, "authorization": f"Bearer {token}", "x-upsert": "true"}
            assert not httpx.post(stored, headers=headers, content=b"other bytes").is_success
            httpx.delete(stored, headers=headers)
        assert editor.get(f"/v1/documents/{version['document']}/versions/1/content").content == b"private\n"


async def test_members_are_signalled_and_strangers_are_not(place: Place, project: str) -> None:
    live = Live(place.supabase_url, place.key)
    with place.client(place.editor) as editor:
        async with (
            live.following(project, place.editor) as signals,
            live.following(project, place.outsider) as none,
        ):
            assert (await asyncio.wait_for(anext(signals), 20)).kind == "back"
            written = await asyncio.to_thread(
                editor.put, f"/v1/projects/{project}/files/signalled.md", content=b"1"
            )
            assert written.status_code == 201, written.text
            newest = (await asyncio.to_thread(editor.get, f"/v1/projects/{project}/events")).json()["newest"]
            told = await asyncio.wait_for(anext(signals), 20)
            assert (told.kind, told.sequence) == ("event", newest)
            said = {"device": "tab", "state": "editing", "path": "signalled.md"}
            assert (
                await asyncio.to_thread(editor.put, f"/v1/projects/{project}/presence", json=said)
            ).is_success
            assert (await asyncio.wait_for(anext(signals), 20)).kind == "presence"
            assert not none.connected
    await live.close()
