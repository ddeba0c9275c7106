"""Large bodies: flat memory in both directions, and files that are let go."""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.local.storage_cases.world import World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["world"]


@pytest.mark.slow
@pytest.mark.parametrize("multipart", [True, False], ids=["multipart", "raw"])
async def test_a_large_object_moves_through_flat_memory(
    world: World, tmp_path: Path, multipart: bool
) -> None:
    source = tmp_path / "large"
    block = os.urandom(1024 * 1024)
    with source.open("wb") as file:
        for _ in range(300):
            file.write(block)
    digest = hashlib.md5(block * 1)
    for _ in range(299):
        digest.update(block)
    gateway = psutil.Process(world.stack.pid)
    key = f"open/{uuid.uuid4()}"
    await world.put("owner", f"{key}-warm", block * 4)
    resting = gateway.memory_info().rss
    peak = resting
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, gateway.memory_info().rss)
            await asyncio.sleep(0.02)

    async def pieces() -> AsyncIterator[bytes]:
        with source.open("rb") as file:
            while chunk := file.read(256 * 1024):
                yield chunk

    watching = asyncio.create_task(watch())
    body: dict[str, Any]
    with source.open("rb") as file:
        body = {"files": {"f": ("f", file)}} if multipart else {"content": pieces()}
        answer = await world.http.post(f"/object/{key}", headers=world.headers["owner"], timeout=120, **body)
    assert answer.status_code == 200
    received = hashlib.md5()
    async with world.http.stream(
        "GET", f"/object/{key}", headers=world.headers["owner"], timeout=120
    ) as download:
        assert download.headers["etag"] == f'"{digest.hexdigest()}"'
        async for chunk in download.aiter_raw():
            received.update(chunk)
    done.set()
    await watching
    await world.http.delete(f"/object/{key}", headers=world.headers["owner"])
    assert received.hexdigest() == digest.hexdigest()
    assert peak - resting < 64 * 1024 * 1024, f"{(peak - resting) >> 20} MiB more"


async def test_a_download_that_nobody_reads_stops(world: World) -> None:
    """The client goes away after the first bytes: the server must let go of the file."""
    key = f"open/{uuid.uuid4()}"
    await world.put("owner", key, b"x" * 40_000_000)
    gateway = psutil.Process(world.stack.pid)
    for _ in range(3):
        async with world.http.stream("GET", f"/object/{key}", headers=world.headers["owner"]) as download:
            await anext(download.aiter_raw())

    async def closed() -> bool:
        return not any("/objects/" in file.path for file in gateway.open_files())

    await world.stack.until(closed)
    assert (await world.get("owner", key)).content == b"x" * 40_000_000
