"""A sign-up always works, whatever the account says of itself, and gives one profile."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.schema.world import refused

if TYPE_CHECKING:
    from tests.schema.world import World


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


async def sign_up(
    world: World, *, email: str | None = None, user: Any = None, app: Any = None, account: str | None = None
) -> dict[str, Any]:
    account = account or str(uuid.uuid4())
    await world.sql(
        "insert into auth.users (id, email, raw_app_meta_data, raw_user_meta_data) values ($1, $2, $3, $4)",
        account,
        email,
        json.dumps(app) if app is not None else None,
        json.dumps(user) if user is not None else None,
        role="supabase_auth_admin",
    )
    rows = await world.sql("select * from public.profiles where id = $1", account)
    assert len(rows) == 1
    return dict(rows[0])


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        [],
        "text",
        7,
        {"full_name": None, "name": {"a": [1]}, "avatar_url": 7, "handle": ["x"], "user_name": {}},
        {"full_name": ""},
        {"full_name": "   "},
        {"full_name": "\n\t\u2028"},
        {"full_name": "x" * 100_000},
        {"full_name": " " * 300 + "x"},
        {"full_name": "\U0001f4dc" * 300},
        {"full_name": "a\nb\u0085c"},
        {"full_name": "\u200b\u202e"},
        {"handle": "'; drop table profiles; --"},
        {"handle": "x" * 10_000},
        {"handle": "---___..."},
        {"handle": "\u0130stanbul \u00df"},
        {"handle": "6f1c2f0e-5b1e-4c1d-9a53-0d4c7c1f2a10"},
        {"avatar_url": "javascript:alert(1)"},
        {"avatar_url": "https://" + "x" * 3000},
        {"avatar_url": 'https://x/" onerror="alert(1)\n'},
        {"id": "00000000-0000-0000-0000-000000000000", "account_deleted_at": "now"},
    ],
    ids=lambda value: ascii(value)[:50],
)
@pytest.mark.parametrize("provider", [None, "github"])
async def test_no_metadata_blocks_a_sign_up(world, metadata, provider):
    profile = await sign_up(world, user=metadata, app={"provider": provider} if provider else None)
    assert 1 <= len(profile["display_name"]) <= 200
    assert profile["handle"]
    assert profile["avatar_url"] is None
    assert profile["github_login"] is None


@pytest.mark.parametrize(
    "email",
    [None, "", "@", "@x", "a@b", "A.B+c@example.com", "x" * 200 + "@x", "\u00e9@x", "..@x", "'\"<>@x"],
)
async def test_no_address_blocks_a_sign_up(world, email):
    email = email and f"{email}.{uuid.uuid4().hex[:8]}"
    assert (await sign_up(world, email=email))["handle"]


async def test_a_profile_shows_what_the_account_says(world):
    profile = await sign_up(
        world,
        email=f"ada.{uuid.uuid4().hex[:6]}@example.com",
        user={"full_name": "Ada  Lovelace", "avatar_url": "https://example.com/ada.png?x=1"},
    )
    assert profile["handle"].startswith("ada.")
    assert (profile["display_name"], profile["avatar_url"]) == (
        "Ada  Lovelace",
        "https://example.com/ada.png?x=1",
    )


async def test_a_github_login_counts_only_from_a_github_sign_in(world):
    login = f"octo-{uuid.uuid4().hex[:6]}"
    claimed = await sign_up(world, email=f"{login}@x", user={"user_name": login})
    assert claimed["github_login"] is None
    signed_in = await sign_up(world, user={"user_name": login}, app={"provider": "github"})
    assert signed_in["github_login"] == login


async def test_a_handle_that_is_taken_gets_an_ending(world):
    name = f"grace-{uuid.uuid4().hex[:6]}"
    first = await sign_up(world, user={"handle": name})
    second = await sign_up(world, user={"handle": name.upper()})
    assert first["handle"] == name
    assert second["handle"].startswith(name + "-")


async def test_handles_stay_unique_when_all_want_the_same_at_once(world):
    name = f"rush-{uuid.uuid4().hex[:6]}"
    profiles = await asyncio.gather(*(sign_up(world, user={"handle": name}) for _ in range(16)))
    assert len({profile["handle"] for profile in profiles}) == 16


async def test_a_deleted_account_leaves_its_profile(world):
    profile = await sign_up(world, email=f"{uuid.uuid4().hex}@x")
    await world.sql("delete from auth.users where id = $1", profile["id"], role="supabase_auth_admin")
    row = await world.sql("select account_deleted_at from public.profiles where id = $1", profile["id"])
    assert row[0]["account_deleted_at"] is not None


async def test_auths_soft_delete_counts_too(world):
    profile = await sign_up(world, email=f"{uuid.uuid4().hex}@x")
    delete = "update auth.users set deleted_at = now(), email = null where id = $1"
    await world.sql(delete, profile["id"], role="supabase_auth_admin")
    row = await world.sql("select account_deleted_at from public.profiles where id = $1", profile["id"])
    assert row[0]["account_deleted_at"] is not None


async def test_me_is_the_caller_and_their_projects(world, team):
    me = await world.rpc(team.reader, "me")
    assert (me["id"], me["projects"][0]["role"]) == (team.reader.id, "reader")


async def test_an_account_from_before_verso_has_a_profile_too(world):
    """The migration's last statement, for an account whose trigger never ran."""
    account = str(uuid.uuid4())
    async with world.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute("insert into auth.users (id, email) values ($1, 'early@x')", account)
    await world.sql(
        "select private.add_profile(id, email, raw_app_meta_data, raw_user_meta_data) from auth.users where id = $1",
        account,
    )
    assert await world.one("select count(*) from public.profiles where id = $1", account) == 1


async def edit(world: World, person: Any, **fields: Any) -> dict[str, Any]:
    return dict(await world.rpc(person, "update_me", edit=fields))


async def test_people_change_their_own_profile_and_nobody_elses(world, team):
    others = await world.sql("select * from public.profiles where id <> $1 order by id", team.reader.id)
    handle = f"r-{uuid.uuid4().hex[:8]}"
    changed = await edit(world, team.reader, handle=handle, name="R", avatar_url="https://x/y")
    assert (changed["handle"], changed["name"], changed["avatar_url"]) == (handle, "R", "https://x/y")
    assert (await edit(world, team.reader, avatar_url=None))["avatar_url"] is None
    assert (
        await world.sql("select * from public.profiles where id <> $1 order by id", team.reader.id) == others
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "6f1c2f0e-5b1e-4c1d-9a53-0d4c7c1f2a10"},
        {"github_login": "torvalds"},
        {"account_deleted_at": None},
        {"handle": None},
        {"handle": "Upper"},
        {"handle": "6f1c2f0e-5b1e-4c1d-9a53-0d4c7c1f2a10"},
        {"handle": {"a": 1}},
        {"name": "a\u0085b"},
        {"name": ""},
        {"name": None},
        {"avatar_url": "http://x/"},
        {"avatar_url": ["https://x/"]},
    ],
    ids=ascii,
)
async def test_what_a_profile_cannot_be_is_refused_by_the_database(world, team, fields):
    before = await world.sql("select * from public.profiles where id = $1", team.reader.id)
    refusal = await refused(edit(world, team.reader, **fields))
    assert (refusal.status, refusal.code) == (422, "bad_value")
    assert await world.sql("select * from public.profiles where id = $1", team.reader.id) == before


async def test_of_many_who_want_one_handle_at_once_one_gets_it(world, team):
    handle = f"want-{uuid.uuid4().hex[:8]}"
    people = [team.owner, team.editor, team.reviewer, team.reader]
    answers = await asyncio.gather(
        *(edit(world, person, handle=handle) for person in people), return_exceptions=True
    )
    assert sum(isinstance(each, dict) for each in answers) == 1
    assert await world.one("select count(*) from public.profiles where handle = $1", handle) == 1
