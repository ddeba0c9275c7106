"""Whoever would import a history while others do waits a while, and is then told."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import VersoError
from app.web import importing_history


async def test_who_waits_for_too_long_is_sent_away_and_takes_nobodys_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing_history, "WAIT_SECONDS", 0.01)
    turns = asyncio.Semaphore(1)
    async with importing_history._turn(turns):
        with pytest.raises(VersoError, match="imports_busy"):
            async with importing_history._turn(turns):
                pytest.fail("two at once")
    async with importing_history._turn(turns):
        assert turns.locked()
    assert not turns.locked()
