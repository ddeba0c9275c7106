"""A gigabyte in and out through the API, with the memory of its process watched all the time."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.memory import Watched
from tests.faults.service import Service
from tests.faults.world import client_of, left_behind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.stack import Stack

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
GIGABYTE = 1024 * MIB
ALLOWED_GROWTH = 64 * MIB
SECONDS = 120
"""It takes a third of this on two idle cores."""


async def test_a_gigabyte_goes_in_and_comes_out_in_bounded_memory(stack: Stack, tmp_path: Path) -> None:
    block = os.urandom(MIB)
    sent, received = hashlib.sha256(), hashlib.sha256()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(GIGABYTE // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            sent.update(piece)
            yield piece

    settings = {**stack.env, "VERSO_SPOOL_DIR": str(tmp_path), "VERSO_CACHE_DIR": str(tmp_path / "cache")}
    owner = await stack.user()
    with Service(settings, log=tmp_path / "api.log") as service:
        async with client_of(service, owner["access_token"]) as client:
            client.timeout = SECONDS
            await client.post("/v1/projects", json={"slug": "gigabyte"})
            where = "/v1/projects/gigabyte/files/large.bin"
            await client.put(where, content=b"warm\n" * 100_000)
            head = await client.get(where)
            watched = Watched(service.process)
            started = time.monotonic()
            async with watched.during():
                made = await client.put(
                    where,
                    content=pieces(),
                    headers={"Content-Length": str(GIGABYTE), "If-Match": head.headers["etag"]},
                )
                assert made.status_code == 200, made.text
                assert made.json()["version"]["sha256"] == sent.hexdigest()
                async with client.stream("GET", where) as answer:
                    assert int(answer.headers["content-length"]) == GIGABYTE
                    async for piece in answer.aiter_raw():
                        received.update(piece)
            assert received.digest() == sent.digest()
            assert watched.growth < ALLOWED_GROWTH
            assert time.monotonic() - started < SECONDS
    assert left_behind(tmp_path) == []
