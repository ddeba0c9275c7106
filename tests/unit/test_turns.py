"""Turns at what takes long: who waits for too long is told, and nobody has them all."""

from __future__ import annotations

import pytest

from app.errors import VersoError
from app.turns import ASKED_BY, Turns
from app.web import importing_history


async def test_who_waits_for_too_long_is_sent_away_and_takes_nobodys_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing_history, "WAIT_SECONDS", 0.01)
    turns = Turns(1)
    async with importing_history._turn(turns):
        with pytest.raises(VersoError, match="imports_busy"):
            async with importing_history._turn(turns):
                pytest.fail("two at once")
    async with importing_history._turn(turns):
        assert turns.are_taken()
    assert not turns.are_taken()


async def test_one_account_never_has_all_turns() -> None:
    turns = Turns(2)
    ASKED_BY.set("one")
    async with turns.one():
        with pytest.raises(TimeoutError):
            async with turns.one(wait_s=0.01):
                pytest.fail("all of them")
        ASKED_BY.set("another")
        async with turns.one(wait_s=0.01):
            assert turns.are_taken()
    ASKED_BY.set("one")
    async with turns.one(wait_s=0.01):
        assert not turns.are_taken()
    ASKED_BY.set(None)
