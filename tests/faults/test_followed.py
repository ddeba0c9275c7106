"""Followers of a project while things break: each gets each event once, in order, from wherever it stood."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import psutil
import pytest

from app.flows.event_filter import EventFilter
from app.flows.follow_events import Hub
from app.settings import Settings
from app.supabase.feed import Feed
from app.supabase.identity import Actor
from app.supabase.live import Signal
from app.supabase.pool import Pool
from tests.faults.proxy import answer, delay, drop_response, duplicate, hang, reset_response
from tests.faults.service import Service
from tests.faults.test_killed import _another, lonely
from tests.faults.world import World, client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.stack import Stack

__all__ = ["lonely"]
READS = "/rpc/list_events"


class Follower:
    """A client that comes back whenever its stream ends, and takes note of what it was told."""

    def __init__(self, client: httpx.AsyncClient, project: str, *, after: int | None = None) -> None:
        self.told: list[int] = []
        self.came_back = -1
        self.reasons: list[str] = []
        self.ready = asyncio.Event()
        self._client = client
        self._where = f"/v1/projects/{project}/events"
        self._last = None if after is None else str(after)
        self._task = asyncio.create_task(self._run())

    async def until(self, sequence: int, seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not self.told or self.told[-1] < sequence:
            assert not self._task.done(), self._task.exception()
            assert time.monotonic() < deadline, (self.told[-5:], sequence, self.reasons)
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            self.came_back += 1
            with contextlib.suppress(httpx.TransportError):
                await self._listen()
            await asyncio.sleep(0.1)

    async def _listen(self) -> None:
        headers = {"Accept": "text/event-stream"}
        if self._last is not None:
            headers["Last-Event-ID"] = self._last
        async with self._client.stream("GET", self._where, headers=headers, timeout=30) as stream:
            if stream.status_code >= 500:
                return  # its Supabase is away: comes back
            assert stream.status_code == 200, await stream.aread()
            kind = ""
            async for line in stream.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "id":
                    self._last = value
                elif name == "data":
                    data = msgspec.json.decode(value)
                    if kind == "end":
                        self.reasons.append(data["reason"])
                    elif kind == "ready":
                        self.ready.set()
                    else:
                        self.told.append(data["sequence"])


async def write(world: World, count: int) -> None:
    """Tags, one after the other: an event each."""
    for _ in range(count):
        while True:
            name = f"t{random.getrandbits(60)}"
            with contextlib.suppress(httpx.TransportError):
                made = await world.client.post(f"/v1/projects/{world.project}/tags", json={"name": name})
                assert made.status_code == 201 or made.status_code >= 500, made.text
                break


async def newest(world: World) -> int:
    found = await world.rows("select event_sequence from public.projects where id = $1")
    return int(found[0][0])


@contextlib.asynccontextmanager
async def following(world: World, *afters: int | None) -> AsyncIterator[list[Follower]]:
    clients = [client_of(world.service, world.owner["access_token"]) for _ in afters]
    followers = [
        Follower(client, world.project, after=after) for client, after in zip(clients, afters, strict=True)
    ]
    try:
        for each in followers:
            await asyncio.wait_for(each.ready.wait(), 30)
        yield followers
    finally:
        for each in followers:
            await each.close()
        for client in clients:
            await client.aclose()


async def test_rows_that_fail_hang_break_off_and_come_twice_are_a_delay_only(world: World) -> None:
    await world.put("a.md", b"1")
    known = await newest(world)
    faults = [answer(500), answer(503), reset_response(200), drop_response, duplicate, delay(0.5), hang]
    rng = random.Random(24)
    async with following(world, 0, None, known - 1) as followers:
        for fault in rng.sample(faults, len(faults)):
            world.proxy.rule("POST", READS, fault, times=rng.randint(1, 4), skip=rng.randint(0, 2))
            await write(world, 6)
        end = await newest(world)
        for each, first in zip(followers, (1, known + 1, known), strict=True):
            await each.until(end)
            assert each.told == list(range(first, end + 1))
            assert each.came_back == 0, "what is behind the API is no client's concern"


@pytest.mark.slow
async def test_postgresql_killed_under_followers(lonely: World) -> None:
    lonely.stack.postgres_pid = _postmaster(lonely.stack)
    assert (await lonely.put("a.md", b"1")).status_code == 201
    known = await newest(lonely)
    async with following(lonely, 0, None) as followers:
        for _ in range(3):
            await write(lonely, 8)
            os.kill(lonely.stack.postgres_pid, signal.SIGKILL)
            found = await lonely.stack.until(lambda: _another(lonely.stack, lonely.stack.postgres_pid))
            lonely.stack.postgres_pid = found
        await lonely.stack.until(lambda: _written(lonely))
        end = await newest(lonely)
        for each, first in zip(followers, (1, known + 1), strict=True):
            await each.until(end)
            assert each.told == list(range(first, end + 1))


async def _written(world: World) -> bool:
    return (await world.put(f"{random.getrandbits(60)}.md", b"last")).status_code == 201


def _postmaster(stack: Stack) -> int:
    return int(next(stack.data.rglob("postmaster.pid")).read_text().split()[0])


@pytest.mark.slow
async def test_an_api_that_is_killed_and_one_that_is_stopped_lose_nobody_anything(
    world: World, settings: dict[str, str], tmp_path: Path
) -> None:
    with Service(settings, log=tmp_path / "api.log") as service:
        world.service = service
        await world.put("a.md", b"1")
        async with following(world, 0, None) as followers:
            known = await newest(world)
            for end in (service.kill, service.stop, service.kill):
                await write(world, 5)
                await asyncio.to_thread(end)
                await write(world, 5)  # through the other process
                await asyncio.to_thread(service.start)
            last = await newest(world)
            for each, first in zip(followers, (1, known + 1), strict=True):
                await each.until(last)
                assert each.told == list(range(first, last + 1))
                assert each.reasons == ["server_stopping"]
                assert each.came_back >= 3


# Signals ---------------------------------------------------------------------------------------------


class Hostile:
    """Signals as the worst Realtime would give them: late, lost, twice, out of order, of numbers that aren't."""

    connected = True

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.token = ""
        self.swapped = 0

    def __aiter__(self) -> Hostile:
        return self

    async def __anext__(self) -> Signal:
        await asyncio.sleep(self._rng.choice([0, 0.001, 0.02, 0.3]))
        if self._rng.random() < 0.2:
            self.connected = not self.connected
            return Signal("back" if self.connected else "lost")
        return Signal("event", sequence=self._rng.choice([None, 0, 1, 7, 10**9, self._rng.randint(1, 200)]))

    def swap(self, token: str) -> None:
        self.token = token
        self.swapped += 1

    @contextlib.asynccontextmanager
    async def following(self, _project: str, token: str) -> AsyncIterator[Hostile]:
        self.token = token
        yield self


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_the_signals_say_each_event_comes_once_in_order(world: World, seed: int) -> None:
    """The hub itself, on the real database: joiners at every moment, slow ones, ones that leave."""
    rng = random.Random(seed)
    settings = Settings(
        supabase_url=world.stack.supabase_url, supabase_publishable_key=world.stack.publishable_key
    )
    pool = Pool(settings, observe=lambda _service: None)
    feed = Feed(pool)
    hub = Hub(feed, Hostile(rng), heartbeat=0.2, recheck=1, most_per_account=100, most=100)  # type: ignore[arg-type]
    token = world.owner["access_token"]
    actor = Actor(id=world.owner["user"]["id"], email=None, token=token, expires_at=time.time() + 600)
    project = str(await world.project_id())

    async def follow(after: int | None, laziness: float) -> tuple[int, list[int]]:
        opened = await feed.list_events(token, project=project, after=None)
        start = opened.newest if after is None else after
        told: list[int] = []
        with hub.subscribed(
            actor, project=project, wanted=EventFilter(), after=start, newest=opened.newest
        ) as subscription:
            async for some in subscription.frames():
                told += [int(line[4:]) for line in some.split(b"\n") if line.startswith(b"id: ")]
                if rng.random() < laziness:
                    await asyncio.sleep(rng.random() / 10)
                if told[-1] >= end:
                    break
        return start, told

    await world.put("a.md", b"1")
    end = await newest(world) + 60
    writing = asyncio.create_task(write(world, 60))
    followers = []
    for _ in range(20):
        await asyncio.sleep(rng.random() / 5)
        after = rng.choice([None, 0, 1])
        followers.append(asyncio.create_task(follow(after, rng.choice([0, 0.5]))))
    try:
        await asyncio.wait_for(writing, 60)
        for each in followers:
            start, told = await asyncio.wait_for(each, 40)
            assert told == list(range(start, end + 1)), "ready has the start's number, then each once"
        assert hub.count == 0
    finally:
        for task in followers:
            task.cancel()
        await hub.close()
        await pool.close()


# A client that takes nothing, and an hour's worth of events -------------------------------------------


@pytest.mark.slow
async def test_who_takes_nothing_for_long_is_hung_up_on(world: World) -> None:
    """The connection is gone with all that was unsent, although the other side never closes it."""
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    lazy.connect(("127.0.0.1", world.service.port))
    project = await world.project_id()
    lazy.sendall(
        f"GET /v1/projects/{project}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
        f"Authorization: Bearer {world.owner['access_token']}\r\n\r\n".encode()
    )
    port = lazy.getsockname()[1]
    async with following(world, 0) as followers:
        known = await newest(world)
        await fill(world, 10_000, size=2_000)  # more than the kernel keeps for anybody
        await followers[0].until(known + 10_000, 60)
        deadline = time.monotonic() + 60
        while any(each.raddr and each.raddr.port == port for each in connections(world)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.5)
    lazy.close()


def connections(world: World) -> list[Any]:
    return list(psutil.Process(world.service.process.pid).net_connections("tcp"))


async def fill(world: World, count: int, size: int = 10) -> None:
    """Many events with so many characters in them, in transactions of a thousand."""
    project = await world.project_id()
    for _ in range(count // 1000):
        await world.stack.psql(
            "select private.add_event($1, 'tag.added', jsonb_build_object('name', repeat('x', $2::int))) from generate_series(1, 1000) n",
            project,
            size,
        )


@pytest.mark.slow
async def test_memory_stays_flat_over_an_hours_worth_of_events(world: World) -> None:
    async with following(world, *([None] * 10)) as followers:
        known = await newest(world)
        await fill(world, 5_000)
        for each in followers:
            await each.until(known + 5_000, 90)
        before = world.service.process.memory_info().rss
        await fill(world, 20_000)
        for each in followers:
            await each.until(known + 25_000, 180)
        assert world.service.process.memory_info().rss - before < 12 << 20
        assert all(each.told == list(range(known + 1, known + 25_001)) for each in followers)
        assert all(each.came_back == 0 for each in followers)
