"""The official clients, Python's and JavaScript's, work with the embedded Realtime as with a hosted one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from realtime import RealtimeSubscribeStates
from supabase import AsyncClient, AsyncClientOptions

from tests.local.rest_cases.harness import BIN, JS, UnavailableError, modules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from realtime import AsyncRealtimeChannel

    from tests.stack import Stack

POLICIES = """
create policy "clients: heard" on realtime.messages for select to authenticated
  using ((select realtime.topic()) = 'clients:' || (select auth.uid()));
create policy "clients: said" on realtime.messages for insert to authenticated
  with check ((select realtime.topic()) = 'clients:' || (select auth.uid()))
"""


@pytest.fixture(scope="module")
async def person(stack: Stack) -> AsyncIterator[dict[str, Any]]:
    await stack.psql(POLICIES)
    yield await stack.user()
    for name in ("heard", "said"):
        await stack.psql(f'drop policy "clients: {name}" on realtime.messages')


@contextlib.asynccontextmanager
async def client(stack: Stack, token: str) -> AsyncIterator[AsyncClient]:
    options = AsyncClientOptions(auto_refresh_token=False, persist_session=False)
    made = AsyncClient(stack.supabase_url, stack.publishable_key, options)
    await made.realtime.set_auth(token)
    try:
        yield made
    finally:
        await made.remove_all_channels()


class Ear:
    """What a channel's callbacks were told."""

    def __init__(self) -> None:
        self.states: asyncio.Queue[tuple[RealtimeSubscribeStates, Exception | None]] = asyncio.Queue()
        self.messages: asyncio.Queue[Any] = asyncio.Queue()

    async def subscribe(self, channel: AsyncRealtimeChannel) -> RealtimeSubscribeStates:
        channel.on_broadcast("*", self.messages.put_nowait)
        await channel.subscribe(lambda state, error: self.states.put_nowait((state, error)))
        return (await asyncio.wait_for(self.states.get(), 20))[0]

    async def next(self) -> Any:
        return await asyncio.wait_for(self.messages.get(), 20)

    async def until(self, wanted: RealtimeSubscribeStates) -> Exception | None:
        while True:
            state, error = await asyncio.wait_for(self.states.get(), 15)
            if state is wanted:
                return error


def private(**broadcast: Any) -> Any:
    return {
        "config": {
            "private": True,
            "broadcast": {"ack": False, "self": False} | broadcast,
            "presence": {"key": "", "enabled": False},
        }
    }


async def test_python_joins_hears_and_is_refused(stack: Stack, person: dict[str, Any]):
    topic, token = f"clients:{person['user']['id']}", person["access_token"]
    stranger = await stack.user()
    async with client(stack, token) as inside, client(stack, stranger["access_token"]) as outside:
        ear, other = Ear(), Ear()
        channel = inside.channel(topic, private(self=True))
        assert await ear.subscribe(channel) is RealtimeSubscribeStates.SUBSCRIBED
        assert (
            await other.subscribe(outside.channel(topic, private())) is RealtimeSubscribeStates.CHANNEL_ERROR
        )
        await channel.send_broadcast("said", {"a": 1})
        assert (await ear.next())["payload"] == {"a": 1}
        await channel.http_send("posted", {"b": 2})
        assert (await ear.next())["payload"] == {"b": 2}
        await stack.psql("select realtime.send('{\"c\": 3}', 'row', $1, true)", topic)
        told = await ear.next()
        assert (told["event"], told["payload"]["c"]) == ("row", 3)
        assert told["meta"]["id"] == told["payload"]["id"]
        assert other.messages.empty()


async def test_python_hands_over_new_tokens_and_loses_the_channel_with_the_last_one(
    stack: Stack, person: dict[str, Any]
):
    sub, ends = person["user"]["id"], int(time.time()) + 3
    async with client(stack, stack.sign(sub=sub, exp=ends)) as inside:
        ear = Ear()
        assert (
            await ear.subscribe(inside.channel(f"clients:{sub}", private()))
            is RealtimeSubscribeStates.SUBSCRIBED
        )
        await inside.realtime.set_auth(stack.sign(sub=sub, exp=ends + 3))
        await asyncio.sleep(ends + 0.7 - time.time())
        assert ear.states.empty()  # the first token ended, and the channel goes on
        error = await ear.until(RealtimeSubscribeStates.CHANNEL_ERROR)
        assert "Token has expired" in str(error)
        await ear.until(RealtimeSubscribeStates.CLOSED)


async def test_python_sees_presence(stack: Stack, person: dict[str, Any]):
    async with client(stack, person["access_token"]) as one, client(stack, person["access_token"]) as two:
        changed = asyncio.Event()
        seen = one.channel("office", {"config": {"presence": {"key": "one"}}})
        seen.on_presence_sync(changed.set)
        guest = two.channel("office", {"config": {"presence": {"key": "two"}}})
        for channel in (seen, guest):
            assert await Ear().subscribe(channel) is RealtimeSubscribeStates.SUBSCRIBED

        async def people() -> set[str]:
            await asyncio.wait_for(changed.wait(), 20)
            changed.clear()
            return set(seen.presence_state())

        assert await people() == set()
        await guest.track({"document": 7})
        assert await people() == {"two"}
        assert seen.presence_state()["two"][0]["document"] == 7
        await guest.untrack()
        assert await people() == set()


async def test_javascript(stack: Stack, person: dict[str, Any]):
    try:
        await asyncio.to_thread(modules)
    except UnavailableError as error:
        if os.environ.get("VERSO_TEST_REQUIRE_ALL") == "1":
            raise
        pytest.skip(str(error))
    topic, stranger = f"clients:{person['user']['id']}", await stack.user()
    process = await asyncio.create_subprocess_exec(
        *(BIN / "node", JS / "test_realtime.mjs", stack.supabase_url, stack.publishable_key),
        *(person["access_token"], stranger["access_token"], topic),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = b""
    async with asyncio.timeout(60):
        while line := await process.stdout.readline():
            said += line
            if line == b"joined\n":
                await stack.psql("select realtime.send('{}', 'row', $1, true)", topic)
                await stack.psql("select realtime.send('{\"last\": true}', 'row', $1, true)", topic)
        await process.wait()
    assert process.returncode == 0, said.decode()
    assert said.count(b"ok ") == 7
