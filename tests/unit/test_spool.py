"""Uploads of the embedded Storage on their way to disk: a descriptor is never closed under a thread."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from app.local.storage.files import Draft, Files
from app.local.storage.spool import BATCH_BYTES, Spool

if TYPE_CHECKING:
    from pathlib import Path


async def test_who_is_cancelled_while_a_thread_writes_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_go_on = threading.Event(), threading.Event()
    write = Draft.write
    ended: list[BaseException | None] = []

    def slow(draft: Draft, chunks: list[bytes]) -> None:
        began.set()
        may_go_on.wait(20)
        try:
            write(draft, chunks)
        except BaseException as error:
            ended.append(error)
            raise
        ended.append(None)

    monkeypatch.setattr(Draft, "write", slow)
    spool = Spool(Files(tmp_path).draft("one"), limit=8 * BATCH_BYTES)

    async def upload() -> None:
        try:
            for _ in range(3):
                await spool.add([b"x" * BATCH_BYTES])
        finally:
            await spool.discard()

    task = asyncio.create_task(upload())
    await asyncio.to_thread(began.wait, 20)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, may_go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [None]
    assert list((tmp_path / "tmp").iterdir()) == []
