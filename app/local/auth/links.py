"""Links that sign in: made with the secret key, redeemed once by whoever has their hashed token.

Nothing here sends them anywhere. As GoTrue has it: `POST /admin/generate_link` answers the user with the
link's parts, `POST /verify` takes `token_hash` and gives a session; an unconfirmed address is confirmed.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from app.local.auth import sessions, users
from app.local.auth.errors import AuthError, invalid
from app.local.auth.requests import device_of, json_body, require_admin, require_key, text

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.local.database import Database
    from app.local.keys import Keys

LINK_SECONDS = 3600
_KINDS = ("magiclink", "recovery")
_REDEEMED = (*_KINDS, "email")


@dataclass(frozen=True)
class Links:
    """The endpoints, over a database and keys. `issuer` is Auth's own address."""

    database: Database
    keys: Keys
    issuer: str

    async def generate(self, request: Request) -> Response:
        """POST /admin/generate_link: of a magic link or a recovery, for an account that is there."""
        require_admin(request, self.keys)
        body = await json_body(request)
        kind = text(body, "type")
        if kind not in _KINDS:
            raise invalid(f"The embedded Auth makes no links of the type {kind or 'that is missing'}")
        email = users.normal_email(text(body, "email"))
        code = f"{secrets.randbelow(10**6):06}"
        hashed = hashlib.sha224((email + code + secrets.token_hex(16)).encode()).hexdigest()
        async with self.database.admin("supabase_auth_admin").connection() as conn, conn.transaction():
            row = await users.by_email(conn, email)
            if row is None or row["deleted_at"] is not None:
                # GoTrue would sign them up; nobody here wants that of a link.
                raise AuthError(404, "user_not_found", "User with this email not found")
            await users.change_user(
                conn, row["id"], recovery_token=hashed, recovery_sent_at=datetime.now(UTC)
            )
            user = users.shown(await users.required(conn, row["id"]))
        redirect = text(body, "redirect_to")
        query = urlencode({"token": hashed, "type": kind, "redirect_to": redirect})
        return JSONResponse(
            user
            | {
                "action_link": f"{self.issuer}/verify?{query}",
                "email_otp": code,
                "hashed_token": hashed,
                "verification_type": kind,
                "redirect_to": redirect,
            }
        )

    async def verify(self, request: Request) -> Response:
        """POST /verify: a session for the hashed token of a link, once."""
        require_key(request, self.keys)
        body = await json_body(request)
        kind, hashed = text(body, "type"), text(body, "token_hash")
        if not hashed or kind not in _REDEEMED:
            raise invalid("Verify requires a token_hash, of the type email, magiclink or recovery")
        async with self.database.admin("supabase_auth_admin").connection() as conn, conn.transaction():
            # Locked, so that of two at once the second finds nothing.
            row = await conn.fetchrow(
                "select id, email_confirmed_at, recovery_sent_at, banned_until > now() as banned "
                "from auth.users where recovery_token = $1 and deleted_at is null for update",
                hashed,
            )
            oldest = datetime.now(UTC) - timedelta(seconds=LINK_SECONDS)
            if row is None or row["recovery_sent_at"] < oldest:
                raise AuthError(403, "otp_expired", "Email link is invalid or has expired")
            if row["banned"]:
                raise AuthError(403, "user_banned", "User is banned")
            proven = {} if row["email_confirmed_at"] else {"email_confirmed_at": datetime.now(UTC)}
            await users.change_user(conn, row["id"], recovery_token="", **proven)
            session_id, refresh = await sessions.open_session(
                conn, row["id"], method="otp", device=device_of(request)
            )
            return JSONResponse(
                await sessions.grant(
                    conn,
                    self.keys,
                    issuer=self.issuer,
                    user_id=row["id"],
                    session_id=session_id,
                    refresh_token=refresh,
                )
            )
