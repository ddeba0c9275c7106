"""Many at once: editors on one document, the same request twice, several API processes."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.history import verify_history
from tests.faults.proxy import duplicate
from tests.faults.service import Service
from tests.faults.world import World, client_of, problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stack import Stack

pytestmark = pytest.mark.slow

EDITORS = 200
ROUNDS = 3


@pytest.fixture(scope="module")
def pair(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Service]]:
    """Two API processes on one Supabase, without the proxy."""
    log: Path = tmp_path_factory.mktemp("pair") / "api.log"
    with Service(stack.env, log=log) as one, Service(stack.env, log=log) as two:
        yield [one, two]


async def test_of_200_editors_on_one_head_exactly_one_wins_each_round(
    world: World, pair: list[Service]
) -> None:
    token = world.owner["access_token"]
    async with client_of(pair[0], token, connections=EDITORS) as one, client_of(pair[1], token) as other:
        first = await one.put(world.where("race.md"), content=b"the start\n")
        head = first.headers["etag"]
        accepted = [b"the start\n"]
        for turn in range(ROUNDS):

            async def write(number: int, base: str = head, turn: int = turn) -> tuple[bytes, Any]:
                content = f"round {turn}, editor {number}\n".encode()
                answer = await one.put(world.where("race.md"), content=content, headers={"If-Match": base})
                return content, answer

            answers = await asyncio.gather(*(write(number) for number in range(EDITORS)))
            winners = [each for each in answers if each[1].status_code == 200]
            assert len(winners) == 1
            content, answer = winners[0]
            head = answer.headers["etag"]
            accepted.append(content)
            for _, loser in answers:
                if loser is not answer:
                    told = problem(loser, 412, "stale_base")
                    assert f'"{told["head"]}"' == head
        changes = await verify_history(other, world.project)
        assert len(changes) == 1 + ROUNDS
        document = changes[0].versions[0].document
        for number, content in enumerate(accepted, 1):
            read = await other.get(f"/v1/documents/{document}/versions/{number}/content")
            assert read.content == content


async def test_the_same_request_twice_at_once_writes_one_version_and_gets_one_answer(world: World) -> None:
    for round_ in range(5):
        one, two = await asyncio.gather(
            *(world.put(f"twice-{round_}.md", b"once\n", key=f"twice-{round_}") for _ in range(2))
        )
        assert one.status_code == two.status_code == 201
        assert one.json() == two.json()
    assert await world.versions() == 5


async def test_a_key_that_was_used_for_other_content_is_refused(world: World) -> None:
    assert (await world.put("key.md", b"one\n", key="k")).status_code == 201
    problem(await world.put("key.md", b"two\n", key="k"), 409, "idempotency_key_reused")
    assert await world.versions() == 1


@pytest.mark.parametrize("what", ["/rest/v1/rpc/commit_change", "/storage/v1/object/"])
async def test_a_request_that_a_proxy_sends_twice_counts_once(world: World, what: str) -> None:
    rule = world.proxy.rule("POST", what, duplicate)
    made = await world.put("dup.md", b"one\n")
    assert made.status_code == 201, made.text
    assert rule.met == 1
    again = await world.put("dup.md", b"two\n", base=made.headers["etag"])
    assert again.status_code == 200, again.text
    world.proxy.clear()
    assert len(await verify_history(world.client, world.project)) == 2


async def test_a_retry_may_go_to_another_process(world: World, pair: list[Service]) -> None:
    content = os.urandom(300_000)
    token = world.owner["access_token"]
    async with client_of(pair[0], token) as one, client_of(pair[1], token) as two:
        where, key = world.where("moved.bin"), {"Idempotency-Key": "moved"}
        first = await one.put(where, content=content, headers=key)
        second = await two.put(where, content=content, headers=key)
        assert first.status_code == second.status_code == 201
        assert first.json() == second.json()
        base = {"If-Match": first.headers["etag"]}
        for turn, client in enumerate((two, one, two, one)):
            written = await client.put(where, content=b"%d" % turn, headers=base)
            assert written.status_code == 200
            base = {"If-Match": written.headers["etag"]}
            for reader in (one, two):
                read = await reader.get(where, headers={"If-None-Match": first.headers["etag"]})
                assert (read.status_code, read.content) == (200, b"%d" % turn)
                assert read.headers["etag"] == written.headers["etag"]
        await verify_history(one, world.project)


async def test_processes_that_write_to_one_project_at_once_leave_one_order(
    world: World, pair: list[Service]
) -> None:
    token = world.owner["access_token"]
    async with client_of(pair[0], token) as one, client_of(pair[1], token) as two:

        async def write(number: int) -> int:
            client = (one, two)[number % 2]
            answer = await client.put(world.where(f"d/{number}.md"), content=b"%d" % number)
            assert answer.status_code == 201
            return int(answer.json()["change"])

        numbers = await asyncio.gather(*(write(number) for number in range(40)))
        assert sorted(numbers) == list(range(1, 41))
        await verify_history(two, world.project)
