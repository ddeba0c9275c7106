"""Agents: who may make one, for whom it acts, and that its rights end at once."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from app.model import ChangeSummary, change_canonical, hash_of
from tests.schema.world import Person, refused

if TYPE_CHECKING:
    from tests.schema.world import Team, World


@dataclass(frozen=True)
class Agent(Person):
    """An account with a session, as Auth's tokens name it."""

    session: str = ""

    @property
    def claims(self) -> dict[str, Any]:
        return {**super().claims, "session_id": self.session}


async def session_of(world: World, account: str) -> str:
    session = str(uuid.uuid4())
    await world.sql(
        "insert into auth.sessions (id, user_id, created_at) values ($1, $2, now())",
        session,
        account,
        role="supabase_auth_admin",
    )
    return session


async def account_for(world: World, project: str, owner: Person, name: str = "planner") -> Agent:
    """What Auth makes under the secret key, and nobody has registered yet."""
    said = {"verso_agent": name, "verso_project": project, "verso_owner": owner.id}
    made = await world.person(name, app_metadata=said)
    return Agent(made.id, made.handle, said, session=await session_of(world, made.id))


async def register(world: World, owner: Person, project: str, agent: Person, role: str = "editor") -> Any:
    return await world.rpc(owner, "register_agent", project=project, account=agent.id, role=role)


async def agent_of(world: World, team: Team, name: str = "planner", role: str = "editor") -> Agent:
    agent = await account_for(world, team.id, team.owner, name)
    await register(world, team.owner, team.id, agent, role)
    return agent


async def second_owner(world: World, team: Team) -> Person:
    await world.rpc(team.owner, "set_member", project=team.id, person=team.editor.handle, role="owner")
    return team.editor


async def test_a_change_says_which_agent_wrote_it_and_for_whom_and_its_hash_covers_that(each_world):
    world = each_world
    team = await world.team()
    agent = await agent_of(world, team)
    change = (await world.write(agent, team.id, "a.md", "a"))["change"]
    assert (change["actor"], change["agent"], change["author"]["id"]) == ("agent", "planner", agent.id)
    assert change["on_behalf_of"]["id"] == team.owner.id
    import msgspec  # noqa: PLC0415

    summary = msgspec.convert(change, ChangeSummary, strict=False)
    assert f"on-behalf-of {team.owner.id}\n" in change_canonical(summary, [])
    assert hash_of(change_canonical(summary, [v["hash"] for v in change["versions"]])) == change["hash"]
    plain = (await world.write(team.editor, team.id, "b.md", "b"))["change"]
    assert (plain["actor"], plain["on_behalf_of"]) == ("human", None)


async def test_comments_and_reviews_say_as_well_which_agent_and_for_whom(world, team):
    agent = await agent_of(world, team, role="reviewer")
    version = (await world.write(team.editor, team.id, "a.md", "a"))["hash"]
    comment = await world.rpc(agent, "create_comment", version=version, body="why?")
    reply = await world.rpc(agent, "reply", comment=comment["id"], body="because")
    given = await world.rpc(agent, "create_review", version=version, verdict="request_changes", body="no")
    review = given.get("review", given)
    for each in (comment, reply, review):
        said = (each["actor"], each["agent"], each["on_behalf_of"]["id"])
        assert said == ("agent", "planner", team.owner.id)
    plain = await world.rpc(team.reviewer, "create_comment", version=version, body="mine")
    assert (plain["actor"], plain["on_behalf_of"]) == ("human", None)


async def test_what_agents_do_to_comments_says_as_well_which_agent_and_for_whom(world, team):
    agent = await agent_of(world, team, role="reviewer")
    version = (await world.write(team.editor, team.id, "a.md", "a"))["hash"]
    comment = (await world.rpc(team.reviewer, "create_comment", version=version, body="why?"))["id"]
    own = (await world.rpc(agent, "create_comment", version=version, body="no"))["id"]

    def said(resolution: Any) -> Any:
        behalf = resolution["on_behalf_of"]
        return (
            resolution["person"]["id"], resolution["actor"], resolution["agent"], behalf and behalf["id"],
        )  # fmt: skip

    by_agent = await world.rpc(agent, "act_on_comment", comment=comment, act="resolve")
    assert said(by_agent["resolution"]) == (agent.id, "agent", "planner", team.owner.id)
    await world.rpc(agent, "act_on_comment", comment=own, act="retract")
    opened = await world.rpc(team.reviewer, "act_on_comment", comment=comment, act="reopen")
    assert (opened["resolved"], opened["resolution"]) == (False, None)
    by_person = await world.rpc(team.reviewer, "act_on_comment", comment=comment, act="resolve")
    assert said(by_person["resolution"]) == (team.reviewer.id, "human", None, None)
    acts = await world.sql(
        """select act::text, actor::text, agent, on_behalf_of from public.comment_acts
           where project_id = $1 order by sequence""",
        team.id,
    )
    owner = uuid.UUID(team.owner.id)
    assert [tuple(each) for each in acts] == [
        ("resolve", "agent", "planner", owner),
        ("retract", "agent", "planner", owner),
        ("reopen", "human", None, None),
        ("resolve", "human", None, None),
    ]


async def test_events_and_the_audit_trail_tell_agents_from_people(world, team):
    agent = await agent_of(world, team)
    await world.write(agent, team.id, "a.md", "a")
    await world.rpc(agent, "create_session", project=team.id, slug="by-agent")
    await world.rpc(team.editor, "create_session", project=team.id, slug="by-hand")
    events = (await world.rpc(team.reader, "list_events", project=team.id, after=0))["events"]
    named = {(each["kind"], each["actor"].get("agent")) for each in events if each["actor"]["id"] == agent.id}
    assert named == {("change.added", "planner"), ("session.added", "planner")}
    assert not [each for each in events if each["actor"]["id"] != agent.id and "agent" in each["actor"]]
    trail = await world.rpc(team.owner, "list_audit", project=team.id, kind="session")
    assert [(each["known"]["slug"], each.get("agent")) for each in trail] == [
        ("by-hand", None),
        ("by-agent", "planner"),
    ]


async def test_only_owners_make_agents_and_a_stranger_learns_nothing(world, team):
    arguments = {"project": team.id, "name": "planner", "role": "editor"}
    assert await world.rpc(team.owner, "prepare_agent", **arguments) == {
        "project": team.id,
        "owner": team.owner.id,
    }
    agent = await account_for(world, team.id, team.owner)
    for person in (team.editor, team.reviewer, team.reader):
        assert (await refused(world.rpc(person, "prepare_agent", **arguments))).code == "role_too_low"
        assert (await refused(register(world, person, team.id, agent))).code == "role_too_low"
    for call in (
        world.rpc(team.outsider, "prepare_agent", **arguments),
        register(world, team.outsider, team.id, agent),
        world.rpc(team.outsider, "list_agents", project=team.id),
    ):
        assert (await refused(call)).code == "project_not_found"
    assert await world.rpc(team.owner, "list_agents", project=team.id) == []


@pytest.mark.parametrize("lacking", ["verso_agent", "verso_project", "verso_owner"])
async def test_an_account_that_auth_did_not_make_for_this_is_nobodys_agent(world, team, lacking):
    said = {"verso_agent": "planner", "verso_project": team.id, "verso_owner": team.owner.id}
    del said[lacking]
    account = await world.person("x", app_metadata=said, **{lacking: "planner"})
    assert (await refused(register(world, team.owner, team.id, account))).code == "not_an_agent"


async def test_an_owner_makes_no_agent_of_a_person_or_of_somebody_elses_agent(world, team):
    other = await second_owner(world, team)
    theirs = await account_for(world, team.id, other)
    elsewhere = await world.team()
    foreign = await agent_of(world, elsewhere)
    nobody = Person(str(uuid.uuid4()), "nobody")
    for account in (team.editor, team.outsider, theirs, foreign, nobody):
        refusal = await refused(register(world, team.owner, team.id, account))
        assert (refusal.status, refusal.code) == (403, "not_an_agent")
    assert await register(world, other, team.id, theirs)


@pytest.mark.parametrize(
    "name", ["", "A", "-a", "a b", "a/b", "a" * 65, "54093e21-d37b-49b2-b43e-f3ca837b0a10", "a\n"]
)
async def test_an_agents_name_has_a_form(world, team, name):
    call = world.rpc(team.owner, "prepare_agent", project=team.id, name=name, role="editor")
    assert (await refused(call)).code == "bad_agent"


async def test_an_agent_is_never_an_owner_however_it_is_tried(world, team):
    call = world.rpc(team.owner, "prepare_agent", project=team.id, name="a", role="owner")
    assert (await refused(call)).code == "bad_agent"
    agent = await account_for(world, team.id, team.owner)
    assert (await refused(register(world, team.owner, team.id, agent, "owner"))).code == "bad_agent"
    await register(world, team.owner, team.id, agent)
    call = world.rpc(team.owner, "set_member", project=team.id, person=agent.handle, role="owner")
    assert (await refused(call)).code == "agent_bound"
    assert (await refused(world.rpc(agent, "create_project", slug="mine"))).code == "agent_bound"
    with pytest.raises(asyncpg.PostgresError, match="agent_bound"):
        await world.sql("update public.members set role = 'owner' where user_id = $1", agent.id)


async def test_an_agent_belongs_to_one_project(world, team):
    agent, elsewhere = await agent_of(world, team), await world.team()
    call = world.rpc(elsewhere.owner, "set_member", project=elsewhere.id, person=agent.id, role="reader")
    assert (await refused(call)).code == "agent_bound"


async def test_a_name_is_one_agents_until_it_is_revoked(world, team):
    first = await agent_of(world, team)
    again = {"project": team.id, "name": "planner", "role": "reader"}
    assert (await refused(world.rpc(team.owner, "prepare_agent", **again))).code == "agent_exists"
    twin = await account_for(world, team.id, team.owner)
    assert (await refused(register(world, team.owner, team.id, twin))).code == "agent_exists"
    await world.rpc(team.owner, "revoke_agent", project=team.id, agent="planner")
    assert (await register(world, team.owner, team.id, twin))["active"]
    listed = await world.rpc(team.reader, "list_agents", project=team.id)
    assert [(each["id"], each["active"]) for each in listed] == [(twin.id, True), (first.id, False)]
    seen, after = [], None
    while page := await world.rpc(team.reader, "list_agents", project=team.id, after=after, page_size=1):
        seen += [each["id"] for each in page]
        state = "revoked" if page[0]["revoked_at"] else "active"
        after = f"{state} {page[0]['name']} {page[0]['made_at']} {page[0]['id']}"
    assert seen == [twin.id, first.id]


async def test_registering_again_after_a_lost_answer_changes_nothing(world, team):
    agent = await agent_of(world, team, role="reader")
    before = await world.one("select event_sequence from public.projects where id = $1", team.id)
    assert (await register(world, team.owner, team.id, agent, "editor"))["role"] == "reader"
    assert await world.one("select event_sequence from public.projects where id = $1", team.id) == before


async def gone(world: World, team: Team, agent: Agent) -> bool:
    """Whether an agent with a token that is still good gets at nothing."""
    rows = []
    async with world.as_person(agent) as conn:
        for table in ("projects", "changes", "versions", "members", "agents", "events"):
            rows += await conn.fetch(f"select 1 from public.{table}")
    codes = {
        (await refused(call)).code
        for call in (
            world.rpc(agent, "read_project", project=team.id),
            world.rpc(agent, "commit_change", project=team.id, items=[{"path": "a.md", "delete": True}]),
            world.rpc(agent, "list_agents", project=team.id),
        )
    }
    return not rows and codes == {"project_not_found"}


async def test_revoking_ends_everything_at_once_and_for_ever(world, team):
    agent = await agent_of(world, team)
    await world.write(agent, team.id, "a.md", "a")
    assert (
        await refused(world.rpc(team.editor, "revoke_agent", project=team.id, agent="planner"))
    ).code == "role_too_low"
    revoked = await world.rpc(team.owner, "revoke_agent", project=team.id, agent=agent.id)
    assert (revoked["role"], revoked["active"]) == (None, False)
    assert revoked["revoked_at"]
    assert await gone(world, team, agent)
    for call in (
        world.rpc(team.owner, "set_member", project=team.id, person=agent.handle, role="reader"),
        world.rpc(team.owner, "take_agent", project=team.id, agent=agent.id),
        register(world, team.owner, team.id, agent),
    ):
        assert (await refused(call)).code in {"agent_bound", "agent_revoked", "not_an_agent"}
    assert await world.rpc(team.owner, "revoke_agent", project=team.id, agent=agent.id) == revoked
    kept = await world.rpc(team.reader, "read_change", project=team.id, sequence=1)
    assert (kept["agent"], kept["author"]["id"]) == ("planner", agent.id)


async def test_a_token_of_an_ended_session_is_worth_nothing(world, team):
    agent = await agent_of(world, team)
    await world.write(agent, team.id, "a.md", "a")
    await world.sql(
        "delete from auth.sessions where id = $1", uuid.UUID(agent.session), role="supabase_auth_admin"
    )
    assert await gone(world, team, agent)
    others = await session_of(world, team.owner.id)
    for session in ("", "x", str(uuid.uuid4()), others):
        assert await gone(world, team, Agent(agent.id, agent.handle, agent.app_metadata, session=session))
    alive = Agent(agent.id, agent.handle, agent.app_metadata, session=await session_of(world, agent.id))
    assert (await world.rpc(alive, "read_project", project=team.id))["role"] == "editor"


async def test_an_agent_acts_only_while_its_person_is_an_owner_and_another_owner_may_take_it_over(
    world, team
):
    agent = await agent_of(world, team)
    other = await second_owner(world, team)
    await world.rpc(other, "set_member", project=team.id, person=team.owner.handle, role="editor")
    assert await gone(world, team, agent)
    assert not (await world.rpc(other, "list_agents", project=team.id))[0]["active"]
    assert (
        await refused(world.rpc(team.owner, "take_agent", project=team.id, agent="planner"))
    ).code == "role_too_low"
    taken = await world.rpc(other, "take_agent", project=team.id, agent="planner")
    assert (taken["acts_for"]["id"], taken["made_by"]["id"], taken["active"]) == (
        other.id,
        team.owner.id,
        True,
    )
    change = (await world.write(agent, team.id, "a.md", "a"))["change"]
    assert change["on_behalf_of"]["id"] == other.id
    await world.rpc(other, "remove_member", project=team.id, person=team.owner.handle)
    assert (await world.rpc(agent, "read_project", project=team.id))["role"] == "editor"


async def test_an_agent_of_a_deleted_account_acts_no_more(world, team):
    agent = await agent_of(world, team)
    await world.sql("delete from auth.users where id = $1", team.owner.id, role="supabase_auth_admin")
    assert await gone(world, team, agent)


async def test_an_agent_says_itself_neither_its_name_nor_for_whom_it_acts(world, team):
    agent = await agent_of(world, team)
    liar = Agent(
        agent.id,
        agent.handle,
        {},
        {"verso_agent": "somebody", "on_behalf_of": team.editor.id},
        session=agent.session,
    )
    change = (await world.write(liar, team.id, "a.md", "a", source="api"))["change"]
    assert (change["actor"], change["agent"]) == ("agent", "planner")
    assert change["on_behalf_of"]["id"] == team.owner.id
    for statement in (
        "update public.agents set acts_for = $1",
        "insert into public.agents (account_id, project_id, name, acts_for, made_by) select $1, id, 'x', $1, $1 from public.projects",
    ):
        for person in (agent, team.owner):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with world.as_person(person) as conn:
                    await conn.execute(statement, uuid.UUID(team.editor.id))


async def test_an_agent_approves_nothing_of_its_person_nor_of_their_other_agents(world, team):
    writer = await agent_of(world, team, "writer")
    judge = await agent_of(world, team, "judge", "reviewer")
    mine = (await world.write(team.owner, team.id, "mine.md", "a"))["hash"]
    agents = (await world.write(writer, team.id, "agents.md", "b"))["hash"]
    others = (await world.write(team.editor, team.id, "others.md", "c"))["hash"]
    for version in (mine, agents):
        call = world.rpc(judge, "create_review", version=version, verdict="approve")
        assert (await refused(call)).code == "own_version"
        await world.rpc(judge, "create_review", version=version, verdict="request_changes")
    assert await world.rpc(judge, "create_review", version=others, verdict="approve")
    # The person who let it write has looked at it: that is what an approval is for.
    assert await world.rpc(team.owner, "create_review", version=agents, verdict="approve")


async def test_agents_make_and_keep_no_agents_even_as_owners_that_an_operator_made(world, team):
    operators = await world.person("robot", app_metadata={"verso_agent": "robot"})
    await world.rpc(team.owner, "set_member", project=team.id, person=operators.handle, role="owner")
    await agent_of(world, team)
    for call in (
        world.rpc(operators, "prepare_agent", project=team.id, name="b", role="reader"),
        world.rpc(operators, "take_agent", project=team.id, agent="planner"),
    ):
        assert (await refused(call)).code == "agent_bound"
    unknown = world.rpc(team.owner, "find_agent", project=team.id, agent="nobody")
    assert (await refused(unknown)).code == "agent_not_found"
