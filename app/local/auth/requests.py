"""What a request to Auth carries: its API key, its JSON body, and the user whose token it shows."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from app.local.auth.errors import AuthError, KeyRefused
from app.local.auth.sessions import Device
from app.local.caller import InvalidToken, MissingKey, bearer_of, caller_of, caller_of_key, caller_of_token

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.local.keys import Keys

LONGEST_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a user's access token says."""

    user_id: UUID
    session_id: UUID | None


def require_key(request: Request, keys: Keys) -> None:
    """Check the API key as the hosted gateway does. Raises KeyRefused."""
    try:
        caller_of_key(request.headers.get("apikey") or request.query_params.get("apikey"), keys)
    except MissingKey as error:
        hint = "No `apikey` request header or url param was found."
        raise KeyRefused(401, "no_api_key", error.message, hint=hint) from None
    except InvalidToken as error:
        hint = "Double check your Supabase `anon` or `service_role` API key."
        raise KeyRefused(401, "invalid_api_key", error.message, hint=hint) from None


def require_admin(request: Request, keys: Keys) -> None:
    """Check that the service role calls. Raises KeyRefused, AuthError (403 not_admin, 403 bad_jwt)."""
    require_key(request, keys)
    try:
        caller = caller_of(request.headers, keys)
    except InvalidToken as error:
        raise _bad_token(error) from None
    if caller.role != "service_role":
        raise AuthError(403, "not_admin", "User not allowed")


def require_user(request: Request, keys: Keys) -> SignedIn:
    """Say who is signed in. Raises KeyRefused, AuthError (401 no_authorization, 403 bad_jwt)."""
    require_key(request, keys)
    bearer = bearer_of(request.headers)
    if bearer is None:
        raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
    try:
        claims = caller_of_token(bearer, keys).claims if not bearer.startswith("sb_") else {}
    except InvalidToken as error:
        raise _bad_token(error) from None
    if "sub" not in claims:
        raise AuthError(403, "bad_jwt", "invalid claim: missing sub claim")
    try:
        session = claims.get("session_id")
        return SignedIn(UUID(claims["sub"]), UUID(session) if session else None)
    except (ValueError, AttributeError, TypeError):
        raise AuthError(403, "bad_jwt", "invalid claim: sub claim must be a UUID") from None


async def json_body(request: Request) -> dict[str, Any]:
    """Read a JSON object of at most LONGEST_BODY bytes; no body at all is an empty one. Raises AuthError."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LONGEST_BODY:
            raise AuthError(413, "bad_json", "The request body is larger than 1 MiB.")
    if not raw.strip():
        return {}
    try:
        # Not Python's own parser: that one takes half a surrogate pair, which is no text.
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise AuthError(400, "bad_json", "Could not parse request body as JSON: an object is needed")
    # PostgreSQL has no text for a NUL; nothing that a client sends on purpose holds one.
    if b"\\u0000" in raw:
        raise AuthError(400, "bad_json", "Could not parse request body as JSON: it holds a NUL character")
    return body


def device_of(request: Request) -> Device:
    """Where a request comes from, for the session's row."""
    host = request.client.host if request.client else ""
    try:
        ip: str | None = str(ipaddress.ip_address(host))
    except ValueError:
        ip = None
    return Device(user_agent=request.headers.get("user-agent", "").replace("\0", ""), ip=ip)


def text(body: dict[str, Any], name: str) -> str:
    """A text field, empty when it's absent or null. Raises AuthError when it's something else."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise AuthError(400, "bad_json", f"Could not parse request body as JSON: {name} must be a string")
    return value


def mapping(body: dict[str, Any], name: str) -> dict[str, Any]:
    """An object field, empty when it's absent or null. Raises AuthError when it's something else."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise AuthError(400, "bad_json", f"Could not parse request body as JSON: {name} must be an object")
    return value


def _bad_token(error: InvalidToken) -> AuthError:
    return AuthError(403, "bad_jwt", f"invalid JWT: unable to parse or verify signature, {error.message}")
