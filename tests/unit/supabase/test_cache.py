"""The cache of verified bytes: bounded, and nothing on disk is believed by its name."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
from pathlib import Path

import pytest

from app.supabase.cache import MEMORY_LIMIT, BlobCache, Key
from app.supabase.spool import PREFIX

PROJECT = "0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11"


def key_of(content: bytes, project: str = PROJECT) -> Key:
    return project, hashlib.sha256(content).hexdigest()


def added(cache: BlobCache, content: bytes) -> Key:
    file = cache.directory / f"arriving-{len(content)}-{content[:1].hex()}"
    file.write_bytes(content)
    cache.add_file(key_of(content), file, size=len(content)).close()
    return key_of(content)


async def read(cache: BlobCache, key: Key) -> bytes | None:
    content = await cache.get(key)
    if content is None:
        return None
    with content:
        return await content.read()


def opened(directory: Path) -> list[str]:
    """The files below a directory that this process has open."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            found.append(str(each.readlink()))
    return [each for each in found if each.startswith(str(directory))]


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    return BlobCache(tmp_path / "cache", limit=100)


async def test_what_is_added_is_read_back(cache: BlobCache) -> None:
    assert await read(cache, added(cache, b"on disk")) == b"on disk"
    cache.add_bytes(key_of(b"in memory"), b"in memory")
    assert await read(cache, key_of(b"in memory")) == b"in memory"
    assert await read(cache, key_of(b"neither")) is None


async def test_the_same_content_of_another_project_is_not_had(cache: BlobCache) -> None:
    added(cache, b"secret")
    cache.add_bytes(key_of(b"small"), b"small")
    other = "5a8f1c1e-1f0e-4d0f-b0c4-3a3f9a2f7d10"
    assert await read(cache, key_of(b"secret", other)) is None
    assert await read(cache, key_of(b"small", other)) is None


async def test_the_least_recently_used_goes_first(cache: BlobCache) -> None:
    a, b = added(cache, b"a" * 40), added(cache, b"b" * 40)
    await read(cache, a)
    c = added(cache, b"c" * 40)
    assert [await read(cache, key) is not None for key in (a, b, c)] == [True, False, True]
    held = sum(path.stat().st_size for path in cache.directory.rglob("*") if path.is_file())
    assert held <= 100


async def test_what_is_evicted_stays_readable_for_who_is_reading(cache: BlobCache) -> None:
    key = added(cache, b"a" * 90)
    content = await cache.get(key)
    assert content is not None
    added(cache, b"b" * 90)
    assert await read(cache, key) is None
    with content:
        assert await content.read() == b"a" * 90


async def test_what_is_larger_than_the_cache_lives_as_long_as_its_reader(cache: BlobCache) -> None:
    file = cache.directory / "arriving"
    file.write_bytes(b"x" * 200)
    content = cache.add_file(key_of(b"x" * 200), file, size=200)
    assert not file.exists()
    with content:
        assert await content.read() == b"x" * 200
    assert await cache.get(key_of(b"x" * 200)) is None


async def test_memory_is_bounded(cache: BlobCache) -> None:
    step = 256 * 1024
    for n in range(MEMORY_LIMIT // step + 1):
        data = n.to_bytes(4, "big") * (step // 4)
        cache.add_bytes(key_of(data), data)
    assert await cache.get(key_of(bytes(step))) is None
    assert await read(cache, key_of(data)) == data


async def test_files_of_an_earlier_run_are_hashed_before_they_are_used(tmp_path: Path) -> None:
    first = BlobCache(tmp_path / "cache", limit=100)
    good, bad = added(first, b"good"), added(first, b"bad!")
    (first.directory / bad[0] / bad[1]).write_bytes(b"evil")
    again = BlobCache(tmp_path / "cache", limit=100)
    assert await read(again, good) == b"good"
    assert await read(again, bad) is None
    assert not (again.directory / bad[0] / bad[1]).exists()


@pytest.mark.parametrize("now", [b"evil", b"go"])
async def test_a_file_that_somebody_wrote_to_since_is_hashed_anew_and_not_served(
    cache: BlobCache, now: bytes
) -> None:
    key = added(cache, b"good")
    assert await read(cache, key) == b"good"
    file = cache.directory / key[0] / key[1]
    file.write_bytes(now)
    os.utime(file, (2, 2))  # a file system's clock may stand still between two writes
    assert await read(cache, key) is None
    assert await read(cache, added(cache, b"good")) == b"good"


async def test_a_file_that_somebody_writes_to_while_it_is_read_ends_the_reading(cache: BlobCache) -> None:
    key = added(cache, b"good")
    content = await cache.get(key)
    assert content is not None
    file = cache.directory / key[0] / key[1]
    file.write_bytes(b"evil")
    os.utime(file, (2, 2))
    with content, pytest.raises(OSError, match="written to"):
        await content.read()


async def test_what_goes_while_a_cache_begins_is_not_there(tmp_path: Path) -> None:
    first = BlobCache(tmp_path / "cache", limit=100)
    key = added(first, b"good")
    (first.directory / key[0] / ("f" * 64)).symlink_to("evicted by another process meanwhile")
    assert await read(BlobCache(tmp_path / "cache", limit=100), key) == b"good"


def test_what_a_killed_process_was_fetching_goes_with_the_next_start(tmp_path: Path) -> None:
    left, arriving = (tmp_path / f"{PREFIX}{name}" for name in ("left", "arriving"))
    for each in (left, arriving):
        each.write_bytes(b"half of it")
    os.utime(left, (1, 1))
    BlobCache(tmp_path, limit=100)
    assert (left.exists(), arriving.exists()) == (False, True)


async def test_a_planted_file_of_another_content_is_never_served(tmp_path: Path) -> None:
    planted = tmp_path / "cache" / PROJECT / ("f" * 64)
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"planted")
    cache = BlobCache(tmp_path / "cache", limit=100)
    assert await read(cache, (PROJECT, "f" * 64)) is None


async def test_files_of_an_earlier_run_count(tmp_path: Path) -> None:
    first = BlobCache(tmp_path / "cache", limit=100)
    old, new = added(first, b"o" * 60), key_of(b"n" * 30)
    os.utime(first.directory / old[0] / old[1], (1, 1))
    added(first, b"n" * 30)
    smaller = BlobCache(tmp_path / "cache", limit=50)
    assert await read(smaller, old) is None
    assert await read(smaller, new) == b"n" * 30


async def test_a_file_that_somebody_removed_is_a_miss(cache: BlobCache) -> None:
    key = added(cache, b"gone")
    (cache.directory / key[0] / key[1]).unlink()
    assert await read(cache, key) is None


async def test_a_part_is_read_in_pieces(cache: BlobCache) -> None:
    key = added(cache, bytes(range(90)))
    content = await cache.get(key)
    assert content is not None
    with content:
        assert b"".join([piece async for piece in content.chunks(10, 20)]) == bytes(range(10, 20))


def test_a_directory_of_its_own_is_private_and_removed() -> None:
    cache = BlobCache(None, limit=100)
    assert cache.directory.stat().st_mode & 0o077 == 0
    cache.close()
    assert not cache.directory.exists()


async def test_what_is_to_be_forgotten_is_gone_from_memory_and_disk(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "cache", limit=1 << 20)
    small, large = ("p", "a" * 64), ("p", "b" * 64)
    cache.add_bytes(small, b"small")
    (tmp_path / "given").write_bytes(b"large")
    with cache.add_file(large, tmp_path / "given", size=5) as reading:
        for key in (small, large, ("p", "c" * 64)):
            await cache.forget(key)
            assert await cache.get(key) is None
        assert await reading.read() == b"large"
    assert [each for each in (tmp_path / "cache").rglob("*") if each.is_file()] == []


async def test_what_came_long_ago_is_forgotten_however_often_it_is_used(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "cache", limit=1 << 20)
    keys = [("p", digit * 64) for digit in "ab"]
    cache.add_bytes(keys[0], b"small")
    (tmp_path / "given").write_bytes(b"large")
    cache.add_file(keys[1], tmp_path / "given", size=5).close()
    await cache.forget_old(3600)
    for key in keys:
        found = cache._memory.get(key) or (key in cache._files)
        assert found
    await cache.forget_old(-1)
    for key in keys:
        assert await cache.get(key) is None
    assert [each for each in (tmp_path / "cache").rglob("*") if each.is_file()] == []


async def test_what_nobody_took_is_given_back(cache: BlobCache) -> None:
    """Who is cancelled while a file is opened never gets it: a client that left in the middle of an archive."""
    key = added(cache, b"x" * 90)
    for _ in range(20):
        reading = asyncio.create_task(cache.get(key))
        await asyncio.sleep(0)  # it waits for the thread that opens the file
        reading.cancel()
        await asyncio.wait([reading])
        del reading
    async with asyncio.timeout(20):
        while opened(cache.directory):
            await asyncio.sleep(0.01)
            gc.collect()


async def test_blobs_come_and_go_while_the_old_ones_are_forgotten(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "cache", limit=1 << 30)
    for number in range(20_000):
        cache.add_bytes(("p", str(number)), b"x")
    forgetting = asyncio.create_task(cache.forget_old(-1))
    number = 20_000
    while not forgetting.done():
        cache.add_bytes(("p", str(number)), b"x")
        number += 1
        await asyncio.sleep(0)
    await forgetting
    assert await read(cache, ("p", "0")) is None
