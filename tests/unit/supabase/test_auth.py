"""Refreshing: one question to Auth however many want the answer, whatever becomes of those who asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from app.errors import VersoError
from app.settings import Settings
from app.supabase.auth import REMEMBERED_SECONDS, Auth
from app.supabase.pool import Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Upstream:
    """Auth's side of the wire: says what comes in, and answers when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.go_on = asyncio.Event()
        self.now = 1000.0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.read().decode())
        await self.go_on.wait()
        number = len(self.asked)
        session = {"access_token": f"a{number}", "refresh_token": f"r{number}", "expires_in": 3600}
        refusal = {"code": "refresh_token_already_used", "message": "no"}
        return httpx.Response(self.status, json=session if self.status == 200 else refusal)


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def auth(upstream: Upstream) -> AsyncIterator[Auth]:
    settings = Settings(supabase_url="http://auth.example", supabase_publishable_key="k")
    pool = Pool(settings)
    pool.http._transport = httpx.MockTransport(upstream)
    yield Auth(pool, settings, clock=lambda: upstream.now)
    await pool.close()


async def test_many_at_once_ask_once(auth: Auth, upstream: Upstream) -> None:
    waiting = [asyncio.create_task(auth.refresh("r0")) for _ in range(50)]
    await asyncio.sleep(0.01)
    upstream.go_on.set()
    assert {each.refresh_token for each in await asyncio.gather(*waiting)} == {"r1"}
    assert len(upstream.asked) == 1


async def test_the_late_get_the_same_for_a_while_and_the_too_late_ask(auth: Auth, upstream: Upstream) -> None:
    upstream.go_on.set()
    first = await auth.refresh("r0")
    upstream.now += REMEMBERED_SECONDS - 1
    assert await auth.refresh("r0") == first
    upstream.now += 2
    assert (await auth.refresh("r0")).refresh_token == "r2"
    assert len(auth._refreshes) == 1


async def test_a_session_that_is_over_is_not_asked_for_again(auth: Auth, upstream: Upstream) -> None:
    upstream.status = 400
    upstream.go_on.set()
    for number in range(5):
        with pytest.raises(VersoError) as refused:
            await auth.renew("ended", f"made up {number}")
        assert refused.value.code == "session_ended"
    assert len(upstream.asked) == 1
    upstream.status = 200
    assert (await auth.renew("another", "r0")).refresh_token == "r2"


async def test_who_leaves_takes_the_answer_from_nobody(auth: Auth, upstream: Upstream) -> None:
    leaving, staying = (asyncio.create_task(auth.refresh("r0")) for _ in range(2))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.sleep(0.01)
    upstream.go_on.set()
    assert (await staying).refresh_token == "r1"
    assert (await auth.refresh("r0")).refresh_token == "r1"  # also when everybody had left


async def test_a_failure_is_not_remembered(auth: Auth, upstream: Upstream) -> None:
    upstream.go_on.set()
    for status, code in ((503, "supabase_unavailable"), (400, "session_ended")):
        upstream.status = status
        with pytest.raises(VersoError) as error:
            await auth.refresh("r0")
        assert error.value.code == code
    upstream.status = 200
    assert (await auth.refresh("r0")).refresh_token == "r3"


async def test_two_sessions_wait_for_nothing_of_each_other(auth: Auth, upstream: Upstream) -> None:
    both = [asyncio.create_task(auth.refresh(token)) for token in ("r0", "s0")]
    async with asyncio.timeout(20):
        while len(upstream.asked) < 2:  # noqa: ASYNC110 - it asks at once
            await asyncio.sleep(0.001)
    upstream.go_on.set()
    await asyncio.gather(*both)
    assert ["r0" in upstream.asked[0], "s0" in upstream.asked[1]] == [True, True]
