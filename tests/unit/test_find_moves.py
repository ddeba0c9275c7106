"""Which deletes and adds of a change are worth comparing, and that finding them out is cheap."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import msgspec
import pytest

from app.api.examples import version
from app.flows import find_moves
from app.flows.add_change import Item
from app.flows.find_moves import MAX_BYTES, MAX_COMPARED, MAX_SIZE
from app.model import Head, VersionRead
from app.supabase.upload import Upload

MANY = 5_000


def gone(path: str, size: int, content: str = "") -> VersionRead:
    state = msgspec.structs.replace(version, path=path, size=size, sha256=hashed(content or path))
    head = Head(hash=version.hash, number=7, path=version.path, live=True)
    return VersionRead(version=state, copies=[], head=head)


def come(path: str, size: int, content: str = "") -> Item:
    return Item(path=path, upload=Upload(sha256=hashed(content or path), md5="", size=size))


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def paired(how: Any, old: list[VersionRead], new: list[Item]) -> list[tuple[int, int]]:
    """Places of old and new ones that belong together, each counted from 0."""
    items = [*new, *[Item(delete=True)] * len(old)]
    found = how(items, {len(new) + at: each for at, each in enumerate(old)}, list(range(len(new))))
    return [(pair.gone - len(new), pair.come) for pair in found]


def test_what_keeps_its_name_comes_first_then_the_items_order() -> None:
    old = [gone("old/a", 100), gone("old/b", 100)]
    new = [come("new/c", 100), come("new/b", 100), come("new/a", 100)]
    assert paired(find_moves._likely, old, new) == [(0, 2), (1, 1), (0, 0), (0, 1), (1, 0), (1, 2)]


@pytest.mark.parametrize(
    ("old", "new", "likely"),
    [(100, 50, 1), (100, 49, 0), (101, 51, 1), (101, 50, 0), (101, 202, 1), (101, 203, 0), (1, 0, 0)],
)
def test_half_of_the_larger_one_must_be_there(old: int, new: int, likely: int) -> None:
    assert len(paired(find_moves._likely, [gone("a", old)], [come("b", new)])) == likely


def test_so_many_bytes_are_read_and_a_smaller_pair_after_them_too() -> None:
    whole = MAX_BYTES // (2 * MAX_SIZE)
    sizes = [MAX_SIZE] * (whole - 1) + [MAX_SIZE - 1, MAX_SIZE, 1]
    old = [gone(f"old/{at}", size) for at, size in enumerate(sizes)]
    new = [come(f"new/{at}", size) for at, size in enumerate(sizes)]
    found = paired(find_moves._likely, old, new)
    assert sum(sizes[one] + sizes[other] for one, other in found) == MAX_BYTES
    assert (len(sizes) - 1, len(sizes) - 1) in found or len(found) == MAX_COMPARED


@pytest.mark.parametrize("name", ["", "/same"])
def test_thousands_of_files_are_not_compared_each_with_each(name: str) -> None:
    old = [gone(f"old/{at}{name}", 1000 + at % 100) for at in range(MANY)]
    new = [come(f"new/{at}{name}", 10 + at % 100) for at in range(MANY)]
    began = time.process_time()
    assert paired(find_moves._likely, old, new) == []
    assert time.process_time() - began < 5, "25 million pairs take minutes"
    assert (
        len(paired(find_moves._likely, old, [come(f"new/{at}{name}", 1000) for at in range(MANY)]))
        == MAX_COMPARED
    )


def test_thousands_of_equal_files_move_one_by_one() -> None:
    old = [gone(f"old/{at}", 9, "equal") for at in range(MANY)]
    new = [come(f"new/{at}", 9, "equal") for at in reversed(range(MANY))]
    assert sorted(paired(find_moves._exact, old, new)) == [(at, MANY - 1 - at) for at in range(MANY)]
