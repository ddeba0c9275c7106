"""Repositories that are brought up to date: a copy is never used by two threads."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from app.errors import VersoError
from app.flows.git_cache import GitCache
from app.flows.git_sync import GitSync
from app.git.write.copy import GitCopy

if TYPE_CHECKING:
    from pathlib import Path


async def test_who_is_cancelled_while_a_thread_has_a_copy_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_go_on = threading.Event(), threading.Event()
    close = GitCopy.close
    done: list[str] = []

    def slow(copy: GitCopy, count: int) -> None:
        began.set()
        may_go_on.wait(20)
        done.append("followed")

    def closed(copy: GitCopy) -> None:
        done.append("closed")
        close(copy)

    monkeypatch.setattr(GitCopy, "follow_erasures", slow)
    monkeypatch.setattr(GitCopy, "close", closed)
    nothing: Any = None
    project: Any = SimpleNamespace(id="0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11", change_sequence=0)
    sync = GitSync(GitCache(tmp_path, limit=1), nothing, nothing, nothing, nothing, ahead=1)
    filling = asyncio.create_task(sync._fill(nothing, project, tmp_path / "x.git", 0))
    await asyncio.to_thread(began.wait, 20)
    for _ in range(3):
        filling.cancel()
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.05, may_go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await filling
    assert done == ["followed", "closed"]


@pytest.mark.parametrize("times", [1, 2])
async def test_a_repository_that_an_erasure_throws_away_while_it_is_made_is_made_anew_or_said_to_be_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    nothing: Any = None
    actor: Any = SimpleNamespace(token="t")
    project: Any = SimpleNamespace(id="0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11", change_sequence=0)
    cache = GitCache(tmp_path, limit=1)
    follow = GitCopy.follow_erasures
    erasures: list[int] = []

    def met(copy: GitCopy, count: int) -> None:
        follow(copy, count)
        if len(erasures) < times:
            erasures.append(count)
            cache.drop(project.id)
        copy.add_erased("e" * 64)

    async def none(*_: object, **__: object) -> list[Any]:
        return []

    monkeypatch.setattr(GitCopy, "follow_erasures", met)
    ledger: Any = SimpleNamespace(list_tags=none)
    sync = GitSync(cache, ledger, nothing, nothing, nothing, ahead=1)
    if times == 1:
        await sync._update(actor, project, 0)
        return
    with pytest.raises(VersoError, match="thrown away") as refused:
        await sync._update(actor, project, 0)
    assert refused.value.code == "git_busy"
