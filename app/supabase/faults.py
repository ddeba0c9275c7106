"""Supabase's errors as VersoErrors: the one place where SQLSTATEs and client exceptions are read.

SQL functions raise `PTxyz` with the machine's code as message, the person's sentence as hint and JSON
as detail (migration 0100); those pass through. Everything else is named here, its text only logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import structlog

from app.errors import VersoError

if TYPE_CHECKING:
    from postgrest.exceptions import APIError
    from storage3.exceptions import StorageApiError

log = structlog.get_logger(__name__)

_TRANSIENT = frozenset({"502", "503", "504", "520", "40001", "40P01"})
UNAVAILABLE = "Supabase cannot be reached or is not ready. Nothing was changed; try again in a moment."
UNKNOWN_OUTCOME = (
    "Supabase did not answer in time, so it is not known whether this was written. "
    "Read what is there first; a change that you sent with an Idempotency-Key may be sent again, and is "
    "written once."
)
EXPIRED = "The access token expired on the way. Nothing was changed; refresh it and send it again."


def from_rows(error: APIError, *, doubt: bool = False) -> VersoError:
    """The VersoError of an error that PostgREST answered; `doubt` as `from_transport` has it."""
    state = str(error.code or "")
    if state.startswith("PT"):
        return VersoError(str(error.message), str(error.hint), **_detail(error.details))
    log.warning("supabase.rows.error", sqlstate=state, message=error.message)
    if state in {"PGRST301", "PGRST303"} and "expired" in str(error.message):
        return VersoError("unauthenticated", EXPIRED)
    if state in {"PGRST301", "PGRST302", "PGRST303", "401"}:
        return VersoError("unauthenticated", "Supabase refused the access token. Sign in again.")
    if not state and "API key" in str(error.message):  # what stands before PostgREST has no codes
        return VersoError(
            "supabase_failed",
            "Supabase doesn't take the API key. It must be one of this very project.",
            refused="api_key",
        )
    if state == "42501":
        return VersoError(
            "forbidden",
            "The database refused this for your account. Ask an owner of the project for a role that may.",
        )
    if state in {"PGRST202", "PGRST205", "42883", "42P01"}:
        return VersoError(
            "schema_missing", "The database lacks Verso's schema, or has an older one. Run `verso doctor`."
        )
    if state.startswith(("22", "23")):
        return VersoError(
            "bad_request",
            "The database refused a value of this request: a NUL character, or a number that is too large.",
        )
    if state == "57014":
        return VersoError(
            "database_timeout", "The database took too long; nothing was changed. Ask for less."
        )
    if is_transient(error):
        return VersoError("supabase_unavailable", UNKNOWN_OUTCOME if doubt else UNAVAILABLE)
    return VersoError(
        "supabase_failed",
        "Supabase answered with an error that Verso doesn't know. Try again; operators find it in the log.",
    )


def is_transient(error: APIError) -> bool:
    """Whether the same call may succeed in a moment: connections, shutdowns, gateways, deadlocks."""
    state = str(error.code or "")
    return state.startswith(("08", "53", "57P", "PGRST00")) or state in _TRANSIENT


def may_have_passed(error: APIError) -> bool:
    """Whether a call that was answered so may have been carried out: a connection behind the answer broke."""
    state = str(error.code or "")
    return state.startswith("08") or state in {"PGRST001", "502", "504", "520"}


def from_storage(error: StorageApiError) -> VersoError:
    """The VersoError of an error that Storage answered."""
    status = str(error.status)
    log.warning("supabase.storage.error", status=status, code=error.code, message=error.message)
    if status == "403" and '"exp" claim' in str(error.message):
        return VersoError("unauthenticated", EXPIRED)
    if status == "403":
        return VersoError(
            "forbidden",
            "Storage refused this for your account. Ask an owner whether you may still write here.",
        )
    if status == "413":
        return VersoError(
            "too_large",
            "Storage takes no file this large. The operator can raise the project's file size limit.",
        )
    if status.startswith("5") or status == "429":
        return VersoError(
            "storage_unavailable", "Storage failed. Nothing was changed; try again in a moment."
        )
    return VersoError(
        "storage_failed",
        "Storage answered with an error that Verso doesn't know. Try again; operators find it in the log.",
    )


def from_transport(
    error: httpx.TransportError | TimeoutError, *, what: str, doubt: bool = False
) -> VersoError:
    """The VersoError of a connection that failed or fell silent; `what` is 'supabase' or 'storage'.

    `doubt` says that something may have been written.
    """
    log.warning("supabase.transport", error=type(error).__name__, what=what)
    return VersoError(f"{what}_unavailable", UNKNOWN_OUTCOME if doubt else UNAVAILABLE)


def never_sent(error: httpx.TransportError | TimeoutError) -> bool:
    """Whether a request can't have arrived."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def _detail(text: Any) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, TypeError):
        return {}
    return value if isinstance(value, dict) else {}
