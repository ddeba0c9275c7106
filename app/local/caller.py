"""Who is calling: the role and the claims that a request's headers prove.

The rules are the hosted gateway's. Every request shows an API key; a bearer token, when there is one and it
isn't just the key again, says who the user is. Without one the key's own role applies.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.local.keys import TokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.local.keys import Keys


class InvalidToken(Exception):  # noqa: N818 - it says what is the matter
    """The request's key or token doesn't hold. `cause` is the TokenError when a JWT was at fault."""

    def __init__(self, message: str, cause: TokenError | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause


class MissingKey(InvalidToken):
    """The request shows no API key."""


class UnknownKey(InvalidToken):
    """The API key isn't this project's."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A role, and the claims as policies see them. `claims` is shared: don't change it."""

    role: str
    claims: dict[str, Any]
    claims_json: str


ANON = Caller("anon", {"role": "anon"}, '{"role":"anon"}')
SERVICE = Caller("service_role", {"role": "service_role"}, '{"role":"service_role"}')


def caller_of(headers: Mapping[str, str], keys: Keys) -> Caller:
    """Say who calls. `headers` are looked up in lower case.

    Raises MissingKey, UnknownKey, or InvalidToken when the bearer token is malformed, forged or expired.
    """
    by_key = caller_of_key(headers.get("apikey"), keys)
    bearer = bearer_of(headers)
    if bearer is None or bearer == headers.get("apikey") or bearer.startswith("sb_"):
        # supabase-py repeats its key as the bearer; a new-style key there is checked like one in `apikey`.
        return caller_of_key(bearer, keys) if bearer is not None else by_key
    return caller_of_token(bearer, keys)


def caller_of_key(key: str | None, keys: Keys) -> Caller:
    """The caller that an API key alone stands for: publishable, secret, or a legacy JWT of this project."""
    if not key:
        raise MissingKey("No API key found in request")
    if hmac.compare_digest(key.encode(), keys.publishable_key.encode()):
        return ANON
    if hmac.compare_digest(key.encode(), keys.secret_key.encode()):
        return SERVICE
    if key.startswith("sb_"):
        raise UnknownKey("Invalid API key")
    try:
        claims = keys.verify(key)
    except TokenError as error:
        raise UnknownKey("Invalid API key", error) from None
    return _caller(claims)


def caller_of_token(token: str, keys: Keys) -> Caller:
    """The caller that a bearer token proves. Raises InvalidToken with the TokenError as its cause."""
    try:
        return _caller(keys.verify(token))
    except TokenError as error:
        raise InvalidToken(str(error), error) from None


def bearer_of(headers: Mapping[str, str]) -> str | None:
    """The token of an `Authorization: Bearer` header, if there is one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _caller(claims: dict[str, Any]) -> Caller:
    role = claims.get("role")
    return Caller(
        role if isinstance(role, str) else "anon", claims, json.dumps(claims, separators=(",", ":"))
    )
