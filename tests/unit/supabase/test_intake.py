"""Bytes as they arrive: counted, hashed, limited; in a file when they are many, and no file is left."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import VersoError
from app.supabase.intake import Intake, LimitExceededError

if TYPE_CHECKING:
    from pathlib import Path


def left_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.binary(max_size=50), max_size=10), in_memory=st.integers(0, 100))
async def test_whatever_the_pieces_the_content_is_the_same(
    tmp_path: Path, pieces: list[bytes], in_memory: int
) -> None:
    content = b"".join(pieces)
    with Intake(tmp_path, limit=1000, in_memory=in_memory) as intake:
        for piece in pieces:
            await intake.write(piece)
        upload = await intake.finish()
    assert (upload.size, upload.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert upload.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()
    held = upload.read()
    assert held == content
    assert (upload.path is None) == (len(content) <= in_memory)
    upload.discard()
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("in_memory", [0, 100])
async def test_one_byte_more_than_the_limit_is_refused_and_leaves_nothing(
    tmp_path: Path, in_memory: int
) -> None:
    with Intake(tmp_path, limit=10, in_memory=in_memory) as intake:
        await intake.write(b"x" * 10)
        with pytest.raises(LimitExceededError):
            await intake.write(b"x")
    assert left_in(tmp_path) == []


async def test_who_is_cancelled_while_bytes_are_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    keep = Intake._keep

    def hold(intake: Intake, batch: bytearray) -> None:
        held.set()
        assert go_on.wait(10)
        keep(intake, batch)
        ended.set()

    monkeypatch.setattr(Intake, "_keep", hold)

    async def take() -> None:
        with Intake(tmp_path, limit=5_000_000, in_memory=10) as intake:
            await intake.write(b"x" * 2_000_000)

    task = asyncio.create_task(take())
    assert await asyncio.to_thread(held.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 10)
    assert left_in(tmp_path) == []


async def test_what_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with Intake(tmp_path, limit=5_000_000, in_memory=10) as intake:
        await intake.write(b"x" * 2_000_000)
        assert len(left_in(tmp_path)) == 1
    assert left_in(tmp_path) == []


async def test_a_full_disk_is_said_to_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Intake(tmp_path, limit=5_000_000, in_memory=10) as intake:
        monkeypatch.setattr("tempfile.mkstemp", full)
        with pytest.raises(VersoError, match="disk_full"):
            await intake.write(b"x" * 2_000_000)
    assert left_in(tmp_path) == []
