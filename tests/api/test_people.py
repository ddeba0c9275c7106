"""Profiles: as people name themselves, and as GitHub says at each sign-in."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.api.browser import Browser
from tests.api.world import Api, People, Person, code_of, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.world import Contract
    from tests.stack import Stack


@pytest.fixture
def person(api: Api, stack: Stack, contract: Contract) -> Iterator[Person]:
    with Person(api, sign_in(stack, "named"), contract) as somebody:
        yield somebody


def test_people_name_themselves(person: Person) -> None:
    handle = f"ada.{uuid.uuid4().hex[:8]}"
    edit = {"handle": handle, "name": "Ada Lovelace ♥", "avatar_url": "https://example.com/ada.png?x=1"}
    answer = person.patch("/v1/me", json=edit)
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in edit} == edit
    assert answer.json()["projects"] == []
    kept = person.patch("/v1/me", json={"avatar_url": None}).json()
    assert (kept["handle"], kept["name"], kept["avatar_url"]) == (handle, "Ada Lovelace ♥", None)
    assert person.patch("/v1/me", json={}).json() == kept == person.get("/v1/me").json()


def test_history_shows_the_name_of_today_to_members(
    people: People, person: Person, api: Api, contract: Contract
) -> None:
    slug = f"n-{uuid.uuid4().hex[:8]}"
    made = people.owner.post("/v1/projects", json={"slug": slug}).json()
    people.owner.put(f"/v1/projects/{made['id']}/members/{person.id}", json={"role": "editor"})
    person.put(f"/v1/projects/{made['id']}/files/a.md", content=b"a\n", headers={"If-None-Match": "*"})
    person.patch("/v1/me", json={"name": "Grace Hopper"})
    change = people.owner.get(f"/v1/projects/{made['id']}/changes").json()["items"][0]
    assert change["author"]["name"] == "Grace Hopper"


@pytest.mark.parametrize(
    "edit",
    [
        {"handle": ""},
        {"handle": "Ada"},
        {"handle": "-ada"},
        {"handle": "a" * 41},
        {"handle": "ada\n"},
        {"handle": "54093e21-d37b-49b2-b43e-f3ca837b0a10"},
        {"handle": None},
        {"name": ""},
        {"name": "   "},
        {"name": " Ada"},
        {"name": "x" * 201},
        {"name": "a\u2028b"},
        {"name": None},
        {"avatar_url": ""},
        {"avatar_url": "http://example.com/x.png"},
        {"avatar_url": "javascript:alert(1)"},
        {"avatar_url": "https://example.com/\u00e9"},
        {"avatar_url": "https://example.com/" + "x" * 2000},
        {"github_login": "torvalds"},
        {"id": "54093e21-d37b-49b2-b43e-f3ca837b0a10"},
        [],
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_cannot_be_a_profile_is_refused(person: Person, edit: Any) -> None:
    before = person.get("/v1/me").json()
    answer = person.patch("/v1/me", json=edit)
    assert code_of(answer) in {"bad_request", "bad_value"}, answer.text
    assert person.get("/v1/me").json() == before


def test_a_handle_belongs_to_one(person: Person, people: People) -> None:
    answer = person.patch("/v1/me", json={"handle": people.owner.handle})
    assert answer.status_code == 409
    assert code_of(answer) == "handle_taken"


async def github_says(stack: Stack, login: str, **data: Any) -> None:
    """What GitHub's answers would be at the next sign-in of somebody, written as Auth writes them."""
    await stack.psql(
        "update auth.identities set identity_data = identity_data || $2::jsonb "
        "where provider = 'github' and identity_data ->> 'user_name' = $1",
        login,
        json.dumps(data),
        role="supabase_auth_admin",
    )


async def test_a_name_and_picture_follow_github_until_others_were_chosen(api: Api, stack: Stack) -> None:
    login = f"octo-{uuid.uuid4().hex[:8]}"
    with Browser(api) as browser:
        browser.sign_in(login)
        await github_says(stack, login, full_name="Octavia", avatar_url="https://example.com/1.png")
        me = browser.get("/v1/me").json()
        assert (me["name"], me["avatar_url"]) == ("Octavia", "https://example.com/1.png")
        browser.patch("/v1/me", json={"name": "Tavi"}, headers=browser.page_fields())
        await github_says(stack, login, full_name="Octavia B.", avatar_url="https://example.com/2.png")
        me = browser.get("/v1/me").json()
        assert (me["name"], me["avatar_url"]) == ("Tavi", "https://example.com/2.png")
        await github_says(stack, login, avatar_url="javascript:alert(1)", full_name={"a": "\u2028"})
        assert browser.get("/v1/me").json()["avatar_url"] is None
        # A login that was renamed is followed; the handle, by which others know them, stays.
        await github_says(stack, login, user_name=f"{login}-x")
        me = browser.get("/v1/me").json()
        assert (me["github_login"], me["handle"]) == (f"{login}-x", login)


async def test_a_login_is_its_newest_owners(api: Api, stack: Stack) -> None:
    login = f"octo-{uuid.uuid4().hex[:8]}"
    with Browser(api) as before, Browser(api) as now:
        before.sign_in(login)
        now.sign_in(f"{login}-b")
        await github_says(stack, f"{login}-b", user_name=login.upper())
        assert now.get("/v1/me").json()["github_login"] == login.upper()
        assert before.get("/v1/me").json()["github_login"] is None


async def test_an_account_that_joins_with_github_later_gets_its_login_and_loses_it_with_the_identity(
    person: Person, stack: Stack
) -> None:
    login, name = f"octo-{uuid.uuid4().hex[:8]}", person.get("/v1/me").json()["name"]
    await stack.psql(
        "insert into auth.identities (provider_id, user_id, identity_data, provider) "
        "values ($1, $2::text::uuid, $3::text::jsonb, 'github')",
        uuid.uuid4().hex,
        person.id,
        json.dumps({"sub": "1", "user_name": login, "full_name": "Octavia"}),
        role="supabase_auth_admin",
    )
    me = person.get("/v1/me").json()
    assert (me["github_login"], me["name"]) == (login, name)
    sql = "delete from auth.identities where user_id = $1::text::uuid and provider = 'github'"
    await stack.psql(sql, person.id, role="supabase_auth_admin")
    assert person.get("/v1/me").json()["github_login"] is None


def test_what_people_write_about_themselves_at_auth_is_no_login(person: Person, stack: Stack) -> None:
    fields = {"apikey": stack.publishable_key, "Authorization": f"Bearer {person.token}"}
    body = {"data": {"user_name": "torvalds", "preferred_username": "torvalds", "provider": "github"}}
    url = f"{stack.supabase_url}/auth/v1/user"
    httpx.put(url, headers=fields, json=body, trust_env=False).raise_for_status()
    assert person.get("/v1/me").json()["github_login"] is None
