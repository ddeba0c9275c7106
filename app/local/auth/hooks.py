"""Auth's hook for passwords: a function of the database that is told of each one that was looked at.

Of the hooks that a Supabase project can have this is the one that Verso has (docs/audit.md). It is told, in a
transaction of its own, of accounts that are there; what it answers is not asked, for Verso's never refuses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

# Such names need no quotes.
_URI = re.compile(r"pg-functions://[^/]+/([a-z_][a-z0-9_]*)/([a-z_][a-z0-9_]*)")


def password_hook(auth: dict[str, Any]) -> str | None:
    """The function that `[auth.hook.password_verification_attempt]` of a config.toml names.

    Raises ValueError when it is enabled and isn't `pg-functions://<database>/<schema>/<function>`.
    """
    hook = auth.get("hook", {}).get("password_verification_attempt", {})
    if not hook.get("enabled"):
        return None
    match = _URI.fullmatch(hook.get("uri", ""))
    if match is None:
        raise ValueError("auth.hook.password_verification_attempt: this Auth calls functions of its database")
    return f"{match[1]}.{match[2]}"


async def tell_of_password(conn: asyncpg.Connection, hook: str, user: UUID, *, valid: bool) -> None:
    """Tell the function `hook` of a password that an account was tried with."""
    await conn.fetchval(
        f"select {hook}(jsonb_build_object('user_id', $1::uuid, 'valid', $2::boolean))", user, valid
    )
