"""What PostgreSQL raised, as an HTTP answer (docs.postgrest.org, "Errors": HTTP status codes)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from app.local.rest.errors import RestError, bad_raise

if TYPE_CHECKING:
    import asyncpg

_WHOLE = {
    "21000": 500,
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "42P01": 404,
    "42P17": 500,
    "42883": 404,
    "53400": 500,
    "57P01": 503,
    "P0001": 400,
}
_CLASS = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}


class _RaisedMessage(msgspec.Struct, frozen=True):
    code: str
    message: str
    details: str | None = None
    hint: str | None = None


class _RaisedDetail(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    status_text: str | None = None


def refusal_of(error: asyncpg.PostgresError, *, anonymous: bool) -> RestError:
    """Give the answer to a failed statement. For an anonymous caller 42501 means "sign in" (401)."""
    state: str = error.sqlstate or "XX000"
    if state == "PGRST":
        return _raised(error)
    fields: dict[str, Any] = {"details": getattr(error, "detail", None), "hint": getattr(error, "hint", None)}
    message = str(getattr(error, "message", None) or error)
    if state == "42501" and anonymous:
        return RestError(401, state, message, headers={"WWW-Authenticate": "Bearer"}, **fields)
    return RestError(_status(state), state, message, **fields)


def _status(state: str) -> int:
    if state == "42501":
        return 403
    if state.startswith("PT"):
        digits = state[2:]
        # A status that no HTTP server can send is the function's mistake, hence 500.
        return int(digits) if digits.isdecimal() and 200 <= int(digits) <= 599 else 500  # noqa: PLR2004
    return _WHOLE.get(state) or _CLASS.get(state[:2], 400)


def _raised(error: asyncpg.PostgresError) -> RestError:
    message, detail = str(getattr(error, "message", "")), getattr(error, "detail", None)
    try:
        said = msgspec.json.decode(message, type=_RaisedMessage)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return bad_raise(
            details=f"Invalid JSON value for MESSAGE: '{message}'",
            hint="MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: "
            "'details', 'hint'.",
        )
    how = None
    with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
        how = msgspec.json.decode(str(detail or ""), type=_RaisedDetail)
    if how is None or not 200 <= how.status <= 599:  # noqa: PLR2004
        missing = "DETAIL is missing in the RAISE statement"
        return bad_raise(
            details=missing if detail is None else f"Invalid JSON value for DETAIL: '{detail}'",
            hint="DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: "
            "'status_text'.",
        )
    return RestError(
        how.status, said.code, said.message, details=said.details, hint=said.hint, headers=how.headers
    )
