"""Invitations: who may make them, who may take them up, and what nobody learns from them."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.schema.world import refused

if TYPE_CHECKING:
    from tests.schema.world import Person, Team, World


async def email_of(world: World, person: Person, *, confirmed: bool = True) -> str:
    """The account's address, confirmed as Auth does it."""
    sql = (
        "update auth.users set email_confirmed_at = case when $2 then now() end where id = $1 returning email"
    )
    return await world.one(sql, person.id, confirmed, role="supabase_auth_admin")


async def github(world: World, person: Person, login: str, *, ago: str = "0 days", **more: Any) -> None:
    """An identity of the account, as Auth keeps it after a sign-in with a provider."""
    number = str(uuid.uuid4().int % 10**9)
    data = {"sub": number, "user_name": login, **more}
    await world.sql(
        """insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
           values ($1, $2, $3, $4, now() - $5::text::interval, now() - interval '1 year', now() - $5::text::interval)""",
        number,
        person.id,
        json.dumps(data),
        more.get("provider", "github"),
        ago,
        role="supabase_auth_admin",
    )


def login() -> str:
    return f"octo-{uuid.uuid4().hex[:8]}"


async def invite(world: World, team: Team, role: str = "editor", **address: str) -> dict[str, Any]:
    return await world.rpc(team.owner, "create_invitation", project=team.id, role=role, **address)


async def mine(world: World, person: Person) -> list[str]:
    return [each["id"] for each in await world.rpc(person, "list_my_invitations")]


async def role_of(world: World, team: Team, person: Person) -> str | None:
    return await world.one(
        "select role from public.members where project_id = $1 and user_id = $2", team.id, person.id
    )


async def kinds(world: World, team: Team) -> list[str]:
    rows = await world.sql(
        "select kind from public.events where project_id = $1 order by sequence offset 4", team.id
    )
    return [row["kind"] for row in rows]


async def expire(world: World, invitation: str) -> None:
    """What two weeks do."""
    await world.sql(
        """update public.invitations set created_at = created_at - interval '15 days',
             expires_at = expires_at - interval '15 days' where id = $1""",
        invitation,
    )


# Whose it is -------------------------------------------------------------------------------------


async def test_an_address_invites_whoever_has_confirmed_it_in_whatever_case(world, team):
    address = await email_of(world, team.outsider)
    made = await invite(world, team, email=f"  {address.upper()} ")
    assert (made["email"], made["role"], made["state"]) == (address, "editor", "pending")
    (found,) = await world.rpc(team.outsider, "list_my_invitations")
    assert (found["id"], found["project"]["slug"], found["invited_by"]["id"]) == (
        made["id"],
        team.slug,
        team.owner.id,
    )
    project = await world.rpc(team.outsider, "accept_invitation", invitation=made["id"])
    assert (project["id"], project["role"]) == (team.id, "editor")
    assert await mine(world, team.outsider) == []
    assert (await world.rpc(team.outsider, "accept_invitation", invitation=made["id"]))["id"] == team.id, (
        "twice is once"
    )
    assert await kinds(world, team) == ["invitation.added", "invitation.accepted", "member.added"]


async def test_an_address_that_is_not_confirmed_is_nobodys(world, team):
    address = await email_of(world, team.outsider, confirmed=False)
    made = await invite(world, team, email=address)
    assert await mine(world, team.outsider) == []
    refusal = await refused(world.rpc(team.outsider, "accept_invitation", invitation=made["id"]))
    assert (refusal.status, refusal.code) == (404, "invitation_not_found")
    await email_of(world, team.outsider)
    assert await mine(world, team.outsider) == [made["id"]]


async def test_an_address_may_wait_for_its_account(world, team):
    address = f"later-{uuid.uuid4().hex[:8]}@example.com"
    made = await invite(world, team, email=address)
    newcomer = await world.person("later")
    await world.sql(
        "update auth.users set email = $2, email_confirmed_at = now() where id = $1",
        newcomer.id,
        address,
        role="supabase_auth_admin",
    )
    await world.rpc(newcomer, "accept_invitation", invitation=made["id"])
    assert await role_of(world, team, newcomer) == "editor"


async def test_what_a_token_or_a_user_says_of_itself_proves_no_address(world, team):
    """user_metadata and the e-mail claim can say anything; an address that is only asked for is nobody's."""
    name, address = login(), f"victim-{uuid.uuid4().hex[:8]}@example.com"
    by_email, by_login = (
        await invite(world, team, email=address),
        await invite(world, team, github_login=name),
    )
    liar = await world.person(
        "liar", user_name=name, email=address, preferred_username=name, provider="github"
    )
    await email_of(world, liar)
    await github(world, liar, "somebody-else", preferred_username=name, name=name, email=address)
    await github(world, liar, name, provider="gitlab")
    await world.sql(
        "update auth.users set email_change = $2 where id = $1",
        liar.id,
        address,
        role="supabase_auth_admin",
    )
    claims = liar.claims | {"email": address, "user_metadata": {"user_name": name, "email_verified": True}}
    async with world.acting("authenticated", claims) as conn:
        assert await world.rpc_on(conn, "list_my_invitations") == []
        assert await conn.fetch("select from public.invitations") == []
    for made in (by_email, by_login):
        async with world.acting("authenticated", claims) as conn:
            refusal = await refused(world.rpc_on(conn, "accept_invitation", invitation=made["id"]))
            assert refusal.code == "invitation_not_found"


async def test_letters_that_only_look_alike_are_other_letters(world, team):
    """lower() of the Kelvin sign is a k in most languages; not here."""
    unique = uuid.uuid4().hex[:8]
    await world.sql(
        "update auth.users set email = $2, email_confirmed_at = now() where id = $1",
        team.outsider.id,
        f"\u212aate-{unique}@example.com",
        role="supabase_auth_admin",
    )
    await invite(world, team, email=f"kate-{unique}@example.com")
    assert await mine(world, team.outsider) == []


async def test_a_github_login_invites_whoever_github_says_has_it(world, team):
    name = login()
    made = await invite(world, team, role="owner", github_login=f"@{name.upper()}")
    assert made["github_login"] == name
    await github(world, team.outsider, name.title())
    assert await mine(world, team.outsider) == [made["id"]]
    await world.rpc(team.outsider, "accept_invitation", invitation=made["id"])
    assert await role_of(world, team, team.outsider) == "owner"


async def test_a_login_that_github_named_long_ago_is_nobodys(world, team):
    name = login()
    made = await invite(world, team, github_login=name)
    await github(world, team.outsider, name, ago="31 days")
    assert await mine(world, team.outsider) == []
    refusal = await refused(world.rpc(team.outsider, "accept_invitation", invitation=made["id"]))
    assert refusal.code == "invitation_not_found"


async def test_a_login_that_went_to_somebody_else_is_theirs(world, team):
    name = login()
    made = await invite(world, team, github_login=name)
    await github(world, team.outsider, name, ago="3 days")
    successor = await world.person("successor")
    await github(world, successor, name, ago="1 day")
    refusal = await refused(world.rpc(team.outsider, "accept_invitation", invitation=made["id"]))
    assert refusal.code == "invitation_not_found"
    await world.rpc(successor, "accept_invitation", invitation=made["id"])
    assert await role_of(world, team, successor) == "editor"


async def test_an_account_that_is_deleted_accepts_nothing(world, team):
    made = await invite(world, team, email=await email_of(world, team.outsider))
    await world.sql("update auth.users set deleted_at = now() where id = $1", team.outsider.id)
    refusal = await refused(world.rpc(team.outsider, "accept_invitation", invitation=made["id"]))
    assert (refusal.status, refusal.code) == (403, "no_profile")
    assert await mine(world, team.outsider) == []


# What is not told --------------------------------------------------------------------------------


async def test_inviting_tells_nothing_of_whether_there_is_an_account(world, team):
    there = await email_of(world, team.outsider)
    nobody = f"nobody-{uuid.uuid4().hex[:8]}@example.com"
    member = await email_of(world, team.editor)
    answers = []
    for address in (there, nobody, member):
        made = await invite(world, team, email=address)
        answers.append({**made, "id": "", "email": "", "sequence": 0, "created_at": "", "expires_at": ""})
    assert answers[0] == answers[1] == answers[2]


async def test_who_declined_is_not_told(world, team):
    made = await invite(world, team, email=await email_of(world, team.outsider))
    await world.rpc(team.outsider, "decline_invitation", invitation=made["id"])
    await world.rpc(team.outsider, "decline_invitation", invitation=made["id"])
    (shown,) = await world.rpc(team.owner, "list_invitations", project=team.id, ended=True)
    assert shown["state"] == "declined"
    async with world.as_person(team.owner) as conn:
        rows = await conn.fetch("select to_jsonb(i)::text from public.invitations i")
        rows += await conn.fetch(
            "select to_jsonb(e)::text from public.events e where kind like 'invitation.%'"
        )
    assert len(rows) == 3
    assert team.outsider.id not in repr([*rows, shown])


async def test_addresses_are_for_owners_and_the_invited_only(world, team):
    address = await email_of(world, team.outsider)
    await invite(world, team, email=address)
    for person in (team.editor, team.reviewer, team.reader):
        refusal = await refused(world.rpc(person, "list_invitations", project=team.id))
        assert (refusal.status, refusal.code) == (403, "role_too_low")
        async with world.as_person(person) as conn:
            for relation in ("invitations", "invitation_details"):
                assert await conn.fetch(f"select from public.{relation}") == []
            events = await conn.fetch("select to_jsonb(e)::text from public.events e")
        assert address not in repr(events)
    async with world.as_person(team.outsider) as conn:
        assert len(await conn.fetch("select from public.invitations")) == 1
        for relation in ("projects", "members", "events", "people"):
            assert team.id not in repr(await conn.fetch(f"select to_jsonb(x)::text from public.{relation} x"))
    async with world.as_person(await world.person()) as conn:
        assert await conn.fetch("select from public.invitations") == []


async def test_somebody_elses_invitation_answers_like_one_that_was_made_up(world, team):
    made = await invite(world, team, email=await email_of(world, team.outsider))
    stranger = await world.person()
    for function in ("accept_invitation", "decline_invitation"):
        theirs = await refused(world.rpc(stranger, function, invitation=made["id"]))
        nothing = await refused(world.rpc(stranger, function, invitation=str(uuid.uuid4())))
        assert theirs == nothing
        assert theirs.status == 404
    other = await world.team()
    assert (
        await refused(world.rpc(other.owner, "revoke_invitation", project=other.id, invitation=made["id"]))
    ).code == "invitation_not_found"
    assert await mine(world, team.outsider) == [made["id"]]


# What may be given -------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["editor", "reviewer", "reader", "outsider"])
async def test_only_owners_invite_and_revoke(world, team, role):
    person = getattr(team, role)
    made = await invite(world, team, email="a@example.com")
    expected = (404, "project_not_found") if role == "outsider" else (403, "role_too_low")
    for function, arguments in (
        ("create_invitation", {"email": "b@example.com", "role": "reader"}),
        ("revoke_invitation", {"invitation": made["id"]}),
        ("list_invitations", {}),
    ):
        refusal = await refused(world.rpc(person, function, project=team.id, **arguments))
        assert (refusal.status, refusal.code) == expected


@pytest.mark.parametrize(
    "address",
    [
        {},
        {"email": "a@example.com", "github_login": "a"},
        {"email": ""},
        {"email": "a"},
        {"email": "a@"},
        {"email": "@b"},
        {"email": "a@b@c"},
        {"email": "a b@c"},
        {"email": "a@b\nc"},
        {"email": "<a@b>"},
        {"email": "a@b,c@d"},
        {"email": "x" * 251 + "@b.c"},
        {"email": "a\u00a0@b"},
        {"email": "a\u2028@b"},
        {"github_login": ""},
        {"github_login": "@"},
        {"github_login": "a b"},
        {"github_login": "a/b"},
        {"github_login": "x" * 40},
        {"github_login": "\u00e4"},
    ],
    ids=str,
)
async def test_what_is_no_address_is_refused(world, team, address):
    refusal = await refused(invite(world, team, **address))
    assert (refusal.status, refusal.code) == (422, "bad_invitee")
    assert await kinds(world, team) == []


async def test_a_member_whose_login_all_see_is_not_invited_again(world, team):
    name = login()
    member = await world.person("hub", user_name=name.title(), app_metadata={"provider": "github"})
    await world.rpc(team.owner, "set_member", project=team.id, person=member.id, role="reader")
    refusal = await refused(invite(world, team, github_login=name))
    assert (refusal.status, refusal.code) == (409, "already_member")


@pytest.mark.parametrize(("has", "given"), [("owner", "reader"), ("reader", "owner")])
async def test_an_invitation_changes_no_members_role(world, team, has, given):
    made = await invite(world, team, role=given, email=await email_of(world, team.outsider))
    await world.rpc(team.owner, "set_member", project=team.id, person=team.outsider.id, role=has)
    answer = await world.rpc(team.outsider, "accept_invitation", invitation=made["id"])
    assert answer["role"] == has
    assert (await world.rpc(team.owner, "list_invitations", project=team.id)) == []


async def test_a_project_has_at_most_200_open_invitations(world, team):
    await world.sql(
        """insert into public.invitations (project_id, sequence, email, role, invited_by)
           select $1, 1000 + n, n || '@example.com', 'reader', $2 from generate_series(1, 200) n""",
        team.id,
        team.owner.id,
    )
    refusal = await refused(invite(world, team, email="one-more@example.com"))
    assert (refusal.status, refusal.code) == (409, "too_many_invitations")
    await invite(world, team, email="7@example.com")
    assert len(await world.rpc(team.owner, "list_invitations", project=team.id, page_size=1000)) == 200


# How they end ------------------------------------------------------------------------------------


async def test_inviting_again_replaces(world, team):
    address = await email_of(world, team.outsider)
    first = await invite(world, team, role="owner", email=address)
    second = await invite(world, team, role="reader", email=address)
    assert await mine(world, team.outsider) == [second["id"]]
    refusal = await refused(world.rpc(team.outsider, "accept_invitation", invitation=first["id"]))
    assert (refusal.status, refusal.code, refusal.detail) == (410, "invitation_over", {"state": "replaced"})
    assert (await world.rpc(team.outsider, "accept_invitation", invitation=second["id"]))["role"] == "reader"


async def test_after_14_days_it_is_over_and_can_be_made_again(world, team):
    address = await email_of(world, team.outsider)
    made = await invite(world, team, email=address)
    days = await world.one(
        "select extract(day from expires_at - created_at) from public.invitations where id = $1", made["id"]
    )
    assert days == 14
    await expire(world, made["id"])
    assert await mine(world, team.outsider) == []
    for function in ("accept_invitation", "decline_invitation"):
        refusal = await refused(world.rpc(team.outsider, function, invitation=made["id"]))
        assert (refusal.status, refusal.detail) == (410, {"state": "expired"})
    assert await world.rpc(team.owner, "list_invitations", project=team.id) == []
    (shown,) = await world.rpc(team.owner, "list_invitations", project=team.id, ended=True)
    assert shown["state"] == "expired"
    again = await invite(world, team, email=address)
    await world.rpc(team.outsider, "accept_invitation", invitation=again["id"])


@pytest.mark.parametrize("how", ["revoke", "decline"])
async def test_what_was_taken_back_or_turned_down_is_over(world, team, how):
    address = await email_of(world, team.outsider)
    made = await invite(world, team, email=address)
    if how == "revoke":
        for _ in range(2):
            await world.rpc(team.owner, "revoke_invitation", project=team.id, invitation=made["id"])
    else:
        await world.rpc(team.outsider, "decline_invitation", invitation=made["id"])
        refusal = await refused(
            world.rpc(team.owner, "revoke_invitation", project=team.id, invitation=made["id"])
        )
        assert refusal.code == "invitation_over"
    refusal = await refused(world.rpc(team.outsider, "accept_invitation", invitation=made["id"]))
    assert (refusal.status, refusal.detail) == (410, {"state": f"{how}d"})
    assert await kinds(world, team) == ["invitation.added", f"invitation.{how}d"]
    again = await invite(world, team, email=address)
    assert await mine(world, team.outsider) == [again["id"]]


@pytest.mark.parametrize("end", ["removed", "demoted", "left", "account deleted"])
async def test_an_owner_who_is_one_no_longer_leaves_no_way_in_behind(world, team, end):
    await world.rpc(team.owner, "set_member", project=team.id, person=team.editor.id, role="owner")
    address = await email_of(world, team.outsider)
    made = await world.rpc(team.editor, "create_invitation", project=team.id, role="owner", email=address)
    kept = await invite(world, team, email="kept@example.com")
    if end == "removed":
        await world.rpc(team.owner, "remove_member", project=team.id, person=team.editor.id)
    elif end == "left":
        await world.rpc(team.editor, "remove_member", project=team.id, person=team.editor.id)
    elif end == "demoted":
        await world.rpc(team.owner, "set_member", project=team.id, person=team.editor.id, role="editor")
        await world.rpc(team.owner, "set_member", project=team.id, person=team.editor.id, role="owner")
    else:
        await world.sql("delete from auth.users where id = $1", team.editor.id, role="supabase_auth_admin")
    assert await mine(world, team.outsider) == []
    refusal = await refused(world.rpc(team.outsider, "accept_invitation", invitation=made["id"]))
    assert (refusal.status, refusal.detail) == (410, {"state": "revoked"})
    shown = await world.rpc(team.owner, "list_invitations", project=team.id)
    assert kept["id"] in {each["id"] for each in shown}


async def test_whoever_was_sent_away_comes_back_by_a_new_invitation_only(world, team):
    name, address = login(), await email_of(world, team.outsider)
    await github(world, team.outsider, name)
    first = await invite(world, team, email=address)
    second = await invite(world, team, role="owner", github_login=name)
    await world.rpc(team.outsider, "accept_invitation", invitation=first["id"])
    await world.rpc(team.owner, "remove_member", project=team.id, person=team.outsider.id)
    assert await mine(world, team.outsider) == []
    for made in (first, second):
        refusal = await refused(world.rpc(team.outsider, "accept_invitation", invitation=made["id"]))
        assert (refusal.status, refusal.code) == (410, "invitation_over")
    third = await invite(world, team, role="reader", email=address)
    assert (await world.rpc(team.outsider, "accept_invitation", invitation=third["id"]))["role"] == "reader"


async def test_an_archived_project_takes_no_members_in(world, team):
    made = await invite(world, team, email=await email_of(world, team.outsider))
    await world.rpc(team.owner, "update_project", project=team.id, archived=True)
    for call in (
        invite(world, team, email="x@example.com"),
        world.rpc(team.outsider, "accept_invitation", invitation=made["id"]),
    ):
        refusal = await refused(call)
        assert (refusal.status, refusal.code) == (403, "project_archived")
    await world.rpc(team.owner, "update_project", project=team.id, archived=False)
    await world.rpc(team.outsider, "accept_invitation", invitation=made["id"])
    assert await role_of(world, team, team.outsider) == "editor"


async def test_an_archived_project_lets_invitations_go(world, team):
    one = await invite(world, team, email=await email_of(world, team.outsider))
    other = await invite(world, team, email="x@example.com")
    await world.rpc(team.owner, "update_project", project=team.id, archived=True)
    await world.rpc(team.outsider, "decline_invitation", invitation=one["id"])
    await world.rpc(team.owner, "revoke_invitation", project=team.id, invitation=other["id"])
    assert await world.rpc(team.owner, "list_invitations", project=team.id) == []


# At once -----------------------------------------------------------------------------------------


async def attempt(call: Any) -> bool:
    try:
        await call
    except asyncpg.PostgresError as error:
        if error.args[0] not in {"invitation_over", "last_owner", "project_not_found", "role_too_low"}:
            raise
        return False
    return True


async def test_accepting_and_revoking_at_once_end_one_way(world, team):
    for _ in range(8):
        address = await email_of(world, team.outsider)
        made = await invite(world, team, email=address)
        accepted, revoked = await asyncio.gather(
            attempt(world.rpc(team.outsider, "accept_invitation", invitation=made["id"])),
            attempt(world.rpc(team.owner, "revoke_invitation", project=team.id, invitation=made["id"])),
        )
        assert accepted != revoked
        assert (await role_of(world, team, team.outsider) is not None) == accepted
        if accepted:
            await world.rpc(team.owner, "remove_member", project=team.id, person=team.outsider.id)


async def test_two_owners_who_leave_at_once_leave_one_behind(world, team):
    for _ in range(8):
        await world.rpc(team.owner, "set_member", project=team.id, person=team.editor.id, role="owner")
        left = await asyncio.gather(
            attempt(world.rpc(team.owner, "remove_member", project=team.id, person=team.owner.id)),
            attempt(
                world.rpc(team.editor, "set_member", project=team.id, person=team.editor.id, role="reader")
            ),
        )
        assert sorted(left) == [False, True]
        if left[0]:
            team = await world.team()


async def test_a_write_that_waited_while_its_writer_was_removed_is_refused(world, team):
    """The role is asked again under the lock, so a request that runs ends with the membership."""
    await world.store(team.id, "late")
    async with world.as_person(team.owner) as conn:
        await world.rpc_on(conn, "remove_member", project=team.id, person=team.editor.id)
        late = asyncio.create_task(
            world.rpc(team.editor, "create_session", project=team.id, slug="late", title="t")
        )
        await asyncio.sleep(0.2)
        assert not late.done(), "it waits for the lock"
    refusal = await refused(late)
    assert (refusal.status, refusal.code) == (404, "project_not_found")


async def test_events_are_numbered_without_gaps(world, team):
    address = await email_of(world, team.outsider)
    made = await invite(world, team, email=address)
    await world.rpc(team.outsider, "decline_invitation", invitation=made["id"])
    made = await invite(world, team, email=address)
    await world.rpc(team.outsider, "accept_invitation", invitation=made["id"])
    rows = await world.sql(
        "select sequence from public.events where project_id = $1 order by sequence", team.id
    )
    assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
    assert made["sequence"] == rows[-3]["sequence"]


# Storage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["object.sign", "object.sign_many", "object.sign_upload_url"])
@pytest.mark.parametrize("prefix", ["", "storage."])
async def test_members_get_no_signed_links(world, team, operation, prefix):
    await world.store(team.id, "text")
    async with world.as_person(team.owner) as conn:
        assert len(await conn.fetch("select from storage.objects")) == 1
        await conn.execute("select set_config('storage.operation', $1, true)", prefix + operation)
        assert await conn.fetch("select from storage.objects") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(
                "insert into storage.objects (bucket_id, name) values ('documents', $1)",
                f"{team.id}/{'0' * 64}",
            )
