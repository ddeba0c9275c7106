"""The signal of events: one broadcast a transaction, which no failure turns into a failed commit, for members only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.schema.world import put

if TYPE_CHECKING:
    from tests.schema.world import Person, World

SENT = "select event, payload, private, extension from realtime.messages where topic = 'project:' || $1 order by inserted_at, (payload ->> 'sequence')::int"


async def sent(world: World, project: str) -> list[dict[str, Any]]:
    rows = await world.sql(SENT, project, role="supabase_admin")
    return [{**dict(row), "payload": json.loads(row["payload"])} for row in rows]


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


async def test_each_transaction_says_once_up_to_which_event(world: World):
    team = await world.team()
    newest = await world.one("select event_sequence from public.projects where id = $1", team.id)
    # The project, its first member and three more: each call is a transaction.
    before = await sent(world, team.id)
    assert before[-1]["payload"]["sequence"] == newest
    await world.write(team.editor, team.id, "a.md", "one")
    told = (await sent(world, team.id))[len(before) :]
    assert [(each["event"], each["private"], each["extension"]) for each in told] == [
        ("event", True, "broadcast")
    ]
    assert {**told[0]["payload"], "id": ""} == {"sequence": newest + 1, "kind": "change.added", "id": ""}
    async with world.acting("postgres") as conn:
        for _ in range(5):
            await conn.execute("select private.add_event($1, 'thing.done')", team.id)
        assert len(await sent(world, team.id)) == len(before) + 1  # nothing before the commit
    after = await sent(world, team.id)
    assert [each["payload"]["sequence"] for each in after[len(before) + 1 :]] == [newest + 6]


@pytest.mark.parametrize(
    "broken",
    [
        "alter table realtime.messages rename to elsewhere",
        "alter table realtime.messages add constraint never check (false) not valid",
        "drop function realtime.send(jsonb, text, text, boolean)",
        "drop schema realtime cascade",
        "revoke all on realtime.messages from postgres; alter table realtime.messages owner to supabase_admin",
        "revoke usage on schema realtime from postgres",
    ],
)
async def test_no_failure_of_a_broadcast_stops_a_commit(world: World, broken: str):
    team = await world.team()
    await world.store(team.id, "kept")
    async with world.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        try:
            await conn.execute(broken)
            await conn.execute("set local role authenticated")
            await conn.execute(
                "select set_config('request.jwt.claims', $1, true)", json.dumps(team.editor.claims)
            )
            change = await world.rpc_on(conn, "commit_change", project=team.id, items=[put("a.md", "kept")])
            await conn.execute("set constraints all immediate")  # as the commit does
            assert change["change"]["sequence"] == 1
        finally:
            await transaction.rollback()


async def heard(world: World, person: Person | None, topic: str) -> int:
    """How many messages a token's owner sees when it joins a topic: more than none is a joined channel."""
    async with world.as_person(person) as conn:
        await conn.execute("select set_config('realtime.topic', $1, true)", topic)
        return int(await conn.fetchval("select count(*) from realtime.messages"))


async def test_members_hear_their_project_and_nobody_hears_anything_else(world: World):
    team, other = await world.team(), await world.team()
    topic = f"project:{team.id}"
    expected = len(await sent(world, team.id))
    for member in team.members:
        assert await heard(world, member, topic) == expected > 0
        for elsewhere in (
            f"project:{other.id}",
            "",
            "project:",
            team.id,
            topic.upper(),
            f"{topic} ",
            f"{topic}:x",
            f"realtime:{topic}",
            "project:%",
            f"project:{team.id}' or true --",
        ):
            assert await heard(world, member, elsewhere) == 0, elsewhere
    for stranger in (team.outsider, other.owner, None):
        assert await heard(world, stranger, topic) == 0
    await world.rpc(team.owner, "remove_member", project=team.id, person=team.editor.handle)
    assert await heard(world, team.editor, topic) == 0
    await world.sql("delete from auth.users where id = $1", team.reader.id, role="supabase_auth_admin")
    assert await heard(world, team.reader, topic) == 0


async def insert(world: World, person: Person | None, topic: str, extension: str) -> None:
    async with world.as_person(person) as conn:
        await conn.execute("select set_config('realtime.topic', $1, true)", topic)
        await conn.execute(
            """insert into realtime.messages (topic, extension, event, payload, private)
               values ($1, $2, 'event', '{}', true)""",
            topic,
            extension,
        )


async def test_nobody_but_the_database_sends(world: World):
    team = await world.team()
    topic = f"project:{team.id}"
    before = len(await sent(world, team.id))
    for person in (*team.members, team.outsider, None):
        for extension in ("broadcast", "presence"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await insert(world, person, topic, extension)
        async with world.as_person(person) as conn:
            await conn.execute(
                "select realtime.send('{}', 'event', $1, true)", topic
            )  # a warning, and nothing
            await conn.execute("select set_config('realtime.topic', $1, true)", topic)
            assert await conn.execute("update realtime.messages set event = 'forged'") == "UPDATE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.as_person(person) as conn:
                await conn.execute("delete from realtime.messages")
    told = await sent(world, team.id)
    assert (len(told), {each["event"] for each in told}) == (before, {"event"})


async def test_the_only_policy_of_messages_is_for_reading(world: World):
    rows = await world.sql(
        "select cmd, permissive, roles::text[] from pg_policies where schemaname = 'realtime'"
    )
    assert [(row["cmd"], row["permissive"], row["roles"]) for row in rows] == [
        ("SELECT", "PERMISSIVE", ["authenticated"])
    ]
