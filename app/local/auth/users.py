"""Accounts: rows of auth.users and auth.identities, and how a client sees them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from app.local.auth.errors import AuthError, invalid

_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\\\]]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
LONGEST_EMAIL = 255

SELECT = """
select u.*, coalesce((
    select json_agg(i order by i.created_at, i.id) from auth.identities i where i.user_id = u.id
), '[]')::text as identities
from auth.users u
"""


def normal_email(email: str) -> str:
    """An address in lower case. Raises AuthError when it isn't one."""
    email = email.strip().lower()
    if len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise invalid("Unable to validate email address: invalid format")
    return email


def shown(row: asyncpg.Record) -> dict[str, Any]:
    """A user as the API shows it; no hash, no token."""
    user = {
        "id": str(row["id"]),
        "aud": row["aud"],
        "role": row["role"],
        "email": row["email"] or "",
        "email_confirmed_at": stamp(row["email_confirmed_at"]),
        "phone": row["phone"] or "",
        "phone_confirmed_at": stamp(row["phone_confirmed_at"]),
        "confirmed_at": stamp(row["confirmed_at"]),
        "last_sign_in_at": stamp(row["last_sign_in_at"]),
        "app_metadata": json.loads(row["raw_app_meta_data"] or "{}"),
        "user_metadata": json.loads(row["raw_user_meta_data"] or "{}"),
        "identities": [_identity(identity) for identity in json.loads(row["identities"])],
        "created_at": stamp(row["created_at"]),
        "updated_at": stamp(row["updated_at"]),
        "banned_until": stamp(row["banned_until"]),
        "deleted_at": stamp(row["deleted_at"]),
        "is_anonymous": row["is_anonymous"],
    }
    return {name: value for name, value in user.items() if value is not None}


def stamp(time: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z") if time else None


async def by_id(conn: asyncpg.Connection, user_id: UUID) -> asyncpg.Record | None:
    """The account with this id, if it's there and not deleted."""
    return await conn.fetchrow(f"{SELECT} where u.id = $1 and u.deleted_at is null", user_id)


async def by_email(conn: asyncpg.Connection, email: str) -> asyncpg.Record | None:
    """The account with this address, in lower case."""
    return await conn.fetchrow(f"{SELECT} where u.email = $1 and not u.is_sso_user", email)


async def add_user(
    conn: asyncpg.Connection,
    *,
    email: str,
    password_hash: str,
    confirmed: bool,
    user_metadata: dict[str, Any],
    app_metadata: dict[str, Any] | None = None,
    user_id: UUID | None = None,
    role: str = "authenticated",
    banned_until: datetime | None = None,
) -> asyncpg.Record:
    """Insert an account with its e-mail identity, in the caller's transaction; triggers on auth.users fire.

    Raises asyncpg.UniqueViolationError when the address or the id is taken.
    """
    user_id = user_id or uuid4()
    provider = {"provider": "email", "providers": ["email"]}
    await conn.execute(
        """
        insert into auth.users (
            instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
            raw_user_meta_data, created_at, updated_at, banned_until, confirmation_token, recovery_token,
            email_change_token_new, email_change
        ) values (
            '00000000-0000-0000-0000-000000000000', $1, 'authenticated', $2, $3, $4,
            case when $5 then now() end, $6, $7, now(), now(), $8, '', '', '', ''
        )
        """,
        user_id, role, email, password_hash, confirmed, json.dumps(provider | (app_metadata or {})),
        json.dumps(user_metadata), banned_until,
    )  # fmt: skip
    await conn.execute(
        """
        insert into auth.identities
            (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
        values (
            $1::uuid::text, $1, jsonb_build_object('sub', $1::uuid::text, 'email', $2::text,
            'email_verified', $3::boolean, 'phone_verified', false), 'email', now(), now(), now()
        )
        """,
        user_id, email, confirmed,
    )  # fmt: skip
    return await required(conn, user_id)


async def change_user(conn: asyncpg.Connection, user_id: UUID, **columns: Any) -> None:
    """Set columns of an account; the names are ours, never a client's. Nothing to set is no statement."""
    if not columns:
        return
    assigned = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 2))
    await conn.execute(
        f"update auth.users set {assigned}, updated_at = now() where id = $1",  # noqa: S608 - the texts are ours; values are arguments
        user_id,
        *columns.values(),
    )


async def change_email(conn: asyncpg.Connection, user_id: UUID, email: str) -> None:
    """Give an account another address, confirmed at once. Raises AuthError when it's taken."""
    try:
        async with conn.transaction():
            await conn.execute(
                "update auth.users set email = $2, email_confirmed_at = now(), updated_at = now() "
                "where id = $1",
                user_id,
                email,
            )
            await conn.execute(
                """
                update auth.identities set updated_at = now(), identity_data = identity_data
                    || jsonb_build_object('email', $2::text, 'email_verified', true)
                where user_id = $1 and provider = 'email'
                """,
                user_id,
                email,
            )
    except asyncpg.UniqueViolationError:
        raise email_exists() from None


def merged(stored: str | None, changes: dict[str, Any]) -> str:
    """Metadata after a change: given keys replace, null removes, others stay."""
    metadata = json.loads(stored or "{}") | changes
    return json.dumps({name: value for name, value in metadata.items() if value is not None})


async def required(conn: asyncpg.Connection, user_id: UUID) -> asyncpg.Record:
    """The account with this id. Raises AuthError (404 user_not_found)."""
    row = await by_id(conn, user_id)
    if row is None:
        raise AuthError(404, "user_not_found", "User not found")
    return row


def email_exists() -> AuthError:
    """The refusal of an address that another account has."""
    return AuthError(422, "email_exists", "A user with this email address has already been registered")


def _identity(identity: dict[str, Any]) -> dict[str, Any]:
    """In the API `id` is the provider's name for the user, and `identity_id` the row's."""
    names = ("user_id", "identity_data", "provider", "last_sign_in_at", "created_at", "updated_at", "email")
    return {
        "identity_id": identity["id"],
        "id": identity["provider_id"],
        **{name: identity[name] for name in names if identity.get(name) is not None},
    }
