"""Live: hints of commits reach the process that follows, over lost connections and changed tokens; and nothing leaks."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from app.supabase.live import LINE_CHANNELS, Live
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from app.supabase.live import Signal, Signals


# The library reads an attribute that websockets has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:realtime")


class Home:
    """A project and its owner."""

    def __init__(self, stack: Stack, account: dict[str, Any], project: str) -> None:
        self.stack = stack
        self.sub = account["user"]["id"]
        self.token = account["access_token"]
        self.id = project

    @classmethod
    async def make(cls, stack: Stack) -> Home:
        account = await stack.user()
        claims = {"sub": account["user"]["id"]}
        rows = await stack.psql(
            "select public.create_project('p' || substr(md5(random()::text), 1, 12)) ->> 'id' as id",
            role="authenticated",
            claims=claims,
        )
        return cls(stack, account, rows[0]["id"])

    async def happen(self, times: int = 1) -> int:
        """Write events, one transaction each; gives the number of the last."""
        for _ in range(times):
            await self.stack.psql("select private.add_event($1, 'thing.done')", self.id)
        rows = await self.stack.psql("select event_sequence from public.projects where id = $1", self.id)
        return int(rows[0][0])

    def sign(self, seconds: int = 3600, sub: str | None = None) -> str:
        return self.stack.sign(sub=sub or self.sub, exp=int(time.time()) + seconds)


@pytest.fixture(scope="module")
async def live(stack: Stack) -> AsyncIterator[Live]:
    made = Live(stack.supabase_url, stack.publishable_key)
    yield made
    await made.close()


async def following(signals: Signals, seconds: float = 15) -> Signal:
    return await asyncio.wait_for(anext(signals), seconds)


async def until(signals: Signals, kind: str, seconds: float = 20) -> Signal:
    async with asyncio.timeout(seconds):
        while (told := await anext(signals)).kind != kind:
            pass
        return told


async def silent(signals: Signals, seconds: float = 0.5) -> bool:
    try:
        told = await asyncio.wait_for(anext(signals), seconds)
    except TimeoutError:
        return True
    pytest.fail(f"heard {told}")


def tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_a_commit_is_told_and_the_newest_says_all(stack: Stack, live: Live):
    home = await Home.make(stack)
    async with live.following(home.id, home.token) as signals:
        assert (await following(signals)).kind == "back"
        assert signals.connected
        sequence = await home.happen()
        told = await following(signals)
        assert (told.kind, told.sequence) == ("event", sequence)
        # Nobody takes them meanwhile; the last one to be told of is the only one that waits.
        newest = await home.happen(20)

        async def told_of() -> bool:
            return bool(signals._waiting) and signals._waiting[-1].sequence == newest

        assert await stack.until(told_of)
        assert (await following(signals)).sequence == newest
        assert await silent(signals, 0.2)


async def test_projects_share_a_connection_each_with_its_own_token(stack: Stack, live: Live):
    one, two = await Home.make(stack), await Home.make(stack)
    async with live.following(one.id, one.token) as first, live.following(two.id, two.token) as second:
        assert {(await following(first)).kind, (await following(second)).kind} == {"back"}
        assert first._line is second._line
        await two.happen()
        assert (await following(second)).kind == "event"
        assert await silent(first, 0.3)
        first.swap(two.token)  # a token of somebody who isn't there
        assert (await until(first, "lost")).kind == "lost"
        await one.happen()
        assert await silent(first, 0.3)
        first.swap(one.sign())
        await until(first, "back")
        await one.happen()
        assert (await until(first, "event")).kind == "event"
    assert LINE_CHANNELS <= 100


async def test_who_may_not_follow_hears_silence(stack: Stack, live: Live):
    home, stranger = await Home.make(stack), await Home.make(stack)
    for token in (stranger.token, "no token", home.sign(-10)):
        async with live.following(home.id, token) as signals:
            await home.happen()
            assert await silent(signals, 0.4)
            assert not signals.connected


async def test_a_token_that_ends_is_silence_until_the_next_one(stack: Stack, live: Live):
    home = await Home.make(stack)
    async with live.following(home.id, home.sign(2)) as signals:
        await until(signals, "back")
        assert (await until(signals, "lost")).kind == "lost"
        await home.happen()
        assert await silent(signals, 0.3)
        signals.swap(home.sign())
        await until(signals, "back")
        await home.happen()
        await until(signals, "event")


async def test_a_new_token_in_time_is_no_gap(stack: Stack, live: Live):
    home = await Home.make(stack)
    async with live.following(home.id, home.sign(3)) as signals:
        await until(signals, "back")
        signals.swap(home.sign())
        for _ in range(7):
            await home.happen()
            assert (await following(signals)).kind == "event"
            await asyncio.sleep(0.5)


async def test_without_realtime_there_is_silence_and_no_task_is_left(stack: Stack):
    before = tasks()
    live = Live("http://127.0.0.1:9", "key")
    async with live.following("p", "t") as signals:
        assert await silent(signals, 1.5)
    await live.close()
    home = await Home.make(stack)
    live = Live(stack.supabase_url, stack.publishable_key)
    async with live.following(home.id, home.token) as signals, live.following(home.id, home.token) as again:
        assert {(await following(signals)).kind, (await following(again)).kind} == {"back"}
        await home.happen()
        assert {(await following(signals)).kind, (await following(again)).kind} == {"event"}
    async with live.following(home.id, home.token) as signals:
        assert (await following(signals)).kind == "back"
        await live.close()

    async def ended() -> bool:
        return tasks() <= before

    assert await stack.until(ended)


async def test_a_gateway_that_comes_back_is_followed_again(tmp_path: Path):
    with Stack(tmp_path) as own:
        home = await Home.make(own)
        live = Live(own.supabase_url, own.publishable_key)
        async with live.following(home.id, home.token) as signals:
            await until(signals, "back")
            await asyncio.to_thread(own.kill)
            assert (await until(signals, "lost")).kind == "lost"
            await asyncio.to_thread(own.start)
            await until(signals, "back")
            sequence = await home.happen()
            assert (await until(signals, "event")).sequence == sequence
            # PostgreSQL alone: the gateway starts it again, and listens to it again.
            os.kill(own.postgres_pid, signal.SIGKILL)

            async def told() -> bool:
                await home.happen()
                return not await unheard(signals)

            assert await own.until(told, seconds=30)
        await live.close()


async def unheard(signals: Signals) -> bool:
    try:
        return (await asyncio.wait_for(anext(signals), 0.5)).kind != "event"
    except TimeoutError:
        return True
