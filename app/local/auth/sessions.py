"""Sessions, their access tokens and their rotating refresh tokens.

A refresh token is used once. There are two exceptions, both GoTrue's own: the parent of the active token
gives the active token back (the answer was lost on the way), and a used token may be used again for
REUSE_SECONDS (two tabs at once). Any other second use means that somebody has a copy: the whole family is
revoked.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from app.local.auth.errors import AuthError
from app.local.auth.users import required, shown

if TYPE_CHECKING:
    import asyncpg

    from app.local.keys import Keys

ACCESS_SECONDS = 3600
REUSE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Device:
    """Where a sign-in came from, for the session's row."""

    user_agent: str
    ip: str | None


async def open_session(
    conn: asyncpg.Connection, user_id: UUID, *, method: str, device: Device
) -> tuple[UUID, str]:
    """Begin a session; return its id and first refresh token. `method` says how it was proven (password)."""
    session_id = uuid4()
    await conn.execute(
        "insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip) "
        "values ($1, $2, now(), now(), 'aal1', $3, $4::text::inet)",
        session_id, user_id, device.user_agent, device.ip,
    )  # fmt: skip
    await conn.execute(
        "insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method) "
        "values (gen_random_uuid(), $1, now(), now(), $2)",
        session_id, method,
    )  # fmt: skip
    await conn.execute(
        "update auth.users set last_sign_in_at = now(), updated_at = now() where id = $1", user_id
    )
    return session_id, await _add_refresh_token(conn, session_id=session_id, user_id=user_id, parent=None)


async def rotate(conn: asyncpg.Connection, token: str) -> tuple[UUID, UUID, str]:
    """Exchange a refresh token; return its user, its session and the token to use next.

    Runs in the caller's transaction, which must be committed even when this raises AuthError: the revocation
    of a family stays. Raises AuthError 400 refresh_token_not_found, refresh_token_already_used, user_banned.
    """
    # The session is locked before its tokens, so that two refreshes at once take turns and don't both rotate.
    locked = await conn.fetchrow(
        """
        select s.id from auth.sessions s
        where s.id = (select t.session_id from auth.refresh_tokens t where t.token = $1)
        for update
        """,
        token,
    )
    found = await conn.fetchrow(
        """
        select t.*, t.updated_at < now() - make_interval(secs => $2) as stale,
               u.banned_until > now() as banned
        from auth.refresh_tokens t
        join auth.users u on u.id = t.user_id::uuid and u.deleted_at is null
        where t.token = $1
        """,
        token,
        float(REUSE_SECONDS),
    )
    if locked is None or found is None:
        raise AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
    user_id, session_id = UUID(found["user_id"]), locked["id"]
    if found["banned"]:
        raise AuthError(400, "user_banned", "Invalid Refresh Token: User Banned")
    if found["revoked"]:
        active = await conn.fetchrow(
            "select token, parent from auth.refresh_tokens "
            "where session_id = $1 and not revoked order by id desc limit 1",
            session_id,
        )
        if active is not None and active["parent"] == token:
            return user_id, session_id, active["token"]
        if found["stale"] or active is None:
            await conn.execute(
                "update auth.refresh_tokens set revoked = true, updated_at = now() "
                "where session_id = $1 and not revoked",
                session_id,
            )
            raise AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
    else:
        await conn.execute(
            "update auth.refresh_tokens set revoked = true, updated_at = now() where id = $1", found["id"]
        )
    await conn.execute(
        "update auth.sessions set refreshed_at = now() at time zone 'utc', updated_at = now() where id = $1",
        session_id,
    )
    return (
        user_id,
        session_id,
        await _add_refresh_token(conn, session_id=session_id, user_id=user_id, parent=token),
    )


async def grant(
    conn: asyncpg.Connection, keys: Keys, *, issuer: str, user_id: UUID, session_id: UUID, refresh_token: str
) -> dict[str, Any]:
    """The answer to a sign-in: tokens and user. Claims as in a hosted project's access tokens."""
    user = shown(await required(conn, user_id))
    methods = await conn.fetch(
        "select authentication_method as method, extract(epoch from updated_at)::bigint as timestamp "
        "from auth.mfa_amr_claims where session_id = $1 order by updated_at desc",
        session_id,
    )
    now = int(time.time())
    claims = {
        "iss": issuer,
        "sub": user["id"],
        "aud": user["aud"],
        "exp": now + ACCESS_SECONDS,
        "iat": now,
        "email": user["email"],
        "phone": user["phone"],
        "app_metadata": user["app_metadata"],
        "user_metadata": user["user_metadata"],
        "role": user["role"],
        "aal": "aal1",
        "amr": [dict(method) for method in methods],
        "session_id": str(session_id),
        "is_anonymous": user["is_anonymous"],
    }
    return {
        "access_token": keys.sign(claims),
        "token_type": "bearer",
        "expires_in": ACCESS_SECONDS,
        "expires_at": now + ACCESS_SECONDS,
        "refresh_token": refresh_token,
        "user": user,
    }


async def close_sessions(
    conn: asyncpg.Connection, user_id: UUID, *, scope: str, session_id: UUID | None
) -> None:
    """End sessions: `global` all of the user's, `local` this one, `others` all but this one."""
    await conn.execute(
        """
        delete from auth.sessions
        where user_id = $1 and ($2 = 'global' or ($2 = 'local') = (id is not distinct from $3::uuid))
        """,
        user_id,
        scope,
        session_id,
    )


async def _add_refresh_token(
    conn: asyncpg.Connection, *, session_id: UUID, user_id: UUID, parent: str | None
) -> str:
    token = secrets.token_urlsafe(16)
    await conn.execute(
        """
        insert into auth.refresh_tokens
            (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
        values ('00000000-0000-0000-0000-000000000000', $1, $2, false, now(), now(), $3, $4)
        """,
        token, str(user_id), parent, session_id,
    )  # fmt: skip
    return token
