"""Comparing without a database: what the caches may give out, and to whom."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from app.api.examples import version
from app.errors import VersoError
from app.flows.compare import Comparing, compare_as_hunks, compare_as_patch
from app.flows.diff_cache import DiffCache
from app.model import Copy, Head, VersionRead
from app.settings import Settings
from app.supabase.answers import Pair
from app.supabase.blobs import Blobs
from app.supabase.cache import BlobCache
from app.supabase.identity import Actor
from app.supabase.pool import Pool
from app.text.bounded import TextWorkers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HEAD = Head(hash=version.hash, number=7, path=version.path, live=True)
ACTOR = Actor(id="6d7a5f6e-0d1c-4a43-9b6e-3a0b8d1f2c33", email=None, token="t", expires_at=0)
COPY = Copy(object="6d7a5f6e-0d1c-4a43-9b6e-3a0b8d1f2c33", name="any", size=1)


@asynccontextmanager
async def comparing(directory: Path, *contents: bytes, project: str) -> AsyncIterator[Comparing]:
    """A real way to compare, whose blobs are cached already: Supabase isn't there."""
    pool = Pool(Settings(supabase_url="http://127.0.0.1:9", supabase_publishable_key="x"))
    cache = BlobCache(directory, limit=1 << 20)
    for content in contents:
        cache.add_bytes((project, hashlib.sha256(content).hexdigest()), content)
    async with TextWorkers() as workers:
        yield Comparing(
            blobs=Blobs(pool, cache), workers=workers, cache=DiffCache(limit=1 << 20), limit=1 << 20
        )
    await pool.close()


def side(content: bytes, *, path: str = "a.md", copies: int = 1) -> VersionRead:
    state = msgspec.structs.replace(
        version, sha256=hashlib.sha256(content).hexdigest(), size=len(content), path=path
    )
    return VersionRead(version=state, copies=[COPY] * copies, head=HEAD)


@pytest.mark.parametrize("compare", [compare_as_hunks, compare_as_patch])
async def test_what_was_erased_is_not_served_from_a_finished_diff(compare: object, tmp_path: Path) -> None:
    async with comparing(tmp_path, b"secret\n", b"2\n", project=version.project) as how:
        sides = Pair(place="a", older=side(b"secret\n"), newer=side(b"2\n"))
        for _ in range(2):
            assert await compare(how, actor=ACTOR, sides=sides)  # type: ignore[operator]
        assert how.cache.size > 0
        erased = Pair(place="a", older=side(b"secret\n", copies=0), newer=side(b"2\n"))
        with pytest.raises(VersoError) as refused:
            await compare(how, actor=ACTOR, sides=erased)  # type: ignore[operator]
        assert refused.value.code == "content_erased"


async def test_one_pair_of_contents_has_a_patch_for_each_pair_of_paths(tmp_path: Path) -> None:
    async with comparing(tmp_path, b"1\n", b"2\n", project=version.project) as how:
        patches = [
            await compare_as_patch(
                how,
                actor=ACTOR,
                sides=Pair(place=path, older=side(b"1\n", path=path), newer=side(b"2\n", path=path)),
            )
            for path in ("a.md", "b.md")
        ]
        assert [b"+++ b/a.md" in patch for patch in patches] == [True, False]
