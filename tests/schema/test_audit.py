"""The audit trail: who reads it, who can write what into it, and that it only ever grows. Attacked by plain SQL."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.schema.test_agents import agent_of
from tests.schema.world import Person, refused

if TYPE_CHECKING:
    from tests.schema.world import Team, World

STRANGERS = 20
"""So many strangers have a row of their own in a project, a kind and a minute."""


async def say(world: World, person: Person, kind: str, about: str | None = None, **more: Any) -> None:
    entry = {"kind": kind, **({"about": about} if about else {}), **more}
    await world.rpc(person, "record_audit", entries=[entry])


async def trail(world: World, team: Team, **filters: Any) -> list[dict[str, Any]]:
    return list(await world.rpc(team.owner, "list_audit", project=team.id, **filters))


async def mine(world: World, person: Person, **filters: Any) -> list[dict[str, Any]]:
    return list(await world.rpc(person, "list_my_audit", **filters))


async def rows(world: World, account: str) -> list[Any]:
    return await world.sql("select * from private.audit_entries where account_id = $1 order by at", account)


async def session(world: World, account: str, **more: Any) -> str:
    made = str(uuid.uuid4())
    await world.sql(
        """insert into auth.sessions (id, user_id, created_at, user_agent, ip)
           values ($1, $2, now(), $3, $4::text::inet)""",
        made, account, more.get("user_agent", "Firefox\n/1"), more.get("ip", "203.0.113.9"),
        role="supabase_auth_admin",
    )  # fmt: skip
    return made


async def test_a_session_is_noted_where_it_begins_and_where_it_ends(each_world):
    world = each_world
    person = await world.person()
    opened = await session(world, person.id)
    await world.sql("delete from auth.sessions where id = $1", opened, role="supabase_auth_admin")
    ended, started = await mine(world, person)
    assert (started["kind"], ended["kind"]) == ("account.session_started", "account.session_ended")
    assert {started["session"], ended["session"]} == {opened}
    assert {started["witness"], ended["witness"]} == {"database"}
    assert (started["known"]["address"], started["known"]["user_agent"]) == ("203.0.113.9", "Firefox /1")
    assert "since" in ended["known"]
    assert (await mine(world, person, kind="account.session_ended"))[0]["id"] == ended["id"]


async def test_nobody_is_kept_from_signing_in_by_a_trail_that_fails(world):
    person = await world.person()
    async with world.acting("postgres") as conn:
        await conn.execute(
            "alter table private.audit_entries add constraint broken check (kind <> 'account.session_started') not valid"
        )
    try:
        opened = await session(world, person.id)
        assert await world.one("select count(*) from auth.sessions where id = $1", opened) == 1
    finally:
        async with world.acting("postgres") as conn:
            await conn.execute("alter table private.audit_entries drop constraint broken")
    assert await mine(world, person) == []


async def attempt(world: World, user: str, *, valid: bool) -> Any:
    """As Auth calls its password verification hook."""
    event = json.dumps({"user_id": user, "valid": valid})
    call = "select private.note_password_attempt($1::jsonb)::text as answer"
    return json.loads((await world.sql(call, event, role="supabase_auth_admin"))[0]["answer"])


async def test_wrong_passwords_are_counted_in_the_accounts_own_trail_as_auth_saw_them(each_world):
    world = each_world
    person = await world.person()
    answers = [await attempt(world, person.id, valid=valid) for valid in (False, True, False, False)]
    answers += [await attempt(world, user, valid=False) for user in (str(uuid.uuid4()), "no id")]
    assert answers == [{"decision": "continue"}] * 6
    found = await mine(world, person, kind="refused.password")
    assert sum(each["count"] for each in found) == 3  # two rows when a minute ended between
    assert {each["witness"] for each in found} == {"database"}
    assert {each["person"]["id"] for each in found} == {person.id}
    assert len(await rows(world, person.id)) == len(found), "a right password is nothing to note"


async def test_owners_see_that_somebody_tries_their_agents_credential(world, team):
    agent = await agent_of(world, team)
    await attempt(world, agent.id, valid=False)
    (found,) = await trail(world, team, kind="refused.password")
    assert (found["agent"], found["person"]["id"]) == ("planner", agent.id)
    assert found["on_behalf_of"]["id"] == team.owner.id
    await attempt(world, team.editor.id, valid=False)
    assert len(await trail(world, team, kind="refused")) == 1, (
        "a member's password is the member's own matter"
    )


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_nobody_but_auth_says_that_a_password_was_wrong(world, team, role):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.sql("select private.note_password_attempt('{}')", role=role)
    refusal = await refused(say(world, team.editor, "refused.password"))
    assert refusal.code == "bad_value"


async def test_a_trail_that_fails_keeps_nobody_from_trying_a_password(world):
    person = await world.person()
    async with world.acting("postgres") as conn:
        await conn.execute(
            "alter table private.audit_entries add constraint broken check (kind <> 'refused.password') not valid"
        )
    try:
        assert await attempt(world, person.id, valid=False) == {"decision": "continue"}
    finally:
        async with world.acting("postgres") as conn:
            await conn.execute("alter table private.audit_entries drop constraint broken")
    assert await mine(world, person) == []


async def test_a_projects_trail_holds_its_events_and_exports_and_refusals_newest_first(world, team):
    await world.write(team.editor, team.id, "a.md", "a")
    await say(world, team.reader, "export.archive", team.slug, address="198.51.100.7", user_agent="curl/8")
    await say(world, team.editor, "refused.role", team.id, code="role_too_low", route="PATCH /x")
    await world.rpc(team.owner, "set_member", project=team.id, person=team.reader.handle, role="editor")
    found = await trail(world, team)
    assert [each["kind"] for each in found] == [
        "member.role_set", "refused.role", "export.archive",
        "member.added", "member.added", "member.added", "project.added",
    ]  # fmt: skip
    assert [each["witness"] for each in found[:3]] == ["event", "caller", "caller"]
    assert found[2]["person"]["handle"] == team.reader.handle
    assert found[2]["told"] == {"address": "198.51.100.7", "user_agent": "curl/8", "about": team.slug}
    assert found[0]["event"] == 6
    assert found[0]["known"]["before"] == "reader"
    by = await trail(world, team, person=team.reader.handle)
    assert [each["kind"] for each in by] == ["export.archive"]
    assert {each["kind"] for each in await trail(world, team, kind="member")} == {
        "member.added",
        "member.role_set",
    }
    assert await trail(world, team, kind="change") == []
    assert await trail(world, team, person="nobody-of-that-name") == []
    assert await trail(world, team, until="2020-01-01") == []
    since = found[1]["at"]
    before = await trail(world, team, until=since)
    assert [each["id"] for each in before] == [each["id"] for each in found[2:]], "not at it"
    assert [each["kind"] for each in await trail(world, team, since=since)] == [
        "member.role_set",
        "refused.role",
    ]


async def test_pages_join_without_gap_or_repeat_also_where_times_are_the_same(world, team):
    for kind in ("export.archive", "export.git", "export.history", "refused.role"):
        await say(world, team.reader, kind, team.id)
        await say(world, team.editor, kind, team.id)
    whole = await trail(world, team)
    paged: list[dict[str, Any]] = []
    while page := await trail(world, team, page_size=2, **({"after": paged[-1]["place"]} if paged else {})):
        paged += page
    assert paged == whole
    assert len({each["id"] for each in whole}) == len(whole) == 12
    for nonsense in ("x", "2026-01-01", "' or true --"):
        assert await trail(world, team, after=nonsense) == [] or nonsense == "2026-01-01"


async def test_only_owners_read_a_projects_trail_and_only_oneself_ones_own(world, team):
    for person in (team.editor, team.reviewer, team.reader):
        assert (await refused(world.rpc(person, "list_audit", project=team.id))).code == "role_too_low"
    assert (
        await refused(world.rpc(team.outsider, "list_audit", project=team.id))
    ).code == "project_not_found"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.rpc(None, "list_audit", project=team.id)
    await say(world, team.editor, "export.git", team.id)
    assert [each["kind"] for each in await mine(world, team.editor)] == ["export.git"]
    assert await mine(world, team.outsider) == []
    for role in ("anon", "authenticated", "service_role"):
        for statement in (
            "select * from private.audit_entries",
            "select private.audit_page(null, null, null, null, null, null, null, 9, true)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await world.sql(statement, role=role)
    for function in ("read_audit", "expire_audit"):
        async with world.as_person(team.owner) as conn:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await conn.fetch(f"select public.{function}({'now()' if function == 'expire_audit' else ''})")


async def test_who_left_reads_no_more_of_what_they_did_there(world, team):
    other = team.editor
    await world.rpc(team.owner, "set_member", project=team.id, person=other.handle, role="owner")
    await world.rpc(other, "update_project", project=team.id, description="x")
    assert "project.edited" in {each["kind"] for each in await mine(world, other)}
    await world.rpc(team.owner, "remove_member", project=team.id, person=other.handle)
    assert await mine(world, other) == []


async def test_what_is_said_is_said_of_oneself_and_exports_only_of_ones_own_projects(world, team):
    forged = {
        "account_id": team.owner.id,
        "witness": "database",
        "session_id": str(uuid.uuid4()),
    }
    await say(world, team.outsider, "export.archive", team.id, **forged)
    await say(world, team.outsider, "refused.absent", team.id, **forged)
    found = await trail(world, team, person=team.outsider.id)
    assert [(each["kind"], each["witness"]) for each in found] == [("refused.absent", "caller")]
    assert found[0]["person"] == {"id": team.outsider.id}  # of a stranger the id, and no name
    assert not [
        each for each in await trail(world, team, person=team.owner.id) if each["witness"] == "caller"
    ]
    for kind in (
        "account.session_started",
        "account.session_ended",
        "member.added",
        "account.deleted",
        "audit.expired",
        "x",
        None,
    ):
        call = world.rpc(team.outsider, "record_audit", entries=[{"kind": kind, "about": team.id}])
        assert (await refused(call)).code == "bad_value"
    for entries in ([], {}, "x", [{"kind": "export.git"}] * 101):
        assert (
            await refused(world.rpc(team.outsider, "record_audit", entries=json.dumps(entries)))
        ).code == "bad_value"
    stranger = Person(str(uuid.uuid4()), "nobody")
    assert (await refused(say(world, stranger, "export.git"))).code == "no_profile"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await say(world, None, "refused.absent", team.id)  # type: ignore[arg-type]


async def test_one_is_not_told_that_what_one_was_refused_is_there(world, team):
    """The answer, and what one reads of oneself, are the same for a project that is there and for none."""
    written = await world.write(team.editor, team.id, "a.md", "a")
    shown = []
    for about in (team.id, written["document"], written["hash"], str(uuid.uuid4()), "0" * 64):
        person = await world.person()
        assert (
            await world.rpc(person, "record_audit", entries=[{"kind": "refused.absent", "about": about}])
            is None
        )
        [entry] = await mine(world, person)
        assert entry.pop("told") == {"about": about}
        shown.append({**entry, "id": 0, "at": 0, "last_at": 0, "place": 0, "person": 0})
    assert all(each == shown[0] for each in shown)
    assert shown[0]["project"] is None
    assert len(await trail(world, team, kind="refused")) == 3
    assert {each["known"]["stranger"] for each in await trail(world, team, kind="refused")} == {True}


async def test_nor_by_what_is_said_beside_it_or_after_many_others(world, team):
    """Rows of one minute are one, and strangers in numbers share theirs: neither shows what is there."""
    for _ in range(STRANGERS):
        await say(world, await world.person(), "refused.absent", team.id)
    for about in (team.id, str(uuid.uuid4())):
        person = await world.person()
        for each in (about, str(uuid.uuid4()), about):
            await say(world, person, "refused.absent", each)
        found = await mine(world, person)
        assert sum(each["count"] for each in found) == 3
        minutes = {each["at"][:16] for each in found}
        assert len(found) == len(minutes)


async def test_a_member_who_looks_for_what_is_not_there_is_no_entry(world, team):
    written = await world.write(team.editor, team.id, "a.md", "a")
    for about in (team.id, team.slug, written["document"], written["hash"]):
        await say(world, team.reader, "refused.absent", about)
    assert await trail(world, team, kind="refused") == await mine(world, team.reader, kind="refused") == []


async def test_what_is_said_often_is_counted_not_heaped(world, team):
    for _ in range(3):
        await say(world, team.editor, "refused.role", team.id, count=50)
    await world.rpc(
        team.editor,
        "record_audit",
        entries=[{"kind": "refused.role", "about": team.id, "count": n} for n in (1, "x", -5, 10**9)],
    )
    kept = await rows(world, team.editor.id)
    # Two at most, where a minute ended in between.
    assert len(kept) <= 2
    assert sum(row["count"] for row in kept) == 154
    assert all(row["last_at"] >= row["at"] for row in kept)


async def test_strangers_in_numbers_share_a_row_so_that_they_cannot_fill_a_trail(world, team):
    people = [await world.person() for _ in range(STRANGERS + 5)]
    for person in people:
        await say(world, person, "refused.absent", team.id)
    kept = await trail(world, team, kind="refused.absent", page_size=1000)
    assert sum(each["count"] for each in kept) == len(people)
    nobody = [each for each in kept if each["person"] is None]
    assert nobody
    assert nobody[0]["told"] == {}
    assert len(kept) < len(people)


async def test_long_and_strange_words_are_cut_to_lines(world, team):
    await say(
        world,
        team.reader,
        "export.git",
        team.id,
        user_agent="a\n\u2028b" + "x" * 9999,
        address="=1+1\r\n",
        request=["a"],
    )
    [entry] = await trail(world, team, kind="export")
    assert entry["told"]["user_agent"].startswith("a bx")
    assert len(entry["told"]["user_agent"]) == 300
    assert entry["told"]["address"] == "=1+1"


@pytest.mark.parametrize(
    "attack",
    [
        "update private.audit_entries set kind = 'export.none'",
        "update private.audit_entries set account_id = null",
        "update private.audit_entries set count = 1",
        "update private.audit_entries set count = count + 1, told = '{}'",
        "update private.audit_entries set last_at = at, at = at - interval '1 year'",
        "update private.audit_entries set count = count + 1 where minute is null",
        "delete from private.audit_entries",
        "truncate private.audit_entries",
    ],
)
async def test_the_trail_only_grows_for_its_owner_too(world, team, attack):
    await session(world, team.reader.id)
    await say(world, team.reader, "export.git", team.id, count=5)
    before = await rows(world, team.reader.id)
    assert (await refused(world.sql(attack))).code == "immutable"
    for role in ("anon", "authenticated", "service_role"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.sql(attack, role=role)
    assert await rows(world, team.reader.id) == before


async def test_what_is_old_may_go_and_leaves_a_note(world):
    person = await world.person()
    await world.sql(
        """insert into private.audit_entries (kind, witness, account_id, at, last_at) select 'account.session_started', 'database', $1, t, t
           from unnest(array[now() - interval '400 days', now() - interval '89 days']) t""",
        person.id,
    )
    for too_young in ("now()", "now() - interval '89 days'", "null"):
        call = world.sql(f"select public.expire_audit({too_young})", role="service_role")
        assert (await refused(call)).code == "bad_value"
    async with world.acting("service_role", {"role": "service_role"}) as conn:
        assert await conn.fetchval("select public.expire_audit(now() - interval '91 days')") == 1
        assert await conn.fetchval("select public.expire_audit(now() - interval '91 days')") == 0
        page = json.loads(await conn.fetchval("select public.read_audit(kind => 'audit')"))
    assert page[0]["known"]["entries"] == 1
    assert len(await rows(world, person.id)) == 1


async def test_operators_read_everything_with_names(world, team):
    await session(world, team.outsider.id)
    async with world.acting("service_role", {"role": "service_role"}) as conn:
        page = json.loads(await conn.fetchval("select public.read_audit(person => $1)", team.outsider.handle))
        there = json.loads(await conn.fetchval("select public.read_audit(project => $1)", uuid.UUID(team.id)))
    assert [(each["kind"], each["person"]["handle"]) for each in page] == [
        ("account.session_started", team.outsider.handle)
    ]
    assert {each["kind"] for each in there} == {"project.added", "member.added"}


async def test_another_handle_and_a_deleted_account_are_noted(world):
    person = await world.person()
    await world.rpc(person, "update_me", edit={"handle": f"h-{person.id[:8]}"})
    [entry] = await mine(world, person)
    assert (entry["kind"], entry["known"]) == (
        "account.renamed",
        {"before": person.handle, "after": f"h-{person.id[:8]}"},
    )
    await world.sql("delete from auth.users where id = $1", person.id, role="supabase_auth_admin")
    assert [row["kind"] for row in await rows(world, person.id)] == ["account.renamed", "account.deleted"]
    assert (await refused(world.rpc(person, "list_my_audit"))).code == "no_profile"


async def test_an_agents_entries_say_which_agent_and_for_whom(world, team):
    from tests.schema.test_agents import agent_of  # noqa: PLC0415

    agent = await agent_of(world, team)
    await say(world, agent, "export.contents", team.id)
    [entry] = await trail(world, team, kind="export")
    assert (entry["agent"], entry["on_behalf_of"]["id"], entry["session"]) == (
        "planner",
        team.owner.id,
        agent.session,
    )
    await world.rpc(team.owner, "revoke_agent", project=team.id, agent="planner")
    await say(world, agent, "refused.absent", team.id)
    assert (await trail(world, team, kind="refused"))[0]["agent"] == "planner"


async def test_a_page_costs_the_same_however_many_entries_and_changes_there_are(world, team):
    """Newest first by index: neither changes nor older entries are gone through."""

    async def pages(where: str) -> int:
        async with world.acting("postgres") as conn:
            sql = f"explain (format json, analyze, buffers) select private.audit_page({where}, null, null, null, null, null, 50, true)"
            plan = json.loads(await conn.fetchval(sql))[0]["Plan"]
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

    async def fill(entries: int) -> None:
        await world.sql(
            """insert into private.audit_entries (kind, witness, account_id, project_id, at, last_at)
               select 'export.git', 'database', $1, $2, t, t from generate_series(1, $3) n, lateral (select now() - n * interval '1 minute') x (t)""",
            team.reader.id,
            team.id,
            entries,
        )
        await world.sql(
            """insert into public.events (project_id, sequence, kind, actor_id)
               select $2, 1000 * $3 + n, 'change.added', $1 from generate_series(1, $3) n""",
            team.reader.id,
            team.id,
            entries,
        )
        await world.sql("analyze private.audit_entries, public.events")

    one = f"'{team.id}', null"
    me = f"null, '{team.reader.id}'"
    await fill(200)
    few = [await pages(one), await pages(me)]
    await fill(20_000)
    many = [await pages(one), await pages(me)]
    assert all(after <= 1.5 * before + 50 for before, after in zip(few, many, strict=True)), (few, many)


async def test_what_is_said_at_once_in_any_order_is_all_counted(world, team):
    """As several processes say it of one account: who counts in an order of their own would deadlock with others."""
    kinds = [
        "refused.role",
        "refused.rate",
        "refused.account",
        "export.git",
        "export.history",
        "export.bundle",
    ]
    entries = [{"kind": kind, **about} for kind in kinds for about in ({}, {"about": team.id})]
    orders = [random.sample(entries, len(entries)) for _ in range(6)]
    await asyncio.gather(
        *(world.rpc(team.reader, "record_audit", entries=json.dumps(each)) for each in orders)
    )
    counted = "select sum(count) from private.audit_entries where account_id = $1 and witness = 'caller'"
    assert await world.one(counted, team.reader.id) == 6 * len(entries)
