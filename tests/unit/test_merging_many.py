"""Merging many stale documents: several are read at the same time."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.errors import VersoError
from app.flows.add_change import Item
from app.flows.merge import AT_ONCE, Merging, add_change_merging
from app.settings import Settings
from app.supabase.blobs import Blobs
from app.supabase.cache import BlobCache
from app.supabase.identity import Actor
from app.supabase.ledger import Ledger
from app.supabase.pool import Pool
from app.supabase.upload import Upload
from app.text.bounded import TextWorkers

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = AT_ONCE + 2


def refusal(code: str, **detail: Any) -> httpx.Response:
    body = {"code": "PT412", "message": code, "hint": "No.", "details": json.dumps(detail)}
    return httpx.Response(412, json=body)


class Rows:
    """The rows' side of the wire: everything is stale, and nothing is read before so many ask at once."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._enough = asyncio.Event()
        self.reading = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/read_version"):
            stale = {"code": "stale_base", "live": True}
            items = [{"index": n, "document": str(n), **stale} for n in range(1, ITEMS + 1)]
            return refusal("stale_base", items=items)
        self.reading += 1
        if self.reading == self._wanted:
            self._enough.set()
        await self._enough.wait()
        return refusal("version_not_found")


async def refusal_of(rows: Rows, upload: Upload) -> VersoError:
    """What merging many items of the same upload comes to."""
    pool = Pool(Settings(supabase_url="http://rows.test", supabase_publishable_key="k"))
    pool.http._transport = httpx.MockTransport(rows)
    cache = BlobCache(None, limit=1 << 20)
    try:
        async with TextWorkers() as workers, asyncio.timeout(20):
            who = Actor(id="a", email=None, token="t", expires_at=0)
            with pytest.raises(VersoError) as refused:
                await add_change_merging(
                    Merging(Ledger(pool), Blobs(pool, cache), workers, who, limit=1 << 20),
                    project="p",
                    items=[Item(path=f"{n}.md", base="0" * 64, upload=upload) for n in range(ITEMS)],
                    message="",
                    idempotency_key=None,
                    concurrency=4,
                )
    finally:
        await pool.close()
        cache.close()
    return refused.value


async def test_several_stale_documents_are_read_at_the_same_time_and_not_all() -> None:
    rows = Rows(2 * AT_ONCE)
    assert (await refusal_of(rows, Upload.of(b"x"))).code == "version_not_found"
    assert rows.reading == 2 * AT_ONCE


async def test_what_is_too_large_to_be_merged_is_not_read(tmp_path: Path) -> None:
    rows = Rows(0)
    large = Upload(sha256="0" * 64, md5="", size=(1 << 20) + 1, path=tmp_path / "never opened")
    assert (await refusal_of(rows, large)).code == "merge_impossible"
    assert rows.reading == 0
