"""The three traps: memory that is not ours, hashes that collide on purpose, expressions that never end."""

from __future__ import annotations

import sys
from itertools import product

import pygit2
import pytest
import pytest_asyncio

from app.text.bounded import TextWorkers
from app.text.errors import PatchUnreadableError
from app.text.lines import line_diff, split_lines, token_diff
from app.text.unified import unified_diff


class WatchedPatch:
    """A patch of pygit2 that notes, whenever it is read, whether its inputs still have an owner."""

    owned: list[bool]

    def __init__(self, old, new, patch, owned):
        self.old, self.new, self.patch, self.owned = old, new, patch, owned

    @property
    def hunks(self):
        # Two references are ours: the attribute and the argument of getrefcount.
        self.owned += [sys.getrefcount(self.old) > 2, sys.getrefcount(self.new) > 2]
        return self.patch.hunks


@pytest.fixture
def watched(monkeypatch):
    """Everything that reaches pygit2, and whether it was alive when the result was read."""
    inputs, owned = [], []
    create = pygit2.Patch.create_from

    class Watching:
        @staticmethod
        def create_from(old, new, **options):
            inputs.extend((bytes(bytearray(old)), bytes(bytearray(new))))
            return WatchedPatch(old, new, create(old, new, **options), owned)

    monkeypatch.setattr(pygit2, "Patch", Watching)
    return inputs, owned


def test_the_inputs_of_a_patch_outlive_its_reading(watched):
    _, owned = watched
    line_diff([b"a\n", b"b\n"], [b"a\n", b"c\n"])
    token_diff(["a", "b"], ["a", "c"])
    assert owned
    assert all(owned)


def test_no_byte_of_a_document_reaches_the_library(watched):
    inputs, _ = watched
    secret = b"  \t the secret \xff\n\x0b \n"
    unified_diff(b"a\n" + secret, secret + b"b\n", old_path="x", new_path="x", text=True)
    assert inputs
    assert set(b"".join(inputs)) <= set(b"0123456789 \t\n\r\f\v")


def xdiff_hash(line: bytes) -> int:
    value = 5381
    for byte in line:
        value = (value * 33 & (1 << 64) - 1) ^ byte
    return value


def colliding_pair(state: int) -> tuple[bytes, bytes]:
    """Two different pairs of letters after which xdiff's line hash is the same."""
    for a, b, c in product(range(0x40, 0x7F), repeat=3):
        d = (((state * 33 ^ a) * 33 ^ b) ^ ((state * 33 ^ c) * 33)) & (1 << 64) - 1
        if a != c and 0x40 <= d < 0x7F:
            return bytes((a, b)), bytes((c, d))
    raise AssertionError("no collision after this state")


def colliding_lines(pairs: int) -> list[bytes]:
    lines = [b""]
    for _ in range(pairs):
        one, other = colliding_pair(xdiff_hash(lines[0]))
        lines = [line + choice for line in lines for choice in (one, other)]
    return [line + b"\n" for line in lines]


async def test_lines_forged_to_collide_cost_no_more_than_others():
    lines = colliding_lines(16)
    assert len(set(lines)) == 65_536
    assert len({xdiff_hash(line[:-1]) for line in lines}) == 1
    old, new = b"".join(lines), b"".join(reversed(lines))
    # Given the lines themselves, the library takes half a minute, four times as long for twice as many.
    async with TextWorkers(workers=1) as workers:
        patch = await workers.unified(old, new, old_path="x", new_path="x", deadline_s=5)
    assert patch


@pytest_asyncio.fixture(scope="module")
async def workers():
    async with TextWorkers(workers=1) as running:
        yield running


@pytest.mark.parametrize(
    "line",
    [
        b"Binary files " + b" and " * 200_000 + b"\n",
        b"Binary files a" + b"\t" * 500_000 + b" and \n",
        b"Binary file x\t" + b"1 " * 200_000 + b"\n",
        b"diff --git " + b"://x " * 3_000 + b"\n",
        b"diff --git " + b"a/ b" * 4_000 + b"\n",
        b"@@ -" + b"1" * 500_000 + b" +1 @@\n",
        b"--- " + b'"\\' * 200_000 + b"\n+++ x\n",
        b"rename from " + b'"' + b"\\1" * 4_000 + b"\n",
        b"index " + b"a" * 500_000 + b"\n",
    ],
    ids=lambda line: line[:20].decode(),
)
@pytest.mark.parametrize("before", [b"", b"diff --git a/x b/x\n", b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"])
async def test_no_line_of_a_patch_keeps_a_parser_busy(workers, line, before):
    data = before + line * 3
    try:
        files = await workers.parse_patch(data + b"x\n" * 33_000, deadline_s=5)
    except PatchUnreadableError:
        return
    assert all(file.path == "x" for file in files)


async def test_a_patch_of_very_many_hunks_is_read_and_applied():
    old = b"".join(b"%d\n" % number for number in range(60_000))
    new = b"".join(b"%d\n" % (number if number % 2 else -number) for number in range(60_000))
    async with TextWorkers(workers=1) as workers:
        patch = await workers.unified(old, new, old_path="x", new_path="x", context=0, deadline_s=20)
        (file,) = await workers.parse_patch(patch, deadline_s=20)
        assert len(file.hunks) == 29_999
        assert await workers.apply_patch(old, file, deadline_s=20) == new


def test_splitting_keeps_every_byte():
    data = bytes(range(256)) * 3
    assert b"".join(split_lines(data)) == data
