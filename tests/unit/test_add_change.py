"""A change whose bytes were stored: what the database says of them then is mended, or told as it is."""

from __future__ import annotations

import json

import httpx
import pytest

from app.errors import VersoError
from app.flows.add_change import Item, add_change
from app.settings import Settings
from app.supabase.blobs import Blobs
from app.supabase.cache import BlobCache
from app.supabase.identity import Actor
from app.supabase.ledger import Ledger
from app.supabase.pool import Pool
from app.supabase.upload import Upload

PROJECT = "0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11"
UPLOAD = Upload.of(b"secret")


class Supabase:
    """Takes the bytes; then their content turns out to be erased."""

    def __init__(self) -> None:
        self.uploads = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/prepare_change"):
            item = {"document": None, "number": 1, "path": "a.md", "unchanged": False, "copies": []}
            return httpx.Response(200, json={"project": PROJECT, "repeat_of": None, "items": [item]})
        if request.url.path.endswith("/commit_change"):
            problem = {"index": 1, "code": "content_erased", "path": "a.md", "sha256": UPLOAD.sha256}
            details = json.dumps({"items": [problem]})
            body = {"code": "PT410", "message": "content_erased", "hint": "No.", "details": details}
            return httpx.Response(410, json=body)
        self.uploads += request.method == "POST"
        return httpx.Response(200, json={"Id": PROJECT, "Key": f"documents/{PROJECT}/{UPLOAD.sha256}"})


async def test_a_content_that_is_erased_while_it_is_written_is_not_stored_again() -> None:
    pool = Pool(Settings(supabase_url="http://rows.test", supabase_publishable_key="k"))
    supabase = Supabase()
    pool.http._transport = httpx.MockTransport(supabase)
    cache = BlobCache(None, limit=1 << 20)
    try:
        with pytest.raises(VersoError) as refused:
            await add_change(
                Ledger(pool),
                Blobs(pool, cache),
                actor=Actor(id="a", email=None, token="t", expires_at=0),
                project=PROJECT,
                items=[Item(path="a.md", create=True, upload=UPLOAD)],
                message="",
                idempotency_key=None,
                concurrency=1,
            )
    finally:
        await pool.close()
        cache.close()
    assert (refused.value.code, supabase.uploads) == ("content_erased", 1)
