"""What is forgotten after a day is forgotten for ever after: one failure doesn't end it, nor an erasure."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from app.flows.attribute import Memory
from app.flows.diff_cache import DiffCache
from app.flows.forget import Forgetter
from app.flows.git_cache import GitCache
from app.settings import Settings
from app.supabase.blobs import Blobs
from app.supabase.cache import BlobCache
from app.supabase.pool import Pool

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = Settings(supabase_url="http://nowhere.test", supabase_publishable_key="k")


async def test_a_file_that_cannot_be_removed_does_not_end_the_forgetting(tmp_path: Path) -> None:
    cache, pool, diffs = BlobCache(tmp_path / "cache", limit=1000), Pool(SETTINGS), DiffCache(limit=100_000)
    (tmp_path / "given").write_bytes(b"x")
    key = ("0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11", "a" * 64)
    cache.add_file(key, tmp_path / "given", size=1).close()
    stuck = tmp_path / "cache" / key[0] / key[1]
    stuck.unlink()
    stuck.mkdir()  # no file any more: removing it fails, whoever one is
    os.utime(stuck, (0, 0))
    repositories = GitCache(tmp_path / "git", limit=1000)
    forgetter = Forgetter(Blobs(pool, cache), diffs, Memory(), repositories, pause=0.001)
    forgetting = asyncio.create_task(forgetter.keep_forgetting())
    try:
        for _ in range(3):
            diffs.put(("kept",), b"a difference")
            async with asyncio.timeout(20):
                while diffs.size:  # noqa: ASYNC110 - a cache has no event
                    await asyncio.sleep(0.001)
        assert not forgetting.done()
    finally:
        forgetting.cancel()
        await pool.close()


async def test_forgetting_needs_no_directory_of_repositories(tmp_path: Path) -> None:
    """It is made by the first `git fetch`: an erasure before that is no fault."""
    pool, git = Pool(SETTINGS), GitCache(tmp_path / "git", limit=1000)
    blobs = Blobs(pool, BlobCache(tmp_path / "cache", limit=1000))
    forgetter = Forgetter(blobs, DiffCache(limit=100_000), Memory(), git)
    project = "0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11"
    try:
        await forgetter.content(project, "a" * 64)
        git.path(project).mkdir(parents=True)
        (git.path(project) / "HEAD").write_text("ref: refs/heads/main")
        await forgetter.content(project, "a" * 64)
        assert list((tmp_path / "git").iterdir()) == []
    finally:
        await pool.close()
