"""Passwords: what is accepted, and how they are kept (bcrypt).

Hashing takes some 50 ms of CPU on purpose, so it runs in a thread; bcrypt gives the GIL away meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import secrets

import bcrypt

from app.local.auth.errors import AuthError, invalid

COST = 10
SHORTEST = 6
# bcrypt reads no more than 72 bytes; a longer password would be accepted by its beginning.
LONGEST_BYTES = 72
DEAREST_COST = 16
# Of random bytes that nobody kept, at COST: what an unknown address is compared with.
NOBODYS_HASH = "$2b$10$GvPbE4Jc0WNj9cCMiYm8H.PIDNSsES0CJsfVVLc4RP8FziGHO8st2"
_BCRYPT = re.compile(r"\$2[abxy]?\$(\d\d)\$[./A-Za-z0-9]{53}")


def check_new(password: str) -> None:
    """Raise AuthError when a new password is too short or too long."""
    if len(password) < SHORTEST:
        message = f"Password should be at least {SHORTEST} characters."
        raise AuthError(
            422, "weak_password", message, weak_password={"reasons": ["length"], "message": message}
        )
    if len(password.encode()) > LONGEST_BYTES:
        raise invalid(f"Password cannot be longer than {LONGEST_BYTES} characters")


async def hashed(password: str) -> str:
    """Hash a password; an empty one gets a random hash, which no password opens."""
    words = (password or secrets.token_urlsafe(32)).encode()
    return (await asyncio.to_thread(bcrypt.hashpw, words, bcrypt.gensalt(COST))).decode()


async def matches(password: str, stored: str | None) -> bool:
    """Compare a password with a stored hash; without one, spend the same time and say no.

    The time must not tell whether an e-mail address has an account.
    """
    words = password.encode()
    if len(words) > LONGEST_BYTES:
        return False
    known = bool(stored)
    found = await asyncio.to_thread(bcrypt.checkpw, words, (stored or NOBODYS_HASH).encode())
    return found and known


def check_imported(password_hash: str) -> str:
    """Return a hash that can be taken over from another system.

    Raises AuthError for anything but bcrypt: argon2 and Firebase's scrypt work on a hosted project only.
    """
    if password_hash.startswith(("$argon2", "$fbscrypt")):
        raise invalid(
            "This embedded Auth can't check argon2 or Firebase scrypt hashes. "
            "Import bcrypt hashes, or set a password."
        )
    match = _BCRYPT.fullmatch(password_hash)
    if match is None:
        raise invalid("password_hash must be a bcrypt hash, such as $2b$10$…")
    if not 4 <= int(match[1]) <= DEAREST_COST:  # noqa: PLR2004
        raise invalid(f"password_hash must have a bcrypt cost between 4 and {DEAREST_COST}")
    return password_hash
