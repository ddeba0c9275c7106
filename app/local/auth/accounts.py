"""The endpoints of a user: sign up, get tokens, look at and change oneself, sign out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
from starlette.responses import JSONResponse, Response

from app.local.auth import passwords, sessions, users
from app.local.auth.errors import AuthError, invalid
from app.local.auth.hooks import tell_of_password
from app.local.auth.requests import (
    SignedIn,
    device_of,
    json_body,
    mapping,
    require_key,
    require_user,
    text,
)

if TYPE_CHECKING:
    from uuid import UUID

    from starlette.requests import Request

    from app.local.auth.oauth import OAuth
    from app.local.database import Database
    from app.local.keys import Keys

SCOPES = ("global", "local", "others")


@dataclass(frozen=True)
class Accounts:
    """The endpoints, over a database and keys. `issuer` is Auth's own address, the `iss` of its tokens.

    `password_hook` is the function that is told of passwords (`hooks`).
    """

    database: Database
    keys: Keys
    issuer: str
    oauth: OAuth
    password_hook: str | None = None

    async def sign_up(self, request: Request) -> Response:
        """POST /signup: make an account, confirmed at once (nothing here sends e-mail), and sign it in."""
        require_key(request, self.keys)
        body = await json_body(request)
        if not text(body, "email"):
            if text(body, "phone"):
                raise AuthError(400, "phone_provider_disabled", "Phone signups are disabled")
            raise AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
        email = users.normal_email(text(body, "email"))
        if not (password := text(body, "password")):
            raise invalid("Signup requires a valid password")
        passwords.check_new(password)
        password_hash = await passwords.hashed(password)
        async with self.database.admin("supabase_auth_admin").connection() as conn, conn.transaction():
            try:
                row = await users.add_user(
                    conn,
                    email=email,
                    password_hash=password_hash,
                    confirmed=True,
                    user_metadata=mapping(body, "data")
                    | {"email": email, "email_verified": True, "phone_verified": False},
                )
            except asyncpg.UniqueViolationError as error:
                if error.table_name not in {"users", "identities"}:
                    raise
                raise AuthError(422, "user_already_exists", "User already registered") from None
            await users.change_user(
                conn,
                row["id"],
                raw_user_meta_data=users.merged(row["raw_user_meta_data"], {"sub": str(row["id"])}),
            )
            return JSONResponse(await self._sign_in(conn, row["id"], request))

    async def token(self, request: Request) -> Response:
        """POST /token: by password, by refresh token, or by the code of a sign-in through a provider."""
        require_key(request, self.keys)
        grant_type = request.query_params.get("grant_type", "")
        if grant_type == "password":
            return JSONResponse(await self._by_password(request))
        if grant_type == "refresh_token":
            return JSONResponse(await self._by_refresh_token(request))
        if grant_type == "pkce":
            return JSONResponse(await self.oauth.exchange(request, await json_body(request)))
        raise AuthError(400, "invalid_credentials", "unsupported_grant_type")

    async def user(self, request: Request) -> Response:
        """GET /user: the account whose token this is, from the database and not from the token."""
        signed_in = require_user(request, self.keys)
        async with self.database.admin("supabase_auth_admin").connection() as conn:
            return JSONResponse(users.shown(await _account(conn, signed_in)))

    async def change_user(self, request: Request) -> Response:
        """PUT /user: change one's address, password or metadata."""
        signed_in = require_user(request, self.keys)
        body = await json_body(request)
        if password := text(body, "password"):
            passwords.check_new(password)
        email = users.normal_email(text(body, "email")) if text(body, "email") else ""
        async with self.database.admin("supabase_auth_admin").connection() as conn:
            row = await _account(conn, signed_in)
            if password and await passwords.matches(password, row["encrypted_password"]):
                raise AuthError(
                    422, "same_password", "New password should be different from the old password."
                )
            password_hash = await passwords.hashed(password) if password else ""
            async with conn.transaction():
                if email and email != row["email"]:
                    await users.change_email(conn, row["id"], email)
                if data := mapping(body, "data"):
                    metadata = users.merged(row["raw_user_meta_data"], data)
                    await users.change_user(conn, row["id"], raw_user_meta_data=metadata)
                if password_hash:
                    await users.change_user(conn, row["id"], encrypted_password=password_hash)
                    # Whoever knew the old password is signed out elsewhere.
                    await sessions.close_sessions(
                        conn, row["id"], scope="others", session_id=signed_in.session_id
                    )
            return JSONResponse(users.shown(await users.required(conn, row["id"])))

    async def sign_out(self, request: Request) -> Response:
        """POST /logout: end all of the user's sessions, this one, or the others."""
        signed_in = require_user(request, self.keys)
        scope = request.query_params.get("scope") or "global"
        if scope not in SCOPES:
            raise invalid(f'Unsupported logout scope "{scope}"')
        async with self.database.admin("supabase_auth_admin").connection() as conn:
            await _account(conn, signed_in)
            await sessions.close_sessions(
                conn, signed_in.user_id, scope=scope, session_id=signed_in.session_id
            )
        return Response(status_code=204)

    async def _by_password(self, request: Request) -> dict[str, Any]:
        body = await json_body(request)
        if not text(body, "email"):
            if text(body, "phone"):
                raise AuthError(400, "phone_provider_disabled", "Phone logins are disabled")
            raise invalid("missing email or phone")
        async with self.database.admin("supabase_auth_admin").connection() as conn:
            row = await users.by_email(conn, text(body, "email").strip().lower())
        # No connection is held while bcrypt runs: a burst of sign-ins waits for the CPU, not for the pool.
        valid = await passwords.matches(text(body, "password"), row["encrypted_password"] if row else None)
        if row is not None and self.password_hook is not None:
            async with self.database.admin("supabase_auth_admin").connection() as conn:
                await tell_of_password(conn, self.password_hook, row["id"], valid=valid)
        if row is None or not valid:
            raise AuthError(400, "invalid_credentials", "Invalid login credentials")
        async with self.database.admin("supabase_auth_admin").connection() as conn, conn.transaction():
            current = await users.by_id(conn, row["id"])
            if current is None:
                raise AuthError(400, "invalid_credentials", "Invalid login credentials")
            if await conn.fetchval("select banned_until > now() from auth.users where id = $1", row["id"]):
                raise AuthError(400, "user_banned", "User is banned")
            if current["email_confirmed_at"] is None:
                raise AuthError(400, "email_not_confirmed", "Email not confirmed")
            return await self._sign_in(conn, row["id"], request)

    async def _by_refresh_token(self, request: Request) -> dict[str, Any]:
        token = text(await json_body(request), "refresh_token")
        if not token:
            raise invalid("refresh_token required")
        refused: AuthError | None = None
        async with self.database.admin("supabase_auth_admin").connection() as conn, conn.transaction():
            try:
                user_id, session_id, following = await sessions.rotate(conn, token)
            except AuthError as error:
                refused = error  # raised after the commit, or the family's revocation would be rolled back
            else:
                return await sessions.grant(
                    conn,
                    self.keys,
                    issuer=self.issuer,
                    user_id=user_id,
                    session_id=session_id,
                    refresh_token=following,
                )
        raise refused

    async def _sign_in(self, conn: asyncpg.Connection, user_id: UUID, request: Request) -> dict[str, Any]:
        session_id, token = await sessions.open_session(
            conn, user_id, method="password", device=device_of(request)
        )
        return await sessions.grant(
            conn, self.keys, issuer=self.issuer, user_id=user_id, session_id=session_id, refresh_token=token
        )


async def _account(conn: asyncpg.Connection, signed_in: SignedIn) -> asyncpg.Record:
    """The account of a token, whose session must still be there. Raises AuthError (403)."""
    row = await users.by_id(conn, signed_in.user_id)
    if row is None:
        raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
    if signed_in.session_id is not None:
        alive = await conn.fetchval(
            "select true from auth.sessions where id = $1 and user_id = $2", signed_in.session_id, row["id"]
        )
        if not alive:
            raise AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist")
    return row
