"""Processes killed at the worst moments: the API, PostgreSQL, the whole Supabase."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.faults.history import verify_history
from tests.faults.proxy import Hold, Proxy, answer
from tests.faults.service import Service
from tests.faults.world import World, client_of, problem
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.slow

COMMIT = "/rpc/commit_change"
CLEAR = {"supabase_unavailable", "storage_unavailable"}
"""What a client may be told while its Supabase is away."""


@pytest.fixture
async def victim(world: World, settings: dict[str, str], tmp_path: Path) -> AsyncIterator[World]:
    """The same world through an API process of the test's own, to be killed."""
    with Service(settings, log=tmp_path / "api.log") as service:
        async with client_of(service, world.owner["access_token"]) as client:
            yield World(world.stack, world.proxy, service, client, world.project, world.owner, world.arriving)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_an_api_killed_around_the_commit_leaves_nothing_or_one_version_and_a_retry_gives_one(
    victim: World, moment: str
) -> None:
    held = Hold()
    victim.proxy.rule("POST", COMMIT, getattr(held, moment), times=1)
    content = os.urandom(50_000)
    writing = asyncio.create_task(victim.put("killed.bin", content, key="killed"))
    await asyncio.wait_for(held.reached.wait(), 20)
    victim.service.kill()
    with pytest.raises(httpx.TransportError):
        await writing
    # Its object is there; the rows are there only when the database had done its part.
    assert len(await victim.objects()) == 1
    assert await victim.versions() == (0 if moment == "before" else 1)

    victim.service.start()
    again = await victim.put("killed.bin", content, key="killed")
    assert again.status_code == 201, again.text
    held.release.set()
    await asyncio.sleep(0.2)
    assert (await victim.get("killed.bin")).content == content
    assert len(await verify_history(victim.client, victim.project)) == 1
    assert len(await victim.objects()) == 1


async def test_an_api_killed_while_storing_some_of_many_leaves_no_part_of_the_change(
    victim: World,
) -> None:
    held = Hold()
    victim.proxy.rule("POST", "/storage/v1/object/", held.before, skip=7)
    files = [("f", (f"many/{number}.md", b"%d\n" % number)) for number in range(20)]

    async def write() -> httpx.Response:
        where = f"/v1/projects/{victim.project}/changes"
        return await victim.client.post(where, files=files, headers={"Idempotency-Key": "many"})

    writing = asyncio.create_task(write())
    await asyncio.wait_for(held.reached.wait(), 20)
    victim.service.kill()
    with pytest.raises(httpx.TransportError):
        await writing
    assert await victim.versions() == 0
    held.release.set()
    victim.proxy.clear()
    victim.service.start()
    again = await write()
    assert again.status_code == 201, again.text
    (change,) = await verify_history(victim.client, victim.project)
    assert len(change.versions) == 20


@dataclass
class Load:
    """Editors who write their own documents, version after version, and note what they were told.

    Whoever is refused with a clear problem, or hears nothing, sends the same again with the same key.
    """

    client: httpx.AsyncClient
    project: str
    acknowledged: dict[str, list[bytes]] = field(default_factory=dict)
    refusals: list[httpx.Response] = field(default_factory=list)
    broken: int = 0
    ending: bool = False

    async def edit(self, name: str) -> None:
        etag: str | None = None
        told = self.acknowledged.setdefault(name, [])
        while not self.ending:
            content = f"{name}, version {len(told) + 1}\n".encode() + os.urandom(200)
            etag = await self._until_written(name, content, etag, key=f"{name}-{len(told) + 1}")
            told.append(content)

    async def _until_written(self, name: str, content: bytes, etag: str | None, *, key: str) -> str:
        headers = {"Idempotency-Key": key} | ({"If-Match": etag} if etag else {})
        where = f"/v1/projects/{self.project}/files/{name}"
        while True:
            try:
                answer = await self.client.put(where, content=content, headers=headers)
            except httpx.TransportError:
                self.broken += 1
                await asyncio.sleep(0.05)
                continue
            if answer.status_code in {200, 201}:
                return answer.headers["etag"]
            self.refusals.append(answer)
            assert len(self.refusals) < 500, answer.text
            await asyncio.sleep(0.05)

    @property
    def count(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    async def until(self, count: int) -> None:
        while self.count < count:  # noqa: ASYNC110 - the editors have nothing to set an event with
            await asyncio.sleep(0.01)

    async def verify(self) -> None:
        """Everything that was acknowledged is there, in its order, byte for byte, and nothing else."""
        for refusal in self.refusals:
            assert refusal.json()["code"] in CLEAR, refusal.text
            assert refusal.status_code == 503
            assert refusal.headers["retry-after"]
        changes = await verify_history(self.client, self.project)
        assert len(changes) == self.count
        for name, contents in self.acknowledged.items():
            document = (await self.client.get(f"/v1/projects/{self.project}/tree?prefix={name}")).json()
            where = f"/v1/documents/{document['items'][0]['document']}/versions"
            for number, content in enumerate(contents, 1):
                assert (await self.client.get(f"{where}/{number}/content")).content == content
            assert (await self.client.get(f"{where}/{len(contents) + 1}")).status_code == 404


@contextlib.asynccontextmanager
async def under_load(load: Load, editors: int = 8) -> AsyncIterator[None]:
    """Let editors work during the block, and then finish what they are about."""
    working = [asyncio.create_task(load.edit(f"doc-{number}.md")) for number in range(editors)]
    try:
        yield
        load.ending = True
        await asyncio.wait_for(asyncio.gather(*working), 60)
    finally:
        for task in working:
            task.cancel()


@pytest.fixture
async def lonely(tmp_path: Path) -> AsyncIterator[World]:
    """A Supabase of the test's own, without the proxy, to be killed."""
    with Stack(tmp_path / "stack") as stack:
        settings = {**stack.env, "VERSO_REQUEST_TIMEOUT": "5", "VERSO_SPOOL_DIR": str(tmp_path)}
        with Service(settings, log=tmp_path / "api.log") as service:
            owner = await stack.user()
            async with (
                client_of(service, owner["access_token"]) as client,
                Proxy(stack.supabase_url) as proxy,
            ):
                assert (await client.post("/v1/projects", json={"slug": "load"})).status_code == 201
                yield World(stack, proxy, service, client, "load", owner, tmp_path)


async def test_postgres_killed_under_load_loses_nothing_that_was_acknowledged(lonely: World) -> None:
    load = Load(lonely.client, lonely.project)
    async with under_load(load):
        for _ in range(3):
            await asyncio.wait_for(load.until(load.count + 20), 30)
            os.kill(lonely.stack.postgres_pid, signal.SIGKILL)
            another = functools.partial(_another, lonely.stack, lonely.stack.postgres_pid)
            lonely.stack.postgres_pid = await lonely.stack.until(another)
        await asyncio.wait_for(load.until(load.count + 20), 30)
    await load.verify()


async def _another(stack: Stack, killed: int) -> int | None:
    """The process of the PostgreSQL that was started after the one killed, once it answers."""
    try:
        found = int(next(stack.data.rglob("postmaster.pid")).read_text().split()[0])
    except (StopIteration, FileNotFoundError, IndexError):
        return None  # between the one that was swept away and the next one's
    return found if found != killed and await stack.psql("select 1") else None


async def test_the_whole_supabase_killed_under_load_loses_nothing_that_was_acknowledged(
    lonely: World,
) -> None:
    load = Load(lonely.client, lonely.project)
    async with under_load(load):
        await asyncio.wait_for(load.until(20), 30)
        lonely.stack.kill()
        refused = await lonely.put("away.md", b"x\n")
        assert refused.status_code == 503
        assert refused.json()["code"] in CLEAR
        lonely.stack.start()
        await asyncio.wait_for(load.until(load.count + 20), 30)
        lonely.stack.stop()
        lonely.stack.start()
        await asyncio.wait_for(load.until(load.count + 20), 30)
    assert load.refusals
    await load.verify()


async def test_the_api_killed_under_load_loses_nothing_that_was_acknowledged(lonely: World) -> None:
    load = Load(lonely.client, lonely.project)
    async with under_load(load):
        for _ in range(2):
            await asyncio.wait_for(load.until(load.count + 20), 30)
            lonely.service.kill()
            lonely.service.start()
        await asyncio.wait_for(load.until(load.count + 20), 30)
    assert load.broken
    await load.verify()
    assert lonely.left_behind() == []


async def test_a_database_that_stays_away_is_said_to_be_away(world: World) -> None:
    made = await world.put("here.md", b"here\n")
    world.proxy.rule("*", "/rest/v1/", answer(503, b'{"code":"PGRST001","message":"no connection"}'))
    problem(await world.get("here.md"), 503, "supabase_unavailable")
    refused = await world.put("here.md", b"more\n", base=made.headers["etag"])
    problem(refused, 503, "supabase_unavailable")
    assert refused.headers["retry-after"]
    ready = await world.client.get("/health/ready")
    assert ready.status_code == 503
    assert (await world.client.get("/health/live")).status_code == 200
    world.proxy.clear()
    assert (await world.get("here.md")).content == b"here\n"
    assert (await world.client.get("/health/ready")).status_code == 200
