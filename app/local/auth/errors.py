"""What Auth answers when it refuses: status, code and sentence, in the shape that the client asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request

API_VERSION = "2024-01-01"


class AuthError(Exception):
    """A refusal. `code` is one of GoTrue's error codes; `more` is added to the body (weak_password)."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.more = more


class KeyRefused(AuthError):  # noqa: N818 - it says what is the matter
    """The API key is missing or wrong: the gateway's answer, not Auth's, with a hint instead of a code."""


def refusal(request: Request, error: AuthError) -> JSONResponse:
    """Shape it as GoTrue does: `{code, message}` for clients since 2024, else `{code, error_code, msg}`."""
    if isinstance(error, KeyRefused):
        return JSONResponse({"message": error.message, **error.more}, error.status)
    # Versions are dates, so that they compare as texts.
    if request.headers.get("x-supabase-api-version", "") >= API_VERSION:
        body = {"code": error.code, "message": error.message, **error.more}
        return JSONResponse(body, error.status, headers={"x-supabase-api-version": API_VERSION})
    body = {"code": error.status, "error_code": error.code, "msg": error.message, **error.more}
    return JSONResponse(body, error.status, headers={"x-sb-error-code": error.code})


def invalid(message: str) -> AuthError:
    """A request that isn't valid in itself."""
    return AuthError(400, "validation_failed", message)
