"""Bounded time for any input: small ones at once, large ones in processes that are killed when they must be."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import random
import shutil
import sys
import time

import psutil
import pytest

from app.text.blame import Source, attribute
from app.text.bounded import TextWorkers, TooDifferentError
from app.text.errors import BinaryMergeError, PatchRejectedError, PatchUnreadableError, TookTooLongError
from app.text.hunks import diff_hunks
from app.text.merge import merge
from app.text.patch import apply_patch, parse_patch
from app.text.tasks import Unified
from app.text.unified import unified_diff
from app.turns import ASKED_BY

LARGE = b"".join(b"line %d\n" % number for number in range(40_000))
CHANGED = LARGE.replace(b"7\n", b"seven\n")
NAMES = {"old_path": "x", "new_path": "x"}


def million():
    """A million lines. It's made where it's needed: every worker reads every file of tests."""
    return b"".join(b"line %d of the text\n" % number for number in range(1_000_000))


def children():
    """The workers that run; whatever else this process started, or ends while it is looked at, is none."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # which a zombie is, too
            if "app.text.worker" in child.cmdline():
                found.append(child)
    return found


def wait_for_work():
    """Until a worker has computed for a while, which is more than its start takes."""
    deadline = time.monotonic() + 30
    while not any(sum(each.cpu_times()[:2]) > 0.8 for each in children()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def hopeless():
    """Two texts of three kinds of lines in random order: several seconds for xdiff."""
    dice = random.Random(1)
    return tuple(b"".join(dice.choice((b"a\n", b"b\n", b"c\n")) for _ in range(400_000)) for _ in range(2))


@pytest.fixture
async def workers():
    async with TextWorkers(workers=2) as running:
        yield running
    assert children() == []


async def test_a_worker_says_what_the_function_says(workers):
    patch = await workers.unified(LARGE, CHANGED, **NAMES)
    assert patch == unified_diff(LARGE, CHANGED, **NAMES)
    assert await workers.hunks(LARGE, CHANGED) == diff_hunks(LARGE, CHANGED)
    both = LARGE.replace(b"line 39990\n", b"mine\n")
    assert await workers.merge(LARGE, CHANGED, both) == merge(LARGE, CHANGED, both)
    files = await workers.parse_patch(patch)
    assert files == parse_patch(patch)
    large = LARGE * 2
    assert (
        await workers.apply_patch(large, parse_patch(unified_diff(large, large + b"x", **NAMES))[0])
        == large + b"x"
    )
    sources = (Source(LARGE, attribute(LARGE, version="v1")),)
    assert await workers.attribute(CHANGED, version="v2", sources=sources) == attribute(
        CHANGED, version="v2", sources=sources
    )
    assert len(children()) == 1


async def test_small_texts_need_no_process(workers):
    assert await workers.unified(b"a\n", b"b\n", **NAMES) == unified_diff(b"a\n", b"b\n", **NAMES)
    half = LARGE[:40_000]
    assert (await workers.hunks(half, half + b"\nmore\n")).summary.added == 2
    assert children() == []


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda w: w.merge(LARGE + b"\0", b"\0a" + LARGE, b"\0b" + CHANGED), BinaryMergeError),
        (lambda w: w.parse_patch(b"--- a/x\n+++ b/x\n" + b"@@ nonsense\n" * 20_000), PatchUnreadableError),
        (lambda w: w.unified(LARGE, CHANGED, old_path=None, new_path=None), ValueError),
        (
            lambda w: w.apply_patch(
                b"other\n" * 100_000, parse_patch(b"--- a/x\n+++ b/x\n@@ -9 +9 @@\n-a\n+b\n")[0]
            ),
            PatchRejectedError,
        ),
    ],
    ids=["merge", "parse", "diff", "apply"],
)
async def test_errors_come_back_as_they_were_raised(workers, call, error):
    with pytest.raises(error) as caught:
        await call(workers)
    if error is PatchRejectedError:
        assert (caught.value.path, caught.value.hunk) == ("x", 1)


async def test_a_large_patch_on_a_small_text_is_no_small_task(workers):
    (file,) = parse_patch(b"--- a/x\n+++ b/x\n@@ -1 +1,20001 @@\n a\n" + b"+b\n" * 20_000)
    assert await workers.apply_patch(b"a\n", file) == b"a\n" + b"b\n" * 20_000
    assert len(children()) == 1


async def test_beyond_the_deadline_the_answer_says_what_is_known(workers):
    old, new = hopeless()
    started = time.monotonic()
    result = await workers.hunks(old, new, deadline_s=0.5)
    assert time.monotonic() - started < 15
    assert (result.too_different, result.hunks, result.summary) == (True, (), None)
    assert (result.old.lines, result.new.size) == (400_000, 800_000)
    with pytest.raises(TooDifferentError) as caught:
        await workers.unified(old, new, **NAMES, deadline_s=0.2)
    assert caught.value.result == result
    assert await workers.unified(LARGE, CHANGED, **NAMES) == unified_diff(LARGE, CHANGED, **NAMES)


async def test_cancelling_a_call_kills_its_worker_and_the_loop_stays_free(workers):
    old, new = hopeless()
    call = asyncio.ensure_future(workers.unified(old, new, **NAMES))
    longest = 0.0
    for _ in range(40):
        before = time.monotonic()
        await asyncio.sleep(0.02)
        longest = max(longest, time.monotonic() - before)
    assert not call.done()
    assert longest < 5
    (worker,) = children()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.to_thread(worker.wait, 20)
    assert await workers.unified(LARGE, CHANGED, **NAMES) == unified_diff(LARGE, CHANGED, **NAMES)


async def test_a_worker_that_died_while_idle_is_replaced(workers):
    await workers.unified(LARGE, CHANGED, **NAMES)
    (worker,) = children()
    worker.kill()
    await asyncio.to_thread(worker.wait, 20)
    assert await workers.unified(LARGE, CHANGED, **NAMES) == unified_diff(LARGE, CHANGED, **NAMES)


async def test_a_task_that_needs_too_much_memory_is_refused_and_the_next_one_done():
    text = million()
    async with TextWorkers(workers=1, memory_bytes=400 << 20) as workers:
        with pytest.raises(TookTooLongError):
            await workers.compute(Unified(text, text.replace(b"7", b"8"), "x", "x"))
        assert await workers.unified(LARGE, CHANGED, **NAMES) == unified_diff(LARGE, CHANGED, **NAMES)


async def test_closing_ends_a_running_task():
    workers = TextWorkers(workers=1)
    call = asyncio.ensure_future(workers.unified(*hopeless(), **NAMES))
    await asyncio.to_thread(wait_for_work)
    await workers.close()
    with pytest.raises(TooDifferentError):
        await call
    assert children() == []


async def test_a_worker_that_cannot_start_is_an_error_of_its_own(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    async with TextWorkers(workers=1) as workers:
        with pytest.raises(RuntimeError, match="does not start"):
            await workers.unified(LARGE, CHANGED, **NAMES)


async def test_more_calls_than_workers_wait_for_their_turn(workers):
    patches = await asyncio.gather(*(workers.unified(LARGE, CHANGED, **NAMES) for _ in range(6)))
    assert set(patches) == {unified_diff(LARGE, CHANGED, **NAMES)}
    assert len(children()) <= 2


async def test_nobody_has_all_workers_however_many_texts_take_long(workers):
    def asked_by(name, *texts):
        here = contextvars.copy_context()
        here.run(ASKED_BY.set, name)
        return asyncio.create_task(workers.unified(*texts, **NAMES), context=here)

    endless = [asked_by("one", *hopeless()) for _ in range(3)]
    await asyncio.to_thread(wait_for_work)
    assert await asked_by("another", LARGE, CHANGED) == unified_diff(LARGE, CHANGED, **NAMES)
    assert not any(each.done() for each in endless)
    for each in endless:
        each.cancel()
    await asyncio.wait(endless)


async def test_a_worker_has_none_of_the_parents_secrets(workers, monkeypatch):
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_x")
    await workers.unified(LARGE, CHANGED, **NAMES)
    (worker,) = children()
    assert "SUPABASE_SECRET_KEY" in os.environ
    assert "SUPABASE_SECRET_KEY" not in worker.environ()


def words():
    return b" ".join(b"word%d" % number for number in range(550_000))


def lettered(letter):
    return b"".join(b"%c%d\n" % (letter, number) for number in range(100_000))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (million, lambda: million().replace(b"line 500000 ", b"line x ")),
        (words, lambda: words().replace(b"word250000 ", b"other ")),
        (lambda: b"x\n" * 100_000, lambda: b"x\n" * 99_000),
        (lambda: lettered(b"a"), lambda: lettered(b"b")),
        (lambda: b"\0" * 5_000_000, lambda: b"\0" * 4_000_000 + b"1"),
    ],
    ids=["a million lines", "one line of 5 MB", "100,000 equal lines", "nothing in common", "binary"],
)
async def test_every_input_has_an_answer_in_bounded_time(workers, old, new):
    old, new = old(), new()
    async with asyncio.timeout(60):
        patch = await workers.unified(old, new, **NAMES, deadline_s=25)
        result = await workers.hunks(old, new, deadline_s=25)
    if result.binary:
        assert patch.endswith(b"Binary files a/x and b/x differ\n")
        return
    (file,) = parse_patch(patch)
    assert apply_patch(old, file) == new
    assert result.summary is not None
