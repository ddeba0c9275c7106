"""Following a project while those with whose tokens it is read come and go."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from app.flows.event_filter import EventFilter
from app.flows.follow_events import Hub
from app.settings import Settings
from app.supabase.feed import Feed
from app.supabase.identity import Actor
from app.supabase.pool import Pool

SETTINGS = Settings(supabase_url="http://rows.test", supabase_publishable_key="k")
PROJECT = "0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11"
EVENT: dict[str, Any] = {"sequence": 1, "kind": "tag.added", "change": None, "path": None, "session": None}
REFUSED = {"code": "PGRST301", "message": "JWT cryptographic operation failed", "hint": None, "details": None}


class Rows:
    """The rows' side of the wire: refuses one token, but only once it is told to answer at all."""

    def __init__(self) -> None:
        self.asked_with: list[str] = []
        self.presence: list[Any] = []
        """What is answered at first when somebody asks who is present."""
        self.present_asked = 0
        self.go_on = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        if request.url.path.endswith("/list_presence"):
            self.present_asked += 1
            if self.presence:
                return httpx.Response(200, json=self.presence.pop(0))
            return httpx.Response(200, json={"newest": 0, "items": []})
        self.asked_with.append(token)
        if token == "leaving":
            await self.go_on.wait()
            return httpx.Response(401, json=REFUSED)
        page = {"project": PROJECT, "session": None, "newest": 1, "scanned": 1, "events": [EVENT]}
        return httpx.Response(200, json=page)


def actor(token: str, *, seconds: float) -> Actor:
    return Actor(id=token, email=None, token=token, expires_at=time.time() + seconds)


async def test_who_leaves_while_their_token_is_read_with_leaves_nobody_behind() -> None:
    """It was refused afterwards, as those of signed-out sessions are: the others are read for with theirs."""
    rows, pool = Rows(), Pool(SETTINGS)
    pool.http._transport = httpx.MockTransport(rows)
    hub = Hub(Feed(pool), None, heartbeat=60, recheck=60, most_per_account=9, most=9)
    wanted: dict[str, Any] = {"project": PROJECT, "wanted": EventFilter(), "after": 0, "newest": 0}
    try:
        with hub.subscribed(actor("staying", seconds=100), **wanted) as staying:
            with hub.subscribed(actor("leaving", seconds=200), **wanted):
                async with asyncio.timeout(20):
                    while "leaving" not in rows.asked_with:  # noqa: ASYNC110 - it is asked at once
                        await asyncio.sleep(0.001)
            rows.go_on.set()
            async with asyncio.timeout(20):
                async for some in staying.frames():
                    if b"event: tag.added" in some:
                        break
        assert rows.asked_with.count("leaving") == 1
    finally:
        await hub.close()
        await pool.close()


async def test_one_streams_fault_keeps_no_other_from_ending_with_its_token() -> None:
    def broken() -> None:
        raise RuntimeError("the connection is in no state to be cut")

    pool = Pool(SETTINGS)
    pool.http._transport = httpx.MockTransport(Rows())
    hub = Hub(Feed(pool), None, heartbeat=60, recheck=60, most_per_account=9, most=9)
    wanted: dict[str, Any] = {"project": PROJECT, "wanted": EventFilter(), "after": 0, "newest": 0}
    try:
        with (
            hub.subscribed(actor("stalled", seconds=100), **wanted) as stalled,
            hub.subscribed(actor("ending", seconds=1.5), **wanted) as ending,  # so after the first second
        ):
            stalled.cut, stalled._sending_since = broken, float("-inf")
            async with asyncio.timeout(20):
                frames = b"".join([some async for some in ending.frames()])
        assert b"token_expired" in frames
    finally:
        await hub.close()
        await pool.close()


async def test_an_answer_that_nobody_foresaw_ends_no_following_of_who_is_present() -> None:
    rows, pool = Rows(), Pool(SETTINGS)
    rows.presence = [{"no": "presence"}]
    pool.http._transport = httpx.MockTransport(rows)
    hub = Hub(Feed(pool), None, heartbeat=60, recheck=60, most_per_account=9, most=9)
    wanted: dict[str, Any] = {"project": PROJECT, "wanted": EventFilter(), "after": 0, "newest": 0}
    try:
        with hub.subscribed(actor("staying", seconds=100), **wanted):
            async with asyncio.timeout(20):
                while rows.present_asked < 2:
                    hub._followers[PROJECT]._presence_due.set()
                    await asyncio.sleep(0.001)
    finally:
        await hub.close()
        await pool.close()
