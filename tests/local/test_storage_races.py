"""Overlapping requests: one winner, whole objects, and no role that outlives its statement."""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from collections import Counter

import asyncpg
import pytest

from tests.local.storage_cases.world import World, still_there, world

__all__ = ["world"]


@pytest.mark.parametrize("size", [4096, 2_000_000], ids=["small", "streamed"])
async def test_of_eight_simultaneous_uploads_of_one_key_exactly_one_succeeds(world: World, size: int) -> None:
    for _ in range(5):
        key = f"open/{uuid.uuid4()}"
        bodies = [os.urandom(size) for _ in range(8)]
        before = len(world.files())
        answers = await asyncio.gather(*(world.put("owner", key, body) for body in bodies))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
        assert {answer.json()["code"] for answer in answers if answer.status_code == 400} == {
            "KeyAlreadyExists"
        }
        winner = next(body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200)
        await still_there(world, key, winner)
        assert len(world.files()) == before + 1


async def test_simultaneous_overwrites_leave_one_whole_object(world: World) -> None:
    key = f"open/{uuid.uuid4()}"
    bodies = [os.urandom(50_000) for _ in range(8)]
    before = len(world.files())
    answers = await asyncio.gather(
        *(world.put("owner", key, body, **{"x-upsert": "true"}) for body in bodies)
    )
    assert {answer.status_code for answer in answers} == {200}
    assert (await world.get("owner", key)).content in bodies
    assert len(world.files()) == before + 1


async def test_a_download_survives_overwrites(world: World) -> None:
    key = f"open/{uuid.uuid4()}"
    await world.put("owner", key, b"0" * 1000)

    async def overwrite() -> None:
        for number in range(1, 30):
            await world.put("owner", key, str(number % 10).encode() * 1000, **{"x-upsert": "true"})

    writing = asyncio.create_task(overwrite())
    while not writing.done():
        answer = await world.get("owner", key)
        assert answer.status_code == 200
        assert len(answer.content) == 1000
        assert len(set(answer.content)) == 1
        assert answer.headers["etag"] == f'"{hashlib.md5(answer.content).hexdigest()}"'
    await writing


async def test_the_statement_s_role_doesn_t_outlive_it(world: World) -> None:
    """Calls of many roles share connections: a refusal under one must not change what the next may do."""

    async def one(number: int) -> tuple[str, int]:
        who = ("owner", "anon", "service", "unknown role", "no uuid")[number % 5]
        return who, (await world.put(who, f"docs/{world.ids['owner']}/role{number}", b"x")).status_code

    answers = Counter(await asyncio.gather(*(one(number) for number in range(200))))
    assert answers == {
        ("owner", 200): 40, ("anon", 400): 40, ("service", 200): 40, ("unknown role", 500): 40, ("no uuid", 400): 40,
    }  # fmt: skip
    conn = await asyncpg.connect(world.stack.dsn("supabase_storage_admin"))
    try:
        left = "select current_user, current_setting('request.jwt.claims', true) from storage.buckets limit 1"
        assert tuple((await conn.fetch(left))[0]) == ("supabase_storage_admin", None)
    finally:
        await conn.close()
