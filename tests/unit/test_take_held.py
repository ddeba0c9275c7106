"""Contents that a change names and doesn't send: nothing of them is left when the change is given up."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import httpx
import pytest

from app.flows.add_change import Item
from app.flows.take_held import take_held
from app.settings import Settings
from app.supabase.blobs import Blobs
from app.supabase.cache import IN_MEMORY_SIZE, BlobCache
from app.supabase.identity import Actor
from app.supabase.mirroring import Mirroring
from app.supabase.pool import Pool

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11"
LARGE = b"x" * (IN_MEMORY_SIZE + 1)
ELSEWHERE = hashlib.sha256(b"never comes").hexdigest()


class Supabase:
    """Knows two contents. The bytes of the one that isn't cached never come."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/locate_contents"):
            self.asked.set()
            await asyncio.Event().wait()
        known = (hashlib.sha256(LARGE).hexdigest(), len(LARGE)), (ELSEWHERE, 11)
        contents = [
            {"sha256": sha256, "size": size, "copies": [{"object": PROJECT, "name": "any", "size": size}]}
            for sha256, size in known
        ]
        return httpx.Response(200, json={"project": PROJECT, "contents": contents})


async def test_who_is_cancelled_while_contents_are_taken_leaves_no_file(tmp_path: Path) -> None:
    pool = Pool(Settings(supabase_url="http://rows.test", supabase_publishable_key="k"))
    supabase = Supabase()
    pool.http._transport = httpx.MockTransport(supabase)
    cache, spool = BlobCache(tmp_path / "cache", limit=1 << 24), tmp_path / "spool"
    sha256 = hashlib.sha256(LARGE).hexdigest()
    cache.add_bytes((PROJECT, sha256), LARGE)
    spool.mkdir()
    taking = asyncio.create_task(
        take_held(
            Mirroring(pool),
            Blobs(pool, cache),
            actor=Actor(id="a", email=None, token="t", expires_at=0),
            project=PROJECT,
            items=[Item(path="large", held=sha256), Item(path="other", held=ELSEWHERE)],
            spool=spool,
            concurrency=2,
        )
    )
    try:
        async with asyncio.timeout(20):
            await supabase.asked.wait()
            while [each.stat().st_size for each in spool.iterdir()] != [len(LARGE)]:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)  # it may be handed over by now; if not, it is nobody's either
            taking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await taking
        assert list(spool.iterdir()) == []
    finally:
        taking.cancel()
        await pool.close()
        cache.close()
