"""Repositories on disk: thrown away by age and by size, and never under somebody who is at them."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest

from app.errors import VersoError
from app.flows.git_cache import GitCache

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600.0
SIZE = 10_000


def repository(cache: GitCache, project: str, *, age: float = 0.0) -> Path:
    """What a fetch would have made, and nobody has been at for `age` seconds."""
    path = cache.path(project)
    (path / "objects").mkdir(parents=True)
    (path / "objects" / "pack").write_bytes(b"x" * SIZE)
    moment = time.time() - age
    os.utime(path, (moment, moment))
    return path


@pytest.fixture
def cache(tmp_path: Path) -> GitCache:
    return GitCache(tmp_path / "git", limit=3 * SIZE)


def kept(cache: GitCache) -> set[str]:
    return {each.stem for each in cache.path("x").parent.glob("*.git")}


def leftovers(cache: GitCache) -> list[Path]:
    return list(cache.path("x").parent.glob(".gone-*"))


def test_what_nobody_was_at_for_so_long_is_gone_and_nothing_else(cache: GitCache) -> None:
    for project, age in (("new", 0), ("younger", HOUR - 60), ("older", HOUR + 60), ("oldest", 90 * HOUR)):
        repository(cache, project, age=age)
    cache.expire(HOUR)
    assert kept(cache) == {"new", "younger"}
    assert leftovers(cache) == []


def test_what_a_killed_process_had_half_removed_goes_with_what_is_old(cache: GitCache) -> None:
    left, removing = (
        repository(cache, name).rename(cache.path("x").parent / f".gone-{name}") for name in "ab"
    )
    os.utime(left, (1, 1))
    cache.expire(HOUR)
    assert leftovers(cache) == [removing]


def test_before_the_first_fetch_there_is_nothing_to_throw_away(cache: GitCache) -> None:
    cache.expire(0)
    cache.evict()
    assert not cache.path("x").parent.exists()


async def test_who_reads_keeps_a_repository_and_makes_it_young(cache: GitCache) -> None:
    old = repository(cache, "read", age=2 * HOUR)
    async with cache.reading("read") as path:
        assert path == old
        cache.expire(-HOUR)  # as if it had been read for long
        assert (path / "objects" / "pack").read_bytes() == b"x" * SIZE
    cache.expire(HOUR)
    assert kept(cache) == {"read"}, "it was just used"
    cache.expire(-HOUR)
    assert kept(cache) == set()


async def test_who_writes_keeps_a_repository(cache: GitCache) -> None:
    repository(cache, "written", age=2 * HOUR)
    async with cache.writing("written", seconds=1) as path:
        cache.expire(HOUR)
        assert path.exists()
    cache.expire(HOUR)
    assert kept(cache) == set()


async def test_a_fetch_that_comes_while_it_is_thrown_away_finds_all_of_it_or_none(cache: GitCache) -> None:
    seen = []

    async def fetch() -> None:
        async with cache.reading("p") as path:
            there = path.exists()
            await asyncio.sleep(0)
            seen.append((there, (path / "objects" / "pack").exists()))

    for _ in range(40):
        repository(cache, "p", age=2 * HOUR)
        await asyncio.gather(fetch(), asyncio.to_thread(cache.expire, HOUR), fetch())
        async with cache.writing("p", seconds=1):
            cache.drop("p")
    assert len(seen) == 80
    assert all(there == whole for there, whole in seen)
    assert leftovers(cache) == []


async def test_the_least_recently_used_go_first_until_the_rest_has_room(cache: GitCache) -> None:
    for number in range(6):
        repository(cache, str(number), age=HOUR * (6 - number))
    async with cache.reading("1"):
        cache.evict()
    # 0 went first; 1 was being read and is the newest now; then 2 and 3, until three are left.
    assert kept(cache) == {"1", "4", "5"}
    cache.evict()
    assert kept(cache) == {"1", "4", "5"}, "there is room for three"


def test_what_can_not_be_thrown_away_stays_and_the_others_go(cache: GitCache) -> None:
    for number in range(5):
        repository(cache, str(number), age=HOUR * (5 - number))
    cache.path("0").with_suffix(".use").mkdir()  # no lock can be had there
    cache.evict()
    assert kept(cache) == {"0", "3", "4"}


async def test_one_writes_at_a_time_and_the_other_is_told(cache: GitCache) -> None:
    async with cache.writing("p", seconds=1):
        with pytest.raises(VersoError) as refused:
            async with cache.writing("p", seconds=0.1):
                raise AssertionError
        async with cache.writing("other", seconds=1):
            pass
    assert refused.value.code == "git_busy"
