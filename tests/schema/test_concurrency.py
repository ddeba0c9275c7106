"""Many writers at once: one order, no gaps, one winner a round, and no deadlock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.schema.world import put, refused

if TYPE_CHECKING:
    from tests.schema.world import World

CROWD = 20


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


async def numbers(world: World, sql: str, project: str) -> list[int]:
    return [row[0] for row in await world.sql(sql, project)]


async def gapless(world: World, project: str) -> int:
    """Check every numbering of a project; gives the number of changes."""
    changes = await numbers(
        world, "select sequence from public.changes where project_id = $1 order by 1", project
    )
    events = await numbers(
        world, "select sequence from public.events where project_id = $1 order by 1", project
    )
    assert changes == list(range(1, len(changes) + 1))
    assert events == list(range(1, len(events) + 1))
    counters = await world.sql(
        "select change_sequence, event_sequence from public.projects where id = $1", project
    )
    assert tuple(counters[0]) == (len(changes), len(events))
    broken = await world.one(
        """select count(*) from public.changes c left join public.changes p
             on p.project_id = c.project_id and p.sequence = c.sequence - 1
           where c.project_id = $1 and (c.previous is distinct from p.hash or c.committed_at < p.committed_at)""",
        project,
    )
    assert broken == 0
    gaps = await world.one(
        """select count(*) from public.documents d where d.project_id = $1
           and d.head_number <> (select count(*) from public.versions v where v.document_id = d.id)""",
        project,
    )
    assert gaps == 0
    return len(changes)


async def test_twenty_writers_of_other_documents_all_get_a_number(world, team):
    await world.store(team.id, "x")

    async def writer(n: int) -> None:
        for round_ in range(3):
            await world.commit(team.editor, team.id, put(f"{n}/{round_}.md", "x"))

    await asyncio.gather(*(writer(n) for n in range(CROWD)))
    assert await gapless(world, team.id) == CROWD * 3


async def test_of_twenty_writers_of_one_document_one_wins_each_round(world, team):
    head = (await world.write(team.editor, team.id, "a.md", "start"))["hash"]

    async def attempt(content: str, base: str) -> Any:
        try:
            return await world.commit(team.editor, team.id, put("a.md", content, base=base))
        except asyncpg.PostgresError as error:
            return error

    for round_ in range(3):
        contents = [f"{round_} {n}" for n in range(CROWD)]
        for content in contents:
            await world.store(team.id, content)
        answers = await asyncio.gather(*(attempt(content, head) for content in contents))
        won = [answer for answer in answers if isinstance(answer, dict)]
        lost = [answer for answer in answers if not isinstance(answer, dict)]
        assert len(won) == 1
        assert {error.sqlstate for error in lost} == {"PT412"}
        head = won[0]["versions"][0]["hash"]
        assert all(head in error.detail for error in lost)
    assert await gapless(world, team.id) == 4


async def test_the_same_key_at_the_same_time_writes_once(world, team):
    await world.store(team.id, "x")
    answers = await asyncio.gather(
        *(world.commit(team.editor, team.id, put("x.md", "x"), idempotency_key="k") for _ in range(CROWD))
    )
    assert {answer["hash"] for answer in answers} == {answers[0]["hash"]}
    assert await gapless(world, team.id) == 1


async def test_writers_who_swap_files_do_not_deadlock(world, team):
    """Two documents change places again and again, named in both orders; every refusal is a stale base."""
    heads = {name: await world.write(team.editor, team.id, f"{name}.md", name) for name in "ab"}

    reasons: set[str] = set()

    async def swapper(order: str) -> int:
        swaps = 0
        for _ in range(8):
            rows = await world.sql(
                "select id::text, path, head from public.documents where project_id = $1", team.id
            )
            documents = {row["id"]: row for row in rows}
            items = []
            for name in order:
                row = documents[heads[name]["document"]]
                other = "b.md" if row["path"] == "a.md" else "a.md"
                items.append({"document": row["id"], "base": row["head"], "path": other})
            try:
                await world.commit(team.editor, team.id, *items)
                swaps += 1
            except asyncpg.PostgresError as error:
                reasons.add(error.sqlstate)
        return swaps

    swaps = sum(await asyncio.gather(*(swapper(order) for order in ("ab", "ba") * 4)))
    assert await gapless(world, team.id) == 2 + swaps
    assert swaps >= 8
    assert reasons <= {"PT412"}


async def test_writing_joining_and_leaving_at_once_do_not_deadlock(world, team):
    await world.store(team.id, "x")

    async def writer(n: int) -> None:
        for round_ in range(5):
            await world.commit(team.editor, team.id, put(f"{n}/{round_}.md", "x"))

    async def host(person: Any) -> None:
        for _ in range(5):
            await world.rpc(team.owner, "set_member", project=team.id, person=person.handle, role="reader")
            await world.rpc(team.owner, "remove_member", project=team.id, person=person.handle)

    people = [await world.person() for _ in range(3)]
    await asyncio.gather(*(writer(n) for n in range(5)), *(host(person) for person in people))
    assert await gapless(world, team.id) == 25


async def waiting(world: World) -> bool:
    return bool(
        await world.one(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%commit_change%'"
        )
    )


@pytest.mark.parametrize(
    ("change", "arguments", "refusal"),
    [
        ("remove_member", {}, (404, "project_not_found")),
        ("set_member", {"role": "reader"}, (403, "role_too_low")),
        ("update_project", {"archived": True}, (403, "project_archived")),
    ],
    ids=["removed", "demoted", "archived"],
)
async def test_a_right_that_ends_while_a_writer_waits_ends_the_write(world, team, change, arguments, refusal):
    await world.store(team.id, "x")
    if change != "update_project":
        arguments = {"person": team.editor.handle, **arguments}
    async with world.as_person(team.owner) as conn:
        await world.rpc_on(conn, change, project=team.id, **arguments)
        writer = asyncio.ensure_future(refused(world.commit(team.editor, team.id, put("x.md", "x"))))
        await world.stack.until(lambda: waiting(world))
    answer = await writer
    assert (answer.status, answer.code) == refusal
    assert await world.live_paths(team.id) == set()


async def test_two_owners_who_leave_at_once_leave_one_behind(world, team):
    await world.rpc(team.owner, "set_member", project=team.id, person=team.editor.handle, role="owner")

    async def leave(person: Any) -> Any:
        try:
            return await world.rpc(person, "remove_member", project=team.id, person=person.handle)
        except asyncpg.PostgresError as error:
            return error.args[0]

    answers = await asyncio.gather(leave(team.owner), leave(team.editor))
    assert sorted(str(answer) for answer in answers) == ["", "last_owner"] or "last_owner" in answers
    owners = "select count(*) from public.members where project_id = $1 and role = 'owner'"
    assert await world.one(owners, team.id) == 1


async def test_two_who_add_the_same_path_make_one_document(world, team):
    await world.store(team.id, "x")

    async def add(n: int) -> Any:
        try:
            return await world.commit(team.editor, team.id, put("same.md", "x"))
        except asyncpg.PostgresError as error:
            return error.sqlstate

    answers = await asyncio.gather(*(add(n) for n in range(10)))
    assert len([answer for answer in answers if isinstance(answer, dict)]) == 1
    assert {answer for answer in answers if isinstance(answer, str)} == {"PT428"}
