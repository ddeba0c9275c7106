"""What Storage keeps true when things break: servers are killed, the disk is full, uploads end half-way."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import signal
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.local.storage_cases.world import World, row, still_there, world
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

pytestmark = pytest.mark.slow

__all__ = ["world"]


# Crashes


async def _reached(done: Iterable[Any], count: int) -> bool:
    return len(list(done)) >= count


async def test_a_killed_server_loses_no_accepted_object_and_sweeps_its_drafts(tmp_path: Path) -> None:
    with Stack(tmp_path, migrations=None) as stack:
        headers = {"authorization": f"Bearer {stack.service_role_key}"}
        accepted: dict[str, bytes] = {}

        async def upload(client: httpx.AsyncClient, number: int) -> None:
            body = os.urandom(700_000 if number % 3 == 0 else 3000)
            key = f"b/{number}"
            answer = await client.post(f"/object/{key}", headers=headers, content=body)
            if answer.status_code == 200:
                accepted[key] = body

        async with httpx.AsyncClient(base_url=f"{stack.supabase_url}/storage/v1", timeout=20) as client:
            (await client.post("/bucket", headers=headers, json={"name": "b"})).raise_for_status()
            tasks = [asyncio.create_task(upload(client, number)) for number in range(200)]
            await stack.until(lambda: _reached(accepted, 40))
            stack.kill()
            await asyncio.gather(*tasks, return_exceptions=True)
        (tmp_path / "storage" / "tmp" / "left").write_bytes(b"half")
        stack.start()
        assert list((tmp_path / "storage" / "tmp").iterdir()) == []
        assert 40 <= len(accepted) < 200
        async with httpx.AsyncClient(base_url=f"{stack.supabase_url}/storage/v1", timeout=20) as client:
            for key, body in accepted.items():
                assert (await client.get(f"/object/{key}", headers=headers)).content == body
            named = await stack.psql("select name, metadata ->> 'eTag' as etag from storage.objects")
            assert len(named) >= len(accepted)
            for found in named:
                answer = await client.get(f"/object/b/{found['name']}", headers=headers)
                assert answer.status_code == 200, "every row has its bytes"
                assert found["etag"] == f'"{hashlib.md5(answer.content).hexdigest()}"'


async def test_postgres_dies_under_uploads_and_no_row_is_without_bytes(tmp_path: Path) -> None:
    with Stack(tmp_path, migrations=None) as stack:
        headers = {"authorization": f"Bearer {stack.service_role_key}"}
        statuses: Counter[int] = Counter()
        async with httpx.AsyncClient(base_url=f"{stack.supabase_url}/storage/v1", timeout=20) as client:
            (await client.post("/bucket", headers=headers, json={"name": "b"})).raise_for_status()

            async def upload(number: int) -> None:
                statuses[
                    (
                        await client.post(f"/object/b/{number}", headers=headers, content=b"x" * 5000)
                    ).status_code
                ] += 1

            tasks = [asyncio.create_task(upload(number)) for number in range(300)]
            await stack.until(lambda: _reached(statuses.elements(), 30))
            os.kill(stack.postgres_pid, signal.SIGQUIT)
            await asyncio.gather(*tasks)
            assert set(statuses) <= {200, 544}, statuses

            async def answers() -> bool:
                return (
                    await client.post("/object/b/after", headers=headers, content=b"x")
                ).status_code == 200

            await stack.until(answers)
            for found in await stack.psql("select name from storage.objects"):
                assert (await client.get(f"/object/b/{found['name']}", headers=headers)).status_code == 200


@pytest.mark.parametrize("size", [200_000, 3_000_000], ids=["small", "streamed"])
async def test_a_full_disk_is_a_500_and_leaves_nothing(world: World, size: int) -> None:
    """A limit on file sizes fails the write half-way, as a full disk does."""
    key = f"open/{uuid.uuid4()}"
    before = world.files()
    old = resource.prlimit(world.stack.pid, resource.RLIMIT_FSIZE, (150_000, -1))
    try:
        answer = await world.put("owner", key, b"x" * size)
    finally:
        resource.prlimit(world.stack.pid, resource.RLIMIT_FSIZE, old)
    assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")
    assert world.files() == before
    assert await row(world, key) is None
    assert (await world.put("owner", key, b"x" * size)).status_code == 200


# Uploads that end half-way


@pytest.mark.parametrize("sent", [0, 1, 100_000, 3_000_000])
@pytest.mark.parametrize("declared", [200_000, 5_000_000, None])
async def test_an_aborted_upload_leaves_neither_row_nor_file(
    world: World, sent: int, declared: int | None
) -> None:
    if declared is not None and sent >= declared:
        sent = declared - 1
    key = f"open/{uuid.uuid4()}"
    before = world.files()
    url = httpx.URL(world.stack.supabase_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    length = f"content-length: {declared}" if declared is not None else "transfer-encoding: chunked"
    writer.write(
        f"POST /storage/v1/object/{key} HTTP/1.1\r\nhost: x\r\n"
        f"authorization: {world.headers['owner']['authorization']}\r\n{length}\r\n\r\n".encode()
    )
    body = b"x" * sent
    writer.write(body if declared is not None else f"{sent:x}\r\n".encode() + body + b"\r\n" if sent else b"")
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""

    async def gone() -> bool:
        return world.files() == before

    await world.stack.until(gone)
    assert await row(world, key) is None


async def test_a_multipart_body_that_breaks_off_leaves_nothing(world: World) -> None:
    key = f"open/{uuid.uuid4()}"
    before = world.files()
    head = b'--b\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    for size in (10, 2_000_000):
        answer = await world.put("owner", key, head + b"x" * size, **headers)
        assert answer.json()["message"] == "Unexpected end of form"
    assert world.files() == before
    assert await row(world, key) is None


@pytest.mark.parametrize("size", [1000, 200_000, 1_000_000, 8_000_000, 60_000_000])
@pytest.mark.parametrize("multipart", [True, False], ids=["multipart", "raw"])
@pytest.mark.parametrize("refused", ["duplicate", "policy", "bucket"])
async def test_a_refused_upload_never_hangs_a_kept_alive_connection(
    world: World, size: int, multipart: bool, refused: str
) -> None:
    """Section 4 has what the real server does here: it hangs."""
    await world.put("service", "open/taken", b"x")
    key = {"duplicate": "open/taken", "policy": "docs/x", "bucket": "none/x"}[refused]
    status = {"duplicate": "409", "policy": "403", "bucket": "404"}[refused]
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(base_url=world.http.base_url, limits=limits, timeout=10) as one:
        for _ in range(2):
            body: dict[str, Any] = (
                {"files": {"f": ("f", b"x" * size)}} if multipart else {"content": b"x" * size}
            )
            answer = await one.post(f"/object/{key}", headers=world.headers["owner"], **body)
            assert answer.json()["statusCode"] == status
            assert (await one.get("/object/open/taken", headers=world.headers["owner"])).content == b"x"


async def _ask(
    world: World, key: str, *lines: str
) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request's head and read the answer's, without sending a body."""
    url = httpx.URL(world.stack.supabase_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    authorization = f"authorization: {world.headers['owner']['authorization']}"
    head = (f"POST /storage/v1/object/{key} HTTP/1.1", "host: x", authorization, *lines)
    writer.write("\r\n".join((*head, "", "")).encode())
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10), reader, writer


async def test_a_body_beyond_every_limit_closes_the_connection(world: World) -> None:
    head, reader, writer = await _ask(world, "open/vast", f"content-length: {5 * 1024**3 + 1}")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"connection: close" in head.lower()
    assert b"EntityTooLarge" in await asyncio.wait_for(reader.read(), 10)
    writer.close()


async def test_who_asks_first_needs_not_send_what_would_be_refused(world: World) -> None:
    """Expect: 100-continue (RFC 9110, section 10.1.1)."""
    await world.put("service", "open/taken", b"x")
    head, _, writer = await _ask(world, "open/taken", "content-length: 9000000", "expect: 100-continue")
    assert head.startswith(b"HTTP/1.1 400")
    writer.close()
    head, _, writer = await _ask(
        world, f"open/{uuid.uuid4()}", "content-length: 9000000", "expect: 100-continue"
    )
    assert head.startswith(b"HTTP/1.1 100")
    writer.close()


async def test_a_chunked_body_is_held_to_the_limit(world: World) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    before = world.files()
    answer = await world.http.post("/object/small/chunked", headers=world.headers["owner"], content=chunks())
    assert answer.json()["code"] == "EntityTooLarge"
    assert world.files() == before


async def test_a_chunked_body_is_stored_whole(world: World) -> None:
    pieces = [os.urandom(n) for n in (1, 65_536, 1_048_577, 3, 2_000_000)]

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    key = f"open/{uuid.uuid4()}"
    assert (
        await world.http.post(f"/object/{key}", headers=world.headers["owner"], content=chunks())
    ).status_code == 200
    await still_there(world, key, b"".join(pieces))
