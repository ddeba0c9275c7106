"""Uploads that end otherwise than their client meant: expired, disconnected, too slow, too much for the disk."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from tests.faults.proxy import Hold, hang
from tests.faults.service import Service
from tests.faults.world import World, client_of, problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

MIB = 1024 * 1024
TWO_MEGABYTES = os.urandom(2 * MIB)
LEEWAY_SECONDS = 6
"""A little more than what the service allows between clocks."""


# The token expires -----------------------------------------------------------------------------------


@pytest.fixture
async def hasty(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose token expires in one and a half seconds: before the service gives a silent Supabase up."""
    await asyncio.sleep((0.5 - time.time()) % 1)
    user = world.owner["user"]["id"]
    token = world.stack.sign(sub=user, exp=int(time.time()) + 2)
    async with client_of(world.service, token) as client:
        assert (await client.get("/v1/me")).status_code == 200
        yield client


async def expired(client: httpx.AsyncClient) -> None:
    """Wait until a client's token is over."""
    token = client.headers["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    await asyncio.sleep(claims["exp"] - time.time() + 0.1)


async def test_a_token_that_expires_while_the_body_comes_is_said_to_have_expired(
    world: World, hasty: httpx.AsyncClient
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(LEEWAY_SECONDS):
            yield TWO_MEGABYTES[: MIB // 4]
            await asyncio.sleep(1)

    refused = await hasty.put(world.where("slow.bin"), content=slow())
    problem(refused, 401, "unauthenticated")
    assert "expired" in refused.json()["detail"]
    await _assert_nothing_half_done(world)


@pytest.mark.parametrize("step", ["/rpc/prepare_change", "/object/documents/"], ids=["put", "commit"])
async def test_a_token_that_expires_between_two_steps_is_said_to_have_expired(
    world: World, hasty: httpx.AsyncClient, step: str
) -> None:
    held = Hold()
    world.proxy.rule("POST", step, held.after, times=1)
    writing = asyncio.create_task(hasty.put(world.where("late.md"), content=b"late\n"))
    await held.reached.wait()
    await expired(hasty)
    held.release.set()
    refused = await writing
    problem(refused, 401, "unauthenticated")
    assert "expired" in refused.json()["detail"]
    await _assert_nothing_half_done(world)
    written = await world.put("late.md", b"late\n")
    assert written.status_code == 201, written.text


async def test_a_token_that_expires_before_the_bytes_are_read_does_not_make_them_missing(
    world: World, hasty: httpx.AsyncClient
) -> None:
    await world.put("read.md", b"still there\n")
    held = Hold()
    world.proxy.rule("POST", "/rpc/read_file", held.after, times=1)
    reading = asyncio.create_task(hasty.get(world.where("read.md")))
    await held.reached.wait()
    await expired(hasty)
    held.release.set()
    problem(await reading, 401, "unauthenticated")
    assert (await world.get("read.md")).content == b"still there\n"


async def test_who_is_refused_by_storage_is_told_what_came_between(world: World) -> None:
    where = f"/v1/projects/{world.project}"
    held = Hold()
    world.proxy.rule("POST", "/rpc/prepare_change", held.after, times=1)
    writing = asyncio.create_task(world.put("late.md", b"late\n"))
    await held.reached.wait()
    assert (await world.client.patch(where, json={"archived": True})).status_code == 200
    held.release.set()
    problem(await writing, 403, "project_archived")
    assert (await world.client.patch(where, json={"archived": False})).status_code == 200
    await _assert_nothing_half_done(world)


async def _assert_nothing_half_done(world: World) -> None:
    assert await world.versions() == 0
    assert await world.rows("select 1 from public.blobs where project_id = $1") == []
    assert world.left_behind() == []


# The client leaves -----------------------------------------------------------------------------------


async def test_a_client_that_leaves_at_any_percent_of_an_upload_leaves_nothing(world: World) -> None:
    told_before = world.service.log.stat().st_size

    async def leave(percent: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", world.service.port)
        writer.write(_head(world, f"left-{percent}.bin", len(TWO_MEGABYTES)))
        writer.write(TWO_MEGABYTES[: len(TWO_MEGABYTES) * percent // 100])
        await writer.drain()
        if percent % 2:
            writer.transport.abort()
        writer.close()

    for first in range(0, 100, 10):
        await asyncio.gather(*(leave(percent) for percent in range(first, first + 10)))

    async def quiet() -> bool:
        return await _active(world) == 0

    await world.stack.until(quiet)
    assert await world.versions() == 0
    assert await world.objects() == []
    assert world.left_behind() == []
    assert b'"fault"' not in world.service.log.read_bytes()[told_before:]
    assert (await world.put("left-50.bin", TWO_MEGABYTES)).status_code == 201


async def test_a_client_that_leaves_while_its_change_is_committed_gets_it_with_its_key(world: World) -> None:
    held = Hold()
    world.proxy.rule("POST", "/rpc/commit_change", held.after, times=1)
    writing = asyncio.create_task(world.put("gone.md", b"gone\n", key="gone"))
    await held.reached.wait()
    writing.cancel()
    held.release.set()
    again = await world.put("gone.md", b"gone\n", key="gone")
    assert again.status_code == 201
    assert await world.versions() == 1


async def test_a_body_that_stands_still_is_given_up(
    world: World, settings: dict[str, str], tmp_path: Path
) -> None:
    impatient = settings | {"VERSO_BODY_TIMEOUT": "0.5"}
    with Service(impatient, log=tmp_path / "api.log") as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(_head(world, "still.bin", len(TWO_MEGABYTES)) + TWO_MEGABYTES[:MIB])
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 20)
        assert b" 408 " in answer
        writer.close()
    assert await world.versions() == 0
    assert world.left_behind() == []


def _head(world: World, path: str, length: int) -> bytes:
    return (
        f"PUT {world.where(path)} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n"
        f"authorization: Bearer {world.owner['access_token']}\r\n\r\n"
    ).encode()


async def _active(world: World) -> int:
    """Requests under way beside the one that asks."""
    lines = (await world.client.get("/metrics")).text.splitlines()
    return int(float(next(each for each in lines if each.startswith("verso_active_requests")).split()[1])) - 1


# The disk is full ------------------------------------------------------------------------------------


def _limited(kind: str, directory: Path) -> tuple[str, ...]:
    """What to run a process with, so that no more than 4 MiB fit where it keeps files."""
    if kind == "file-size":
        return ("prlimit", f"--fsize={4 * MIB}")
    mount = f'mount -t tmpfs -o size=4m tmpfs {directory} && exec "$@"'
    return ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")


def _can(prefix: tuple[str, ...]) -> bool:
    return subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(params=["file-size", "small-disk"])
async def cramped(
    request: Any, world: World, settings: dict[str, str], tmp_path: Path
) -> AsyncIterator[World]:
    """The same world through an API whose disk has 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    prefix = _limited(request.param, disk)
    if not _can(prefix):
        pytest.skip(f"this machine lets nobody make a {request.param}")
    told = settings | {"VERSO_SPOOL_DIR": str(disk), "VERSO_CACHE_DIR": str(disk / "cache")}
    with Service(told, log=tmp_path / "api.log", prefix=prefix) as service:
        seen = Path(f"/proc/{service.process.pid}/root{disk}")
        async with client_of(service, world.owner["access_token"]) as client:
            yield World(world.stack, world.proxy, service, client, world.project, world.owner, seen)


async def test_a_full_disk_is_said_so_leaks_nothing_and_the_service_goes_on(cramped: World) -> None:
    large = TWO_MEGABYTES * 4
    for _ in range(3):
        problem(await cramped.put("large.bin", large), 507, "disk_full")
        assert cramped.left_behind() == []
    assert await cramped.versions() == 0
    assert (await cramped.put("small.md", b"small\n")).status_code == 201
    assert (await cramped.put("middle.bin", TWO_MEGABYTES)).status_code == 201
    assert (await cramped.get("small.md")).content == b"small\n"
    assert (await cramped.get("middle.bin")).content == TWO_MEGABYTES
    several = await cramped.client.post(
        f"/v1/projects/{cramped.project}/changes", files=[("f", ("a.md", b"a\n")), ("f", ("b.bin", large))]
    )
    problem(several, 507, "disk_full")
    assert await cramped.versions() == 2
    assert cramped.left_behind() == []


async def test_a_document_that_does_not_fit_on_the_disk_cannot_be_read_and_all_others_can(
    cramped: World, world: World
) -> None:
    large = TWO_MEGABYTES * 4
    assert (await world.put("large.bin", large)).status_code == 201
    await world.put("small.md", b"small\n")
    for _ in range(3):
        problem(await cramped.get("large.bin"), 507, "disk_full")
        assert cramped.left_behind() == []
    assert (await cramped.get("small.md")).content == b"small\n"
    assert (await world.get("large.bin")).content == large


# Too many at once ------------------------------------------------------------------------------------


async def test_uploads_that_hang_in_storage_do_not_stop_reads(world: World) -> None:
    await world.put("read.md", b"read\n")
    hanging = world.proxy.rule("POST", "/storage/v1/object/", hang)
    writing = [asyncio.create_task(world.put(f"w{number}.md", b"%d" % number)) for number in range(10)]

    async def all_hang() -> bool:
        return hanging.met == len(writing)

    assert await world.stack.until(all_hang)
    assert (await world.get("read.md")).content == b"read\n"
    assert not any(task.done() for task in writing)
    for refused in await asyncio.gather(*writing):
        problem(refused, 503, "storage_unavailable")
