"""Whose token it is, and what a server says of one that is none."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import jwt

from app.local.caller import ANON, SERVICE, Caller, InvalidToken, caller_of_key, caller_of_token
from app.local.keys import TokenExpired, TokenForged

if TYPE_CHECKING:
    from app.local.keys import Keys

MALFORMED = "The token provided is not a valid JWT"
FORGED = "Failed to validate JWT signature"
INCOMPLETE = "Fields `role` and `exp` are required in JWT"


class Refused(Exception):  # noqa: N818 - it says what is the matter
    """A token doesn't hold. `code` and `sentence` are what a channel's answer says of it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def caller_by_key(key: str | None, keys: Keys) -> Caller:
    """Who connects, by the API key. Raises Refused."""
    if not key:
        raise Refused("MissingAPIKey", "API key is missing")
    try:
        return caller_of_key(key, keys)
    except InvalidToken as error:
        if isinstance(error.cause, TokenExpired):
            raise Refused("InvalidJWTToken", "Token has expired") from None
        sentence = FORGED if isinstance(error.cause, TokenForged) else MALFORMED
        raise Refused("MalformedJWT", sentence) from None


def caller_by_token(token: str, keys: Keys) -> Caller:
    """Who joins, by an access token. Raises Refused."""
    try:
        caller = caller_of_token(token, keys)
    except InvalidToken as error:
        raise _refused(token, error) from None
    if not isinstance(caller.claims.get("role"), str) or "exp" not in caller.claims:
        raise Refused("InvalidJWTToken", INCOMPLETE)
    return caller


def seconds_left(caller: Caller) -> float:
    """How long the caller's token is valid; new-style keys have no end."""
    return math.inf if caller is ANON or caller is SERVICE else float(caller.claims["exp"]) - time.time()


def expired(exp: float) -> str:
    """What is said of a token that ended at a time (seconds since 1970)."""
    return f"Token has expired {max(0, int(time.time() - exp))} seconds ago"


def _refused(token: str, error: InvalidToken) -> Refused:
    if isinstance(error.cause, TokenForged):
        return Refused("JwtSignatureError", FORGED)
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return Refused("MalformedJWT", MALFORMED)
    if isinstance(error.cause, TokenExpired) and isinstance(claims.get("exp"), (int, float)):
        return Refused("InvalidJWTToken", expired(claims["exp"]))
    kid = header.get("kid")
    which = f' for key ID (kid) "{kid}"' if isinstance(kid, str) else ""
    return Refused(
        "JwtSignerError", f"Failed to generate JWT signer{which}, check your JWT secret or JWKS configuration"
    )
