"""Auth as the official Python client and plain HTTP see it."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

import bcrypt
import httpx
import jwt
import pytest
from supabase import AsyncClient, AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthApiError

from app.local.keys import Keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stack import Stack

PASSWORD = "correct-horse-battery"


def address() -> str:
    return f"{uuid.uuid4().hex[:12]}@example.com"


@pytest.fixture
async def client(stack: Stack) -> AsyncClient:
    return await acreate_client(
        stack.supabase_url, stack.publishable_key, AsyncClientOptions(auto_refresh_token=False)
    )


@pytest.fixture
async def admin(stack: Stack) -> AsyncClient:
    return await acreate_client(
        stack.supabase_url, stack.secret_key, AsyncClientOptions(auto_refresh_token=False)
    )


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    base = f"{stack.supabase_url}/auth/v1"
    async with httpx.AsyncClient(
        base_url=base, headers={"apikey": stack.publishable_key}, timeout=20
    ) as plain:
        yield plain


def bearer(session: Any) -> dict[str, str]:
    token = session["access_token"] if isinstance(session, dict) else session.access_token
    return {"authorization": f"Bearer {token}"}


async def refresh(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.post("/token?grant_type=refresh_token", json={"refresh_token": token})


# --- the official client ---------------------------------------------------------------------------------------


async def test_the_official_client_signs_up_in_out_and_changes_itself(client: AsyncClient):
    email = address()
    signed_up = await client.auth.sign_up(
        {"email": email.upper(), "password": PASSWORD, "options": {"data": {"name": "Ada"}}}
    )
    assert signed_up.session is not None
    assert signed_up.user.email == email
    assert signed_up.user.user_metadata["name"] == "Ada"
    assert signed_up.user.app_metadata == {"provider": "email", "providers": ["email"]}
    assert [identity.provider for identity in signed_up.user.identities] == ["email"]

    signed_in = await client.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    assert signed_in.user.id == signed_up.user.id
    assert signed_in.session.expires_in == 3600

    changed = await client.auth.update_user(
        {"data": {"name": None, "team": "docs"}, "password": "another-one"}
    )
    assert changed.user.user_metadata["team"] == "docs"
    assert "name" not in changed.user.user_metadata

    refreshed = await client.auth.refresh_session()
    assert refreshed.session.refresh_token != signed_in.session.refresh_token
    assert (await client.auth.get_user()).user.id == signed_up.user.id
    await client.auth.sign_out()
    with pytest.raises(AuthApiError) as gone:
        await client.auth.get_user(refreshed.session.access_token)
    assert gone.value.code == "session_not_found"


async def test_a_wrong_password_and_an_unknown_address_answer_alike(client: AsyncClient):
    email = address()
    await client.auth.sign_up({"email": email, "password": PASSWORD})
    for credentials in (
        {"email": email, "password": "wrong-one"},
        {"email": address(), "password": PASSWORD},
    ):
        with pytest.raises(AuthApiError) as refused:
            await client.auth.sign_in_with_password(credentials)
        assert (refused.value.status, refused.value.code) == (400, "invalid_credentials")
        assert refused.value.message == "Invalid login credentials"


async def test_a_second_sign_up_with_the_same_address_is_refused(client: AsyncClient):
    email = address()
    await client.auth.sign_up({"email": email, "password": PASSWORD})
    with pytest.raises(AuthApiError) as refused:
        await client.auth.sign_up({"email": email, "password": PASSWORD})
    assert (refused.value.status, refused.value.code) == (422, "user_already_exists")


async def test_of_twenty_sign_ups_at_once_with_one_address_one_wins(http: httpx.AsyncClient):
    body = {"email": address(), "password": PASSWORD}
    answers = await asyncio.gather(*(http.post("/signup", json=body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 19


async def test_the_official_clients_administration(admin: AsyncClient, client: AsyncClient):
    email, user_id = address(), str(uuid.uuid4())
    made = await admin.auth.admin.create_user(
        {
            "id": user_id,
            "email": email,
            "password": PASSWORD,
            "user_metadata": {"name": "Bo"},
            "app_metadata": {"plan": "x"},
        }
    )
    assert made.user.id == user_id
    with pytest.raises(AuthApiError) as unconfirmed:
        await client.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    assert unconfirmed.value.code == "email_not_confirmed"

    changed = await admin.auth.admin.update_user_by_id(
        user_id, {"email_confirm": True, "app_metadata": {"tier": 2}, "user_metadata": {"name": None}}
    )
    assert changed.user.app_metadata == {"provider": "email", "providers": ["email"], "plan": "x", "tier": 2}
    assert changed.user.user_metadata == {}
    await client.auth.sign_in_with_password({"email": email, "password": PASSWORD})

    assert (await admin.auth.admin.get_user_by_id(user_id)).user.email == email
    assert user_id in [user.id for user in await admin.auth.admin.list_users(page=1, per_page=100)]
    await admin.auth.admin.update_user_by_id(user_id, {"ban_duration": "24h"})
    with pytest.raises(AuthApiError) as banned:
        await client.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    assert banned.value.code == "user_banned"
    await admin.auth.admin.delete_user(user_id)
    with pytest.raises(AuthApiError) as missing:
        await admin.auth.admin.get_user_by_id(user_id)
    assert (missing.value.status, missing.value.code) == (404, "user_not_found")


async def test_administration_pages_through_users(stack: Stack, http: httpx.AsyncClient):
    headers = {"apikey": stack.secret_key}
    for _ in range(3):
        await http.post(
            "/admin/users", headers=headers, json={"email": address(), "password_hash": cheap_hash()}
        )
    first = await http.get("/admin/users?page=1&per_page=2", headers=headers)
    second = await http.get("/admin/users?page=2&per_page=2", headers=headers)
    assert len(first.json()["users"]) == 2
    assert not {user["id"] for user in first.json()["users"]} & {
        user["id"] for user in second.json()["users"]
    }
    assert int(first.headers["x-total-count"]) >= 3
    assert 'rel="next"' in first.headers["link"]


# --- tokens ----------------------------------------------------------------------------------------------------


async def test_access_tokens_verify_with_the_published_keys(stack: Stack, http: httpx.AsyncClient):
    session = await stack.user(user_metadata={"name": "Cy"})
    jwks = jwt.PyJWKSet.from_dict((await http.get("/.well-known/jwks.json")).json())
    kid = jwt.get_unverified_header(session["access_token"])["kid"]
    claims = jwt.decode(
        session["access_token"],
        jwks[kid],
        algorithms=["ES256"],
        audience="authenticated",
        issuer=f"{stack.supabase_url}/auth/v1",
    )
    assert set(claims) == {
        "iss", "aud", "sub", "exp", "iat", "email", "phone", "role", "aal", "amr", "session_id", "is_anonymous",
        "app_metadata", "user_metadata",
    }  # fmt: skip
    assert claims["sub"] == session["user"]["id"]
    assert claims["role"] == "authenticated"
    assert claims["amr"][0]["method"] == "password"
    assert claims["user_metadata"]["name"] == "Cy"
    assert claims["exp"] - claims["iat"] == 3600
    assert "d" not in stack.jwks["keys"][0]


async def test_the_published_keys_need_no_api_key(stack: Stack):
    async with httpx.AsyncClient() as plain:
        assert (await plain.get(f"{stack.supabase_url}/auth/v1/.well-known/jwks.json")).json() == stack.jwks


@pytest.mark.parametrize("kind", ["expired", "forged", "none", "confused", "garbage", "other-kid"])
async def test_a_token_that_does_not_hold_is_refused(stack: Stack, http: httpx.AsyncClient, kind: str):
    session = await stack.user()
    keys = Keys.load(stack.data)
    claims = jwt.decode(session["access_token"], options={"verify_signature": False})
    public = str(stack.jwks["keys"][0]["x"])
    token = {
        "expired": lambda: keys.sign(claims | {"exp": int(time.time()) - 1}),
        "forged": lambda: session["access_token"][:-8] + "AAAAAAAA",
        "none": lambda: jwt.encode(claims, None, algorithm="none"),
        # The published key used as an HMAC secret: the classic confusion of algorithms.
        "confused": lambda: jwt.encode(
            claims, public.ljust(32, "="), algorithm="HS256", headers={"kid": keys.kid}
        ),
        "garbage": lambda: "a.b",
        "other-kid": lambda: jwt.encode(claims, keys._private, algorithm="ES256", headers={"kid": "other"}),
    }[kind]()
    answer = await http.get("/user", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert answer.json()["error_code"] == "bad_jwt"
    again = await http.get("/user", headers=bearer(session))
    assert again.status_code == 200


async def test_a_token_of_a_deleted_user_is_refused(stack: Stack, http: httpx.AsyncClient):
    session = await stack.user()
    await http.delete(f"/admin/users/{session['user']['id']}", headers={"apikey": stack.secret_key})
    answer = await http.get("/user", headers=bearer(session))
    assert (answer.status_code, answer.json()["error_code"]) == (403, "user_not_found")


# --- refresh tokens --------------------------------------------------------------------------------------------


async def test_two_refreshes_at_once_both_succeed(stack: Stack, http: httpx.AsyncClient):
    session = await stack.user()
    answers = await asyncio.gather(*(refresh(http, session["refresh_token"]) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    # They took turns: the first rotated, the others got what it had made.
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_a_used_token_within_ten_seconds_gives_a_new_one(stack: Stack, http: httpx.AsyncClient):
    first = (await stack.user())["refresh_token"]
    second = (await refresh(http, first)).json()["refresh_token"]
    third = (await refresh(http, second)).json()["refresh_token"]
    again = await refresh(http, first)
    assert again.status_code == 200
    assert again.json()["refresh_token"] not in {first, second, third}


async def test_a_token_used_again_later_revokes_the_whole_family(stack: Stack, http: httpx.AsyncClient):
    session = await stack.user()
    first = session["refresh_token"]
    second = (await refresh(http, first)).json()["refresh_token"]
    third = (await refresh(http, second)).json()["refresh_token"]
    await stack.psql(
        "update auth.refresh_tokens set updated_at = now() - interval '11 seconds' where token = $1", first
    )
    reused = await refresh(http, first)
    assert (reused.status_code, reused.json()["error_code"]) == (400, "refresh_token_already_used")
    for token in (second, third):
        assert (await refresh(http, token)).json()["error_code"] == "refresh_token_already_used"
    # Only this family: the user can sign in again, and the session's other sign-ins are untouched.
    signed_in = await http.post(
        "/token?grant_type=password", json={"email": session["user"]["email"], "password": "correct-horse"}
    )
    assert signed_in.status_code == 200


async def test_the_parent_of_the_active_token_gives_it_back_however_late(
    stack: Stack, http: httpx.AsyncClient
):
    first = (await stack.user())["refresh_token"]
    second = (await refresh(http, first)).json()["refresh_token"]
    await stack.psql(
        "update auth.refresh_tokens set updated_at = now() - interval '1 day' where token = $1", first
    )
    assert (await refresh(http, first)).json()["refresh_token"] == second


async def test_an_unknown_refresh_token_is_refused(http: httpx.AsyncClient):
    answer = await refresh(http, "nobody-has-this")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "refresh_token_not_found")


@pytest.mark.parametrize(("scope", "left"), [("global", []), ("local", [1]), ("others", [0])])
async def test_signing_out_ends_the_sessions_that_the_scope_names(
    stack: Stack, http: httpx.AsyncClient, scope: str, left: list[int]
):
    first = await stack.user()
    credentials = {"email": first["user"]["email"], "password": "correct-horse"}
    second = (await http.post("/token?grant_type=password", json=credentials)).json()
    answer = await http.post(f"/logout?scope={scope}", headers=bearer(first))
    assert answer.status_code == 204
    alive = [
        n
        for n, session in enumerate((first, second))
        if (await refresh(http, session["refresh_token"])).is_success
    ]
    assert alive == left


async def test_a_new_password_signs_out_everywhere_else(stack: Stack, http: httpx.AsyncClient):
    first = await stack.user()
    credentials = {"email": first["user"]["email"], "password": "correct-horse"}
    second = (await http.post("/token?grant_type=password", json=credentials)).json()
    changed = await http.put("/user", headers=bearer(second), json={"password": "something-else"})
    assert changed.status_code == 200
    assert not (await refresh(http, first["refresh_token"])).is_success
    assert (await refresh(http, second["refresh_token"])).is_success
    same = await http.put("/user", headers=bearer(second), json={"password": "something-else"})
    assert same.json()["error_code"] == "same_password"


# --- refusals --------------------------------------------------------------------------------------------------


async def test_administration_needs_the_secret_key(stack: Stack, http: httpx.AsyncClient):
    session = await stack.user()
    target = f"/admin/users/{session['user']['id']}"
    for headers in (
        {},
        bearer(session),
        {"authorization": f"Bearer {stack.anon_key}"},
        {"apikey": stack.secret_key, **bearer(session)},
    ):
        for method, path in (
            ("GET", "/admin/users"),
            ("POST", "/admin/users"),
            ("DELETE", target),
            ("PUT", target),
        ):
            answer = await http.request(method, path, headers=headers, json={"email": address()})
            assert (answer.status_code, answer.json()["error_code"]) == (403, "not_admin"), (headers, method)
    assert (await http.get("/user", headers=bearer(session))).status_code == 200
    for headers in ({"apikey": stack.secret_key}, {"apikey": stack.service_role_key}):
        assert (await http.get(target, headers=headers)).status_code == 200


async def test_a_missing_or_wrong_api_key_is_the_gateways_refusal(stack: Stack):
    async with httpx.AsyncClient(base_url=f"{stack.supabase_url}/auth/v1") as plain:
        missing = await plain.get("/settings")
        wrong = await plain.get("/settings", headers={"apikey": "sb_publishable_wrong"})
    assert (missing.status_code, missing.json()["message"]) == (401, "No API key found in request")
    assert (wrong.status_code, wrong.json()["message"]) == (401, "Invalid API key")


async def test_errors_have_the_shape_that_the_client_asks_for(http: httpx.AsyncClient):
    body = {"email": address(), "password": "no-such-user"}
    old = await http.post("/token?grant_type=password", json=body)
    new = await http.post(
        "/token?grant_type=password", json=body, headers={"X-Supabase-Api-Version": "2024-01-01"}
    )
    assert old.json() == {
        "code": 400,
        "error_code": "invalid_credentials",
        "msg": "Invalid login credentials",
    }
    assert new.json() == {"code": "invalid_credentials", "message": "Invalid login credentials"}
    assert new.headers["x-supabase-api-version"] == "2024-01-01"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/signup", b'{"email":"a@example.com","password":"12345"}', 422, "weak_password"),
        ("/signup", b'{"email":"not an address","password":"123456"}', 400, "validation_failed"),
        ("/signup", b'{"email":"a@example.com"}', 400, "validation_failed"),
        ("/signup", b"{}", 422, "anonymous_provider_disabled"),
        ("/signup", b'{"phone":"1","password":"123456"}', 400, "phone_provider_disabled"),
        ("/signup", b'{"email":7}', 400, "bad_json"),
        ("/signup", b'{"email":', 400, "bad_json"),
        ("/signup", b"[]", 400, "bad_json"),
        ("/signup", b'{"email":"\\u0000@example.com","password":"123456"}', 400, "bad_json"),
        ("/signup", b'{"email":"a@example.com","password":"\\ud800 half a pair"}', 400, "bad_json"),
        ("/signup", b"[" * 100_000, 400, "bad_json"),
        ("/signup", b'{"email":"' + b"a" * 1_100_000 + b'"}', 413, "bad_json"),
        ("/signup", b'{"email":"b@example.com","password":"' + b"x" * 73 + b'"}', 400, "validation_failed"),
        ("/token?grant_type=password", b'{"email":"a@example.com","password":"' + b"x" * 500 + b'"}', 400, "invalid_credentials"),
        ("/token?grant_type=password", b'{"password":"x"}', 400, "validation_failed"),
        ("/token?grant_type=magic", b"{}", 400, "invalid_credentials"),
        ("/otp", b"{}", 404, "not_found"),
    ],
)  # fmt: skip
async def test_a_bad_request_says_what_is_wrong(
    http: httpx.AsyncClient, path: str, body: bytes, status: int, code: str
):
    answer = await http.post(path, content=body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


# --- passwords brought along -----------------------------------------------------------------------------------


def cheap_hash(password: str = PASSWORD) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


async def test_a_bcrypt_hash_from_elsewhere_lets_the_user_in(stack: Stack, http: httpx.AsyncClient):
    email = address()
    made = await http.post(
        "/admin/users",
        headers={"apikey": stack.secret_key},
        json={"email": email, "email_confirm": True, "password_hash": cheap_hash()},
    )
    assert made.status_code == 200
    assert "encrypted_password" not in made.text
    signed_in = await http.post("/token?grant_type=password", json={"email": email, "password": PASSWORD})
    assert signed_in.status_code == 200


@pytest.mark.parametrize(
    "password_hash",
    ["$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "plain", "$2b$31$" + "a" * 53, "$2b$10$short"],
)
async def test_other_hashes_are_refused_in_words(stack: Stack, http: httpx.AsyncClient, password_hash: str):
    body = {"email": address(), "password_hash": password_hash}
    answer = await http.post("/admin/users", headers={"apikey": stack.secret_key}, json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")
    assert "bcrypt" in answer.json()["msg"]


async def test_hashing_does_not_hold_up_other_requests(stack: Stack, http: httpx.AsyncClient):
    session = await stack.user()
    signing = [
        asyncio.create_task(
            http.post("/token?grant_type=password", json={"email": address(), "password": "x"})
        )
        for _ in range(8)
    ]
    meanwhile = 0
    while not all(task.done() for task in signing):
        assert (await http.get("/user", headers=bearer(session))).status_code == 200
        meanwhile += 1
    await asyncio.gather(*signing)
    # One may be answered before the hashing begins, and one with its end.
    assert meanwhile > 2


# --- the database ----------------------------------------------------------------------------------------------


async def test_triggers_on_the_users_table_fire(stack: Stack):
    await stack.psql(
        """
        create schema if not exists trigger_test;
        create table if not exists trigger_test.seen (id uuid, name text);
        create or replace function trigger_test.note() returns trigger language plpgsql security definer
        set search_path = '' as $$ begin
            if new.email like 'forbidden%' then raise exception 'not this one'; end if;
            insert into trigger_test.seen values (new.id, new.raw_user_meta_data ->> 'name'); return new;
        end $$;
        create or replace trigger note after insert on auth.users for each row execute function trigger_test.note();
        """
    )
    try:
        session = await stack.user(user_metadata={"name": "Di"})
        assert await stack.psql(
            "select name from trigger_test.seen where id = $1", session["user"]["id"]
        ) == [("Di",)]
        async with httpx.AsyncClient(base_url=f"{stack.supabase_url}/auth/v1") as plain:
            body = {"email": f"forbidden-{address()}", "password": PASSWORD}
            answer = await plain.post("/signup", headers={"apikey": stack.publishable_key}, json=body)
        assert (answer.status_code, answer.json()["error_code"]) == (500, "unexpected_failure")
        assert "not this one" not in answer.text
        assert await stack.psql("select 1 from auth.users where email = $1", body["email"]) == []
    finally:
        await stack.psql("drop trigger note on auth.users; drop schema trigger_test cascade;")


async def test_passwords_are_kept_as_bcrypt_hashes(stack: Stack, http: httpx.AsyncClient):
    email = address()
    await http.post("/signup", json={"email": email, "password": PASSWORD})
    [row] = await stack.psql("select encrypted_password from auth.users where email = $1", email)
    assert row[0].startswith("$2b$10$")
