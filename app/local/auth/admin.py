"""The endpoints of administration, `/admin/users`: they need the secret key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
from starlette.responses import JSONResponse, Response

from app.local.auth import passwords, users
from app.local.auth.errors import AuthError, invalid
from app.local.auth.requests import json_body, mapping, require_admin, text

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.local.database import Database
    from app.local.keys import Keys

LONGEST_PAGE = 1000
# What a Go duration may look like, as far as bans need it: "24h", "1h30m", "90s".
_DURATION = re.compile(r"(?=\d)(?:(\d{1,7})h)?(?:(\d{1,7})m)?(?:(\d{1,7})s)?")


@dataclass(frozen=True)
class Admin:
    """The endpoints, over a database and keys."""

    database: Database
    keys: Keys

    async def list_users(self, request: Request) -> Response:
        """GET /admin/users?page=&per_page=: all accounts, newest first."""
        require_admin(request, self.keys)
        page, size = _number(request, "page", 1), min(_number(request, "per_page", 50), LONGEST_PAGE)
        async with self.database.admin("supabase_auth_admin").connection() as conn:
            rows = await conn.fetch(
                f"{users.SELECT} where u.deleted_at is null order by u.created_at desc, u.id "
                "limit $1 offset $2",
                size, (page - 1) * size,
            )  # fmt: skip
            total = await conn.fetchval("select count(*) from auth.users where deleted_at is null")
        last = max(1, -(-total // size))
        pages = {"next": page + 1, "last": last} if page < last else {"last": last}
        path = f"{request.url.path}?per_page={size}&page="
        links = ", ".join(f'<{path}{number}>; rel="{name}"' for name, number in pages.items())
        return JSONResponse(
            {"users": [users.shown(row) for row in rows], "aud": "authenticated"},
            headers={"x-total-count": str(total), "link": links},
        )

    async def add_user(self, request: Request) -> Response:
        """POST /admin/users: make an account, confirmed only when `email_confirm` says so."""
        require_admin(request, self.keys)
        body = await json_body(request)
        if not text(body, "email"):
            raise invalid("Cannot create a user without either an email or phone")
        email = users.normal_email(text(body, "email"))
        confirmed = body.get("email_confirm") is True
        try:
            user_id = UUID(text(body, "id")) if text(body, "id") else None
        except ValueError:
            raise invalid("ID must conform to the uuid v4 format") from None
        password_hash = await _new_hash(body) or await passwords.hashed("")
        async with self.database.admin("supabase_auth_admin").connection() as conn, conn.transaction():
            try:
                row = await users.add_user(
                    conn,
                    email=email,
                    password_hash=password_hash,
                    confirmed=confirmed,
                    user_metadata=({"email_verified": True} if confirmed else {})
                    | mapping(body, "user_metadata"),
                    app_metadata=mapping(body, "app_metadata"),
                    user_id=user_id,
                    role=text(body, "role") or "authenticated",
                    banned_until=_ban(body),
                )
            except asyncpg.UniqueViolationError as error:
                if error.table_name not in {"users", "identities"}:
                    raise
                raise users.email_exists() from None
        return JSONResponse(users.shown(row))

    async def user(self, request: Request) -> Response:
        """GET /admin/users/{id}."""
        require_admin(request, self.keys)
        async with self.database.admin("supabase_auth_admin").connection() as conn:
            return JSONResponse(users.shown(await users.required(conn, _id(request))))

    async def change_user(self, request: Request) -> Response:
        """PUT /admin/users/{id}: what is given changes; metadata is merged, null removes a key."""
        require_admin(request, self.keys)
        user_id, body = _id(request), await json_body(request)
        password_hash = await _new_hash(body)
        async with self.database.admin("supabase_auth_admin").connection() as conn, conn.transaction():
            row = await users.required(conn, user_id)
            columns: dict[str, Any] = {}
            if password_hash:
                columns["encrypted_password"] = password_hash
            if body.get("email_confirm") is True and row["email_confirmed_at"] is None:
                columns["email_confirmed_at"] = datetime.now(UTC)
            if role := text(body, "role"):
                columns["role"] = role
            if metadata := mapping(body, "user_metadata"):
                columns["raw_user_meta_data"] = users.merged(row["raw_user_meta_data"], metadata)
            if metadata := mapping(body, "app_metadata"):
                columns["raw_app_meta_data"] = users.merged(row["raw_app_meta_data"], metadata)
            if text(body, "ban_duration"):
                columns["banned_until"] = _ban(body)
            await users.change_user(conn, user_id, **columns)
            if text(body, "password"):
                # As GoTrue does, so that who knew the old one is out.
                await conn.execute("delete from auth.sessions where user_id = $1", user_id)
            if text(body, "email") and (email := users.normal_email(text(body, "email"))) != row["email"]:
                await users.change_email(conn, user_id, email)
            return JSONResponse(users.shown(await users.required(conn, user_id)))

    async def delete_user(self, request: Request) -> Response:
        """DELETE /admin/users/{id}: the row, or with `should_soft_delete` only what identifies the person."""
        require_admin(request, self.keys)
        user_id, body = _id(request), await json_body(request)
        async with self.database.admin("supabase_auth_admin").connection() as conn, conn.transaction():
            await users.required(conn, user_id)
            if body.get("should_soft_delete") is True:
                await conn.execute("delete from auth.sessions where user_id = $1", user_id)
                await conn.execute("delete from auth.identities where user_id = $1", user_id)
                await conn.execute(
                    "update auth.users set deleted_at = now(), updated_at = now(), "
                    "encrypted_password = null, phone = null, "
                    "raw_user_meta_data = '{}', raw_app_meta_data = '{}', "
                    "email = encode(sha256(convert_to(id::text || coalesce(email, ''), 'UTF8')), 'hex') "
                    "where id = $1",
                    user_id,
                )
            else:
                await conn.execute("delete from auth.users where id = $1", user_id)
        return JSONResponse({})


async def _new_hash(body: dict[str, Any]) -> str:
    """The hash that a body asks for: its password's, or one brought along; empty when it asks for none."""
    password, imported = text(body, "password"), text(body, "password_hash")
    if password and imported:
        raise invalid("Only a password or a password hash should be provided")
    if imported:
        return passwords.check_imported(imported)
    if password:
        passwords.check_new(password)
        return await passwords.hashed(password)
    return ""


def _ban(body: dict[str, Any]) -> datetime | None:
    """When a ban ends. Raises AuthError for a duration that isn't one."""
    duration = text(body, "ban_duration")
    if duration in {"", "none"}:
        return None
    if (match := _DURATION.fullmatch(duration)) is None:
        raise invalid(f'invalid format for ban duration: "{duration}"; use "24h", "90m" or "none"')
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return datetime.now(UTC) + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["user_id"])
    except ValueError:
        raise AuthError(404, "validation_failed", "user_id must be an UUID") from None


def _number(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or len(given) > 10 or not 0 < int(given) < 2**31:  # noqa: PLR2004
        raise invalid(f"Bad Pagination Parameters: {name} must be a number above 0")
    return int(given)
