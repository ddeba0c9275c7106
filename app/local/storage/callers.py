"""Who asks Storage, by the Authorization header alone: the gateway's apikey doesn't count here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.local.caller import InvalidToken, bearer_of, caller_of_key, caller_of_token
from app.local.storage import faults
from app.local.storage.rows import NOBODY, Who
from app.local.storage.signing import why_refused

if TYPE_CHECKING:
    from app.local.keys import Keys
    from app.local.storage.exchange import Request

SERVICE_ROLE = "service_role"


def required(request: Request, keys: Keys) -> Who:
    """The caller.

    Raises
    ------
        StorageFault: 400 without an Authorization header, 403 (AccessDenied) when its token doesn't hold.

    """
    if "authorization" not in request.headers:
        raise faults.no_authorization()
    token = bearer_of(request.headers) or ""
    try:
        # A hosted gateway turns a new-style key into its role's token before Storage sees it.
        caller = caller_of_key(token, keys) if token.startswith("sb_") else caller_of_token(token, keys)
    except InvalidToken as error:
        raise faults.denied(why_refused(error.cause, token)) from error
    return Who(caller.role, caller.claims_json)


def optional(request: Request, keys: Keys) -> Who:
    """The caller, or NOBODY when no token is shown or it doesn't hold: such a one sees public buckets."""
    try:
        return required(request, keys)
    except faults.StorageFault:
        return NOBODY
