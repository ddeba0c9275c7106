"""Presence: short-lived, bounded, of members only, said by the database and by nobody in another's name."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.schema.world import refused

if TYPE_CHECKING:
    from tests.schema.world import Person, Team, World


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


@pytest.fixture
async def team(world: World) -> Team:
    return await world.team()


async def said(world: World, person: Person | None, team: Team, **what: Any) -> list[dict[str, Any]]:
    given = {"device": "tab", "state": "viewing"} | what
    return list(await world.rpc(person, "set_presence", project=team.id, **given))


async def seen(world: World, person: Person | None, team: Team, **where: Any) -> list[tuple[Any, ...]]:
    found = (await world.rpc(person, "list_presence", project=team.id, **where))["items"]
    return [(each["person"]["handle"], each["device"], each["path"], each["state"]) for each in found]


async def signals(world: World, team: Team) -> int:
    sql = "select count(*) from realtime.messages where topic = 'project:' || $1 and event = 'presence'"
    return int(await world.one(sql, team.id, role="supabase_admin"))


async def test_who_is_at_a_document_and_who_else(world: World, team: Team):
    document = (await world.write(team.editor, team.id, "a.md", "one"))["document"]
    assert [each["device"] for each in await said(world, team.reader, team, path="a.md")] == ["tab"]
    both = await said(world, team.editor, team, device="cli", state="editing", document=document)
    assert [(each["person"]["handle"], each["document"], each["path"]) for each in both] == [
        (team.reader.handle, document, "a.md"),
        (team.editor.handle, document, "a.md"),
    ]
    await said(world, team.owner, team)
    whole = [
        (team.reader.handle, "tab", "a.md", "viewing"),
        (team.editor.handle, "cli", "a.md", "editing"),
        (team.owner.handle, "tab", None, "viewing"),
    ]
    assert await seen(world, team.reviewer, team) == whole
    assert await seen(world, team.reviewer, team, document=document) == whole[:2]
    assert await seen(world, team.reviewer, team, path="a.md") == whole[:2]
    # What has moved is where it is now; what isn't there yet is a path.
    head = await world.one("select head from public.documents where id = $1", document)
    await world.commit(team.editor, team.id, {"from": "a.md", "path": "b.md", "base": head})
    assert await seen(world, team.reviewer, team, path="b.md") == [
        (team.reader.handle, "tab", "b.md", "viewing"),
        (team.editor.handle, "cli", "b.md", "editing"),
    ]
    new = await said(world, team.editor, team, device="cli", state="editing", path="new.md")
    assert [(each["document"], each["path"]) for each in new] == [(None, "new.md")]
    assert await said(world, team.editor, team, device="cli", state="gone") == []
    assert len(await seen(world, team.owner, team)) == 2


async def test_only_what_others_see_is_signalled(world: World, team: Team):
    async def signalled(**what: Any) -> int:
        before = await signals(world, team)
        await said(world, team.editor, team, **what)
        return await signals(world, team) - before

    assert await signalled(path="a.md") == 1
    assert await signalled(path="a.md") == 0
    since = (await world.rpc(team.owner, "list_presence", project=team.id))["items"][0]["since"]
    assert await signalled(path="a.md", seconds=60) == 0
    assert (await world.rpc(team.owner, "list_presence", project=team.id))["items"][0]["since"] == since
    assert await signalled(path="a.md", state="editing") == 1
    assert await signalled(path="b.md", state="editing") == 1
    assert await signalled(state="gone") == 1
    assert await signalled(state="gone") == 0
    rows = await world.sql(
        "select distinct payload - 'id' as told from realtime.messages where event = 'presence'",
        role="supabase_admin",
    )
    assert [row["told"] for row in rows] == ["{}"]  # who hears it too long learns nothing


async def test_it_ends_by_itself_and_with_the_membership(world: World, team: Team):
    await said(world, team.reader, team, path="a.md")
    await said(world, team.editor, team, path="a.md")
    await world.sql("update public.presence set until = now() where user_id = $1", team.reader.id)
    assert await seen(world, team.owner, team) == [(team.editor.handle, "tab", "a.md", "viewing")]
    await world.rpc(team.owner, "remove_member", project=team.id, person=team.editor.handle)
    assert await seen(world, team.owner, team) == []
    assert await world.one("select count(*) from public.presence where user_id = $1", team.editor.id) == 0
    assert (await refused(said(world, team.editor, team))).code == "project_not_found"
    assert await world.one("select relpersistence::text from pg_class where relname = 'presence'") == "u"


async def test_strangers_see_and_say_nothing(world: World, team: Team):
    await said(world, team.reader, team, path="a.md")
    other = await world.team()
    mine = (await world.write(other.owner, other.id, "x.md", "x"))["document"]
    for stranger in (team.outsider, other.owner):
        assert (await refused(seen(world, stranger, team))).code == "project_not_found"
        assert (await refused(said(world, stranger, team))).code == "project_not_found"
        for relation in ("presence", "presence_details"):
            async with world.as_person(stranger) as conn:
                assert await conn.fetchval(f"select count(*) from public.{relation} where until > now()") == 0
    assert (await refused(said(world, team.editor, team, document=mine))).code == "document_not_found"
    assert (
        await refused(said(world, team.editor, team, document=str(uuid.uuid4())))
    ).code == "document_not_found"
    for forged in (
        "insert into public.presence (user_id, project_id, device, state, until) values ($1, $2, 'x', 'editing', now() + interval '1 hour')",
        "update public.presence set user_id = $1 where project_id = $2",
        "delete from public.presence where user_id = $1 and project_id = $2",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.as_person(team.editor) as conn:
                await conn.execute(forged, team.owner.id, team.id)


@pytest.mark.parametrize(
    "what",
    [
        {"device": ""},
        {"device": "a b"},
        {"device": "x" * 65},
        {"device": None},
        {"state": "asleep"},
        {"state": None},
        {"seconds": 4},
        {"seconds": 61},
        {"path": "a", "document": "00000000-0000-0000-0000-000000000000"},
    ],
    ids=str,
)
async def test_what_cannot_be_said(world: World, team: Team, what: dict[str, Any]):
    assert (await refused(said(world, team.editor, team, **what))).code == "bad_value"


async def test_paths_and_roles_are_looked_at(world: World, team: Team):
    assert (await refused(said(world, team.editor, team, path="../a"))).code == "bad_path"
    for reader in (team.reader, team.reviewer):
        assert (await refused(said(world, reader, team, state="editing"))).code == "role_too_low"
        await said(world, reader, team)


async def test_it_is_bounded(world: World, team: Team):
    for number in range(25):
        await said(world, team.reader, team, device=f"tab{number}", seconds=30 + number)
    devices = [entry[1] for entry in await seen(world, team.owner, team)]
    assert sorted(devices) == sorted(f"tab{number}" for number in range(5, 25))
    await world.sql(
        """insert into public.presence (user_id, project_id, device, state, until)
           select $1, $2, 'd' || n, 'viewing', now() + interval '1 minute' from generate_series(1, 980) n""",
        team.owner.id,
        team.id,
    )
    full = await refused(said(world, team.editor, team))
    assert (full.status, full.code) == (429, "presence_full")
    await said(world, team.reader, team, device="tab24")  # who is in may say it again
    await world.sql("update public.presence set until = now() where user_id = $1", team.owner.id)
    await said(world, team.editor, team)
    assert await world.one("select count(*) from public.presence where project_id = $1", team.id) == 21


async def test_many_at_once(world: World, team: Team):
    """Also when all that they said before is over, and each clears it away for all."""
    for _ in range(5):
        await world.sql("update public.presence set until = now() where project_id = $1", team.id)
        what = [(person, f"tab{number}") for person in team.members for number in range(5)]
        await asyncio.gather(
            *(said(world, person, team, device=device, path="a.md") for person, device in what)
        )
        assert len(await seen(world, team.owner, team)) == 20


async def test_who_is_removed_while_they_say_so_waits_and_is_told(world: World, team: Team):
    """Whoever removes them waits for their entries; they must not hold one of these while they wait."""
    for device in ("tab0", "tab1"):
        await said(world, team.reviewer, team, device=device)
    entry = "from public.presence where user_id = $1 and device = $2"
    async with world.acting("postgres") as conn:
        await conn.execute(
            "update public.presence set until = now() - interval '1 s' where user_id = $1 and device = $2",
            team.reviewer.id,
            "tab1",
        )
    async with world.acting("postgres") as conn:
        await conn.fetch(f"select {entry} for update", team.reviewer.id, "tab0")
        removing = asyncio.create_task(
            world.rpc(team.owner, "remove_member", project=team.id, person=team.reviewer.handle)
        )
        await asyncio.sleep(0.3)
        saying = asyncio.create_task(refused(said(world, team.reviewer, team, device="tab2")))
        await asyncio.sleep(0.3)
        assert not removing.done()
    await removing
    assert (await saying).code == "project_not_found"
