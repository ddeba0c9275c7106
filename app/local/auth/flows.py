"""Sign-ins under way: rows of auth.flow_state, each good for one way there, one way back and one exchange.

`state` at the provider is the row's id; `auth_code` is what the browser carries back to the client; only who
has the code verifier (PKCE, RFC 7636) can exchange it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from app.local.auth.errors import AuthError, invalid

if TYPE_CHECKING:
    import asyncpg

FLOW_SECONDS = 300
_CHALLENGE = re.compile(r"[a-zA-Z._~0-9-]+")
_CHALLENGE_LENGTHS = range(43, 129)
_METHODS = ("s256", "plain")

_SELECT = """
select *, created_at < now() - make_interval(secs => $2) as expired from auth.flow_state
"""


def check_challenge(challenge: str, method: str) -> str:
    """Return the method in lower case, empty without a challenge.

    Raises AuthError (400 validation_failed).
    """
    if bool(challenge) != bool(method):
        raise invalid("PKCE flow requires code_challenge_method and code_challenge")
    if not challenge:
        return ""
    if len(challenge) not in _CHALLENGE_LENGTHS:
        raise invalid("code challenge has to be between 43 and 128 characters")
    if not _CHALLENGE.fullmatch(challenge):
        raise invalid(
            "code challenge can only contain alphanumeric characters, hyphens, periods, underscores "
            "and tildes"
        )
    if method.lower() not in _METHODS:
        raise invalid("Invalid code_challenge_method")
    return method.lower()


async def begin(
    conn: asyncpg.Connection, *, provider: str, challenge: str, method: str, referrer: str
) -> UUID:
    """Note a sign-in that goes to a provider; return its `state`. `method` is empty in the implicit flow."""
    state = uuid4()
    # Rows that nobody came back for are of no use to anyone; the index on created_at finds them.
    await conn.execute("delete from auth.flow_state where created_at < now() - interval '1 day'")
    await conn.execute(
        """
        insert into auth.flow_state (
            id, auth_code, code_challenge_method, code_challenge, provider_type, authentication_method,
            provider_access_token, provider_refresh_token, referrer, created_at, updated_at
        ) values ($1, $2, $3::text::auth.code_challenge_method, $4, $5, 'oauth', '', '', $6, now(), now())
        """,
        state, str(uuid4()) if method else None, method or None, challenge or None, provider, referrer,
    )  # fmt: skip
    return state


async def returning(conn: asyncpg.Connection, state: str) -> asyncpg.Record:
    """The sign-in that comes back from the provider, locked. Raises AuthError when `state` isn't good now."""
    if not state:
        raise AuthError(400, "bad_oauth_callback", "OAuth state parameter missing")
    try:
        flow_id = UUID(state)
    except ValueError:
        raise AuthError(400, "bad_oauth_state", "OAuth state parameter is invalid") from None
    flow = await conn.fetchrow(f"{_SELECT} where id = $1 for update", flow_id, float(FLOW_SECONDS))
    if flow is None:
        raise AuthError(400, "bad_oauth_state", "OAuth state not found or expired")
    if flow["expired"]:
        raise AuthError(400, "bad_oauth_state", "OAuth state has expired")
    if flow["user_id"] is not None:
        raise AuthError(400, "flow_state_already_used", "State has already been used")
    return flow


async def prove(conn: asyncpg.Connection, flow_id: UUID, user_id: UUID, *, provider_token: str) -> None:
    """Note whose sign-in it turned out to be: from now on the code can be exchanged, and `state` is used."""
    await conn.execute(
        """
        update auth.flow_state
        set user_id = $2, provider_access_token = $3, auth_code_issued_at = now(), updated_at = now()
        where id = $1
        """,
        flow_id, user_id, provider_token,
    )  # fmt: skip


async def redeem(conn: asyncpg.Connection, code: str, verifier: str) -> asyncpg.Record:
    """Take the sign-in that `code` stands for, once. Raises AuthError; a wrong verifier leaves it there."""
    if not code or not verifier:
        raise invalid("invalid request: both auth code and code verifier should be non-empty")
    # Locked, so that of two exchanges at once the second finds nothing.
    flow = await conn.fetchrow(f"{_SELECT} where auth_code = $1 for update", code, float(FLOW_SECONDS))
    if flow is None or flow["user_id"] is None:
        raise AuthError(404, "flow_state_not_found", "invalid flow state, no valid flow state found")
    if flow["expired"]:
        raise AuthError(422, "flow_state_expired", "invalid flow state, flow state has expired")
    if not hmac.compare_digest(
        _challenge(verifier, flow["code_challenge_method"]), flow["code_challenge"].encode()
    ):
        raise AuthError(
            400, "bad_code_verifier", "code challenge does not match previously saved code verifier"
        )
    await forget(conn, flow["id"])
    return flow


async def forget(conn: asyncpg.Connection, flow_id: UUID) -> None:
    """Remove a sign-in that has been answered."""
    await conn.execute("delete from auth.flow_state where id = $1", flow_id)


def _challenge(verifier: str, method: str) -> bytes:
    words = verifier.encode("utf-8", "surrogatepass")
    if method == "plain":
        return words
    return base64.urlsafe_b64encode(hashlib.sha256(words).digest()).rstrip(b"=")
