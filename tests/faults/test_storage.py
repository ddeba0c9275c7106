"""Storage that fails, hangs, breaks off, cuts short, alters and loses: clear errors, and never a wrong byte."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.faults.history import verify_history
from tests.faults.proxy import (
    answer,
    delay,
    drop_response,
    edit_request,
    edit_response,
    hang,
    reset_request,
    reset_response,
)
from tests.faults.service import Service
from tests.faults.world import World, client_of, problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.faults.proxy import Fault

UPLOAD = "/storage/v1/object/"
DOWNLOAD = "/storage/v1/object/authenticated/"
SMALL = b"the honest content, which is small enough for memory\n" * 40
LARGE = bytes(range(256)) * 8_000
"""Two megabytes: beyond what goes through memory, on both ways."""
CONTENTS = [pytest.param(SMALL, id="small"), pytest.param(LARGE, id="large")]


def flip(content: bytes) -> bytes:
    """The same size, other bytes."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def flip_inside(content: bytes) -> Callable[[bytes], bytes]:
    """Alters the content within a body that wraps it."""
    return lambda body: body.replace(content, flip(content))


def cut_inside(content: bytes) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(content, content[:-7])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# On the way in --------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param(answer(500), 503, "storage_unavailable", id="500"),
        pytest.param(answer(503), 503, "storage_unavailable", id="503"),
        pytest.param(answer(500, b"<html>not JSON</html>"), 503, "storage_unavailable", id="500-html"),
        pytest.param(hang, 503, "storage_unavailable", id="hang"),
        pytest.param(reset_request(100), 503, "storage_unavailable", id="reset-early"),
        pytest.param(reset_request(1_500), 503, "storage_unavailable", id="reset-half-way"),
    ],
)
async def test_a_failing_upload_is_a_clear_error_and_a_retry_writes_one_version(
    world: World, content: bytes, fault: Fault, status: int, code: str
) -> None:
    world.proxy.rule("POST", UPLOAD, fault)
    started = time.monotonic()
    refused = await world.put("in.bin", content, key="in")
    problem(refused, status, code)
    assert time.monotonic() - started < 15
    assert await world.versions() == 0
    assert world.left_behind() == []
    world.proxy.clear()
    assert (await world.put("in.bin", content, key="in")).status_code == 201
    assert (await world.get("in.bin")).content == content
    assert await world.versions() == 1


@pytest.mark.parametrize("content", CONTENTS)
async def test_an_upload_whose_answer_is_lost_succeeds_because_the_object_is_read_back(
    world: World, content: bytes
) -> None:
    world.proxy.rule("POST", UPLOAD, drop_response)
    made = await world.put("lost.bin", content)
    assert made.status_code == 201, made.text
    assert world.proxy.count("GET", DOWNLOAD) == 1
    assert (await world.get("lost.bin")).content == content
    assert len(await world.objects()) == 1


@pytest.mark.parametrize("content", CONTENTS)
async def test_an_upload_that_is_altered_on_its_way_is_noticed_and_stored_again(
    world: World, content: bytes
) -> None:
    altering = world.proxy.rule("POST", UPLOAD, edit_request(flip_inside(content)), times=1)
    made = await world.put("altered.bin", content)
    assert made.status_code == 201, made.text
    assert altering.met >= 1
    assert (await world.get("altered.bin")).content == content
    assert len(await world.objects()) == 2
    await verify_history(world.client, world.project)


@pytest.mark.parametrize("content", CONTENTS)
async def test_an_upload_that_is_cut_short_is_noticed_and_stored_again(world: World, content: bytes) -> None:
    world.proxy.rule("POST", UPLOAD, edit_request(cut_inside(content)), times=1)
    made = await world.put("cut.bin", content)
    assert made.status_code == 201, made.text
    assert (await world.get("cut.bin")).content == content
    await verify_history(world.client, world.project)


async def test_an_upload_that_is_altered_every_time_is_given_up_with_a_clear_error(world: World) -> None:
    world.proxy.rule("POST", UPLOAD, edit_request(flip_inside(SMALL)))
    refused = await world.put("always.bin", SMALL)
    problem(refused, 502, "blob_altered")
    assert await world.versions() == 0


async def test_one_altered_file_among_many_is_stored_again_and_the_change_is_whole(world: World) -> None:
    contents = {f"many/{number}.md": b"file %d of many\n" % number for number in range(12)}
    world.proxy.rule("POST", UPLOAD, edit_request(lambda body: body.replace(b"file ", b"fixe ")), times=1)
    files = [("f", (path, content)) for path, content in contents.items()]
    made = await world.client.post(f"/v1/projects/{world.project}/changes", files=files)
    assert made.status_code == 201, made.text
    for path, content in contents.items():
        assert (await world.get(path)).content == content
    (change,) = await verify_history(world.client, world.project)
    assert len(change.versions) == len(contents)


@pytest.mark.parametrize("junk", [flip(SMALL), SMALL[:-1], b""], ids=["same-size", "shorter", "empty"])
async def test_junk_planted_under_the_name_of_a_content_does_not_stop_its_upload(
    world: World, junk: bytes
) -> None:
    rival = await world.stack.user()
    me = (await world.as_user(rival).get("/v1/me")).json()
    members = f"/v1/projects/{world.project}/members/{me['id']}"
    assert (await world.client.put(members, json={"role": "editor"})).status_code == 200
    planted = await _store_directly(world, rival["access_token"], SMALL, junk)
    assert planted.status_code == 200, planted.text

    made = await world.put("honest.md", SMALL)
    assert made.status_code == 201, made.text
    assert (await world.get("honest.md")).content == SMALL
    names = sorted(await world.objects())
    assert len(names) == 2
    assert names[1].startswith(f"{names[0]}.")


async def test_an_object_that_an_earlier_try_left_behind_is_proven_and_used(world: World) -> None:
    stored = await _store_directly(world, world.owner["access_token"], SMALL, SMALL)
    assert stored.status_code == 200
    assert (await world.put("left.md", SMALL)).status_code == 201
    assert world.proxy.count("GET", DOWNLOAD) == 1
    assert len(await world.objects()) == 1


async def _store_directly(world: World, token: str, named: bytes, content: bytes) -> httpx.Response:
    """Store an object through the real Storage API, past Verso."""
    where = f"/storage/v1/object/documents/{await world.project_id()}/{sha256(named)}"
    headers = {"apikey": world.stack.publishable_key, "Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=world.stack.supabase_url, headers=headers) as client:
        return await client.post(where, content=content, headers={"content-type": "application/octet-stream"})


# On the way out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(reset_response(0), id="reset-at-once"),
        pytest.param(reset_response(1_000), id="reset-half-way"),
        pytest.param(edit_response(flip), id="altered"),
        pytest.param(edit_response(lambda body: body[:-5]), id="cut-short"),
        pytest.param(edit_response(lambda body: body + b"more"), id="too-long"),
        pytest.param(delay(0.5), id="slow"),
    ],
)
async def test_a_download_that_breaks_once_is_tried_again_and_served_whole(
    world: World, content: bytes, fault: Fault
) -> None:
    await world.put("out.bin", content)
    world.proxy.rule("GET", DOWNLOAD, fault, times=1)
    read = await world.get("out.bin")
    assert (read.status_code, read.content) == (200, content)


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param(answer(500), 503, "storage_unavailable", id="500"),
        pytest.param(answer(502, b"bad gateway"), 503, "storage_unavailable", id="502"),
        pytest.param(hang, 503, "storage_unavailable", id="hang"),
        pytest.param(reset_response(500), 503, "storage_unavailable", id="reset"),
        pytest.param(edit_response(flip), 502, "content_altered", id="altered"),
        pytest.param(edit_response(lambda body: body[:-5]), 502, "content_altered", id="cut-short"),
    ],
)
async def test_a_download_that_stays_broken_is_a_clear_error_and_nothing_of_it_is_kept(
    world: World, content: bytes, fault: Fault, status: int, code: str
) -> None:
    made = await world.put("out.bin", content)
    world.proxy.rule("GET", DOWNLOAD, fault)
    for headers in ({}, {"Range": "bytes=0-9"}):
        refused = await world.get("out.bin", **headers)
        problem(refused, status, code)
        assert content[:10] not in refused.content
    # What needs no bytes goes on working.
    assert (await world.get("out.bin", **{"If-None-Match": made.headers["etag"]})).status_code == 304
    assert (await world.client.head(world.where("out.bin"))).status_code == 200
    assert world.left_behind() == []
    world.proxy.clear()
    assert (await world.get("out.bin")).content == content


# In storage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("damage", ["altered", "truncated", "emptied"])
async def test_an_altered_object_is_never_served_and_the_original_repairs_it(
    world: World, content: bytes, damage: str
) -> None:
    first = await world.put("damaged.md", content)
    second = await world.put("damaged.md", b"something else\n", base=first.headers["etag"])
    file = await world.file_of(sha256(content))
    file.write_bytes({"altered": flip(content), "truncated": content[:-9], "emptied": b""}[damage])
    name = f"{await world.project_id()}/{sha256(content)}"
    document = first.json()["version"]["document"]

    async def broken(where: str, **headers: str) -> None:
        told = problem(await world.client.get(where, headers=headers), 502, "content_altered")
        assert told["objects"] == [name]
        assert told["sha256"] == sha256(content)

    versions = f"/v1/documents/{document}/versions"
    await broken(f"{versions}/1/content")
    await broken(f"{versions}/1/content", Range="bytes=0-3")
    await broken(world.where("damaged.md") + "?at=v1")
    await broken(f"/v1/documents/{document}/diff?from=v1&to=v2")
    await broken(f"/v1/documents/{document}/diff?from=v1&to=v2", Accept="application/json")
    # The rest of the history is as it was.
    assert (await world.get("damaged.md")).content == b"something else\n"
    listed = (await world.client.get(versions)).json()["items"]
    assert [each["number"] for each in listed] == [2, 1]

    again = await world.put("damaged.md", content, base=second.headers["etag"])
    assert again.status_code == 200, again.text
    assert (await world.get("damaged.md")).content == content
    assert (await world.client.get(f"{versions}/1/content")).content == content
    diff = await world.client.get(f"/v1/documents/{document}/diff?from=v1&to=v2")
    assert diff.status_code == 200, diff.text
    await verify_history(world.client, world.project)


async def test_the_original_repairs_a_document_whose_newest_content_it_is(world: World) -> None:
    made = await world.put("same.md", SMALL)
    (await world.file_of(sha256(SMALL))).write_bytes(flip(SMALL))
    problem(await world.get("same.md"), 502, "content_altered")
    again = await world.put("same.md", SMALL, base=made.headers["etag"])
    assert again.status_code == 200, again.text
    assert (await world.get("same.md")).content == SMALL


async def test_what_is_restored_from_an_altered_object_is_not_served_either(world: World) -> None:
    first = await world.put("r.md", SMALL)
    second = await world.put("r.md", b"other\n", base=first.headers["etag"])
    (await world.file_of(sha256(SMALL))).write_bytes(flip(SMALL))
    document = first.json()["version"]["document"]
    restored = await world.client.post(
        f"/v1/documents/{document}/restore",
        json={"version": 1},
        headers={"If-Match": second.headers["etag"]},
    )
    assert restored.status_code == 200
    problem(await world.get("r.md"), 502, "content_altered")


async def test_an_object_whose_file_is_lost_is_missing_until_the_original_is_written_again(
    world: World,
) -> None:
    made = await world.put("gone.md", SMALL)
    (await world.file_of(sha256(SMALL))).unlink()
    told: dict[str, Any] = problem(await world.get("gone.md"), 502, "content_missing")
    assert told["objects"] == [f"{await world.project_id()}/{sha256(SMALL)}"]
    further = await world.put("gone.md", b"on top\n", base=made.headers["etag"])
    assert further.status_code == 200
    again = await world.put("gone.md", SMALL, base=further.headers["etag"])
    assert again.status_code == 200, again.text
    assert (await world.get("gone.md")).content == SMALL
    assert (await world.get("gone.md?at=v1")).content == SMALL


@pytest.fixture
async def fresh(world: World, settings: dict[str, str], tmp_path: Path) -> AsyncIterator[World]:
    """The same world through an API process of the test's own."""
    told = settings | {"VERSO_CACHE_DIR": str(tmp_path / "cache"), "VERSO_SPOOL_DIR": str(tmp_path)}
    with Service(told, log=tmp_path / "api.log") as service:
        async with client_of(service, world.owner["access_token"]) as client:
            yield World(world.stack, world.proxy, service, client, world.project, world.owner, tmp_path)


async def test_a_cached_file_that_was_altered_on_disk_is_not_believed(
    fresh: World,
) -> None:
    await fresh.put("cached.bin", LARGE)
    assert (await fresh.get("cached.bin")).content == LARGE
    (cached,) = [each for each in (fresh.arriving / "cache").rglob("*") if each.is_file()]
    fresh.service.stop()
    cached.write_bytes(flip(LARGE))
    fresh.service.start()
    assert (await fresh.get("cached.bin")).content == LARGE
    # Nor one that is damaged while it runs; and all of it may go at any time.
    os.truncate(cached, 1000)
    assert (await fresh.get("cached.bin")).content == LARGE
    shutil.rmtree(fresh.arriving / "cache")
    assert (await fresh.get("cached.bin")).content == LARGE


async def test_bytes_come_from_the_cache_while_storage_is_away(world: World) -> None:
    for name, content in (("warm.md", SMALL), ("warm.bin", LARGE + os.urandom(8))):
        await world.put(name, content)
        assert (await world.get(name)).content == content
        world.proxy.rule("*", "/storage/", answer(500))
        assert (await world.get(name)).content == content
        assert (await world.get(name, Range="bytes=5-9")).content == content[5:10]
        world.proxy.clear()
