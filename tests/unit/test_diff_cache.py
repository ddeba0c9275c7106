"""The cache of finished differences: bounded in bytes, and the least recently used go first."""

from __future__ import annotations

import random

from app.flows.diff_cache import DiffCache


def test_what_was_put_is_found() -> None:
    cache = DiffCache(limit=100_000)
    cache.put(("a", 1, None), b"one")
    assert cache.get(("a", 1, None)) == b"one"
    assert cache.get(("a", 2, None)) is None


def test_the_least_recently_used_goes_first() -> None:
    cache = DiffCache(limit=10_000)
    for number in range(8):
        cache.put((number,), b"x" * 600)
        cache.get((0,))
    cache.put(("more",), b"x" * 600)
    cache.put(("most",), b"x" * 600)
    assert cache.get((0,)) is not None
    assert cache.get((1,)) is None


def test_it_never_holds_more_than_its_limit() -> None:
    cache, chance = DiffCache(limit=50_000), random.Random(1)
    for _ in range(2_000):
        cache.put((chance.randrange(40),), b"x" * chance.randrange(9_000))
        assert cache.size <= 50_000


def test_many_empty_results_are_bounded_too() -> None:
    cache = DiffCache(limit=50_000)
    for number in range(1_000):
        cache.put((number,), b"")
    assert sum(cache.get((number,)) is not None for number in range(1_000)) <= 100


def test_one_that_would_crowd_out_all_others_is_not_kept() -> None:
    cache = DiffCache(limit=10_000)
    cache.put(("small",), b"x")
    cache.put(("large",), b"x" * 9_000)
    assert (cache.get(("small",)), cache.get(("large",))) == (b"x", None)
