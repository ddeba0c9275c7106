"""The account of somebody whom a provider vouches for: theirs already, one with their address, or a new one.

As GoTrue decides it: a known identity is its account's; else the account that has the provider's verified
address is linked; else an account is made. An address that nobody had confirmed proves nothing, so linking to
such an account throws away its password, its other identities and what was written into it: whoever signed up
with a stranger's address gets no way into the stranger's account.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from app.local.auth import users
from app.local.auth.errors import AuthError

if TYPE_CHECKING:
    import asyncpg


async def account_of(conn: asyncpg.Connection, *, provider: str, identity: dict[str, Any]) -> UUID:
    """The id of the account, found, linked or made, with metadata as the provider gives it now.

    `identity` is the identity's data: `sub`, `email` (verified), `user_name`, `avatar_url`, …
    Runs in the caller's transaction. Raises AuthError (403 user_banned).
    """
    subject, email = str(identity["sub"]), str(identity["email"]).lower()
    # Two first sign-ins of one person at once: the second waits here and finds what the first made.
    await conn.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"auth:{provider}:{email}")
    user_id = await conn.fetchval(
        """
        update auth.identities set identity_data = $3, last_sign_in_at = now(), updated_at = now()
        where provider = $1 and provider_id = $2 returning user_id
        """,
        provider, subject, json.dumps(identity),
    )  # fmt: skip
    if user_id is None:
        found = await users.by_email(conn, email)
        user_id = (
            found["id"] if found else await _new_user(conn, email=email, provider=provider, data=identity)
        )
        await _add_identity(conn, user_id, provider=provider, data=identity)
        if found is not None and found["email_confirmed_at"] is None:
            await _take_over(conn, user_id, provider=provider, data=identity)
    row = await users.required(conn, user_id)
    if await conn.fetchval("select banned_until > now() from auth.users where id = $1", user_id):
        raise AuthError(403, "user_banned", "User is banned")
    providers = [each["provider"] for each in json.loads(row["identities"])]
    named = list(dict.fromkeys(providers))
    await users.change_user(
        conn,
        user_id,
        raw_user_meta_data=users.merged(row["raw_user_meta_data"], identity),
        raw_app_meta_data=users.merged(row["raw_app_meta_data"], {"provider": named[0], "providers": named}),
    )
    return UUID(str(user_id))


async def _new_user(conn: asyncpg.Connection, *, email: str, provider: str, data: dict[str, Any]) -> UUID:
    user_id = uuid4()
    await conn.execute(
        """
        insert into auth.users (
            instance_id, id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
            created_at, updated_at, confirmation_token, recovery_token, email_change_token_new, email_change
        ) values (
            '00000000-0000-0000-0000-000000000000', $1, 'authenticated', 'authenticated', $2, now(), $3, $4,
            now(), now(), '', '', '', ''
        )
        """,
        user_id, email, json.dumps({"provider": provider, "providers": [provider]}), json.dumps(data),
    )  # fmt: skip
    return user_id


async def _add_identity(
    conn: asyncpg.Connection, user_id: UUID, *, provider: str, data: dict[str, Any]
) -> None:
    await conn.execute(
        """
        insert into auth.identities
            (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
        values ($1, $2, $3, $4, now(), clock_timestamp(), now())
        """,
        str(data["sub"]), user_id, json.dumps(data), provider,
    )  # fmt: skip


async def _take_over(conn: asyncpg.Connection, user_id: UUID, *, provider: str, data: dict[str, Any]) -> None:
    """Give an account whose address was never confirmed to the one who proved the address."""
    await conn.execute(
        "delete from auth.identities where user_id = $1 and not (provider = $2 and provider_id = $3)",
        user_id, provider, str(data["sub"]),
    )  # fmt: skip
    await conn.execute("delete from auth.sessions where user_id = $1", user_id)
    await conn.execute(
        """
        update auth.users
        set encrypted_password = null, raw_user_meta_data = $2, email_confirmed_at = now(), updated_at = now()
        where id = $1
        """,
        user_id, json.dumps(data),
    )  # fmt: skip
