"""What the OpenAPI document says of signing in for pages, beside what `described.py` says of the rest."""

from __future__ import annotations

from typing import Any

from app.api.described import Operation

_ONWARD = {303: "Where the browser goes next; with cookies."}
_HTML: dict[str, Any] = {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"}}
_EITHER: dict[str, Any] = _HTML | {
    "application/json": {
        "schema": {"$ref": "#/components/schemas/SessionState"},
        "example": {"signed_in": True, "csrf_token": "pV8n…"},
    }
}
_FORM: dict[str, Any] = {
    "application/x-www-form-urlencoded": {
        "schema": {
            "type": "object",
            "properties": {
                "csrf_token": {"type": "string", "description": "In place of the header X-CSRF-Token."},
                "scope": {"type": "string", "enum": ["here", "everywhere"]},
                "next": {"type": "string", "description": "A path of this site."},
            },
        },
        "example": {"csrf_token": "pV8n…"},
    }
}
_SENT = {"state": "pV8nZx0", "email": "zoe@example.com", "password": "correct-horse"}


def _by_email(*fields: str) -> dict[str, Any]:
    """A form of signing in by e-mail; all of its fields are needed."""
    properties: dict[str, Any] = {name: {"type": "string"} for name in fields}
    properties["state"]["description"] = "As the form of GET /auth/login has it."
    schema = {"type": "object", "required": list(fields), "properties": properties}
    example = {name: _SENT[name] for name in fields}
    return {"application/x-www-form-urlencoded": {"schema": schema, "example": example}}


_WRITES: tuple[str, ...] = ("session_ended", "cross_site", "csrf_token_needed", "no_public_url")
_WRITES += ("too_many_requests", "supabase_unavailable", "sign_in_refused", "sign_in_stale")
_AUTH = ("sign_in_refused", "sign_in_stale", "session_ended", "too_many_requests", "supabase_unavailable")

OPERATIONS: dict[str, Operation] = {
    "update_me": Operation(refuses=("no_profile", "handle_taken", "bad_value")),
    "begin_sign_in": Operation(answers=_ONWARD, refuses=(*_AUTH, "no_public_url"), produces=_HTML),
    "finish_sign_in": Operation(answers=_ONWARD, refuses=_AUTH, produces=_HTML),
    "sign_in_by_password": Operation(
        answers=_ONWARD,
        refuses=(*_AUTH, "cross_site", "no_public_url"),
        consumes=_by_email("state", "email", "password"),
        produces=_HTML,
    ),
    "send_sign_in_link": Operation(
        refuses=(*_AUTH, "cross_site", "no_public_url", "bad_value"),
        consumes=_by_email("state", "email"),
        produces=_HTML,
    ),
    "read_page_session": Operation(refuses=("supabase_unavailable", "no_profile"), produces=_EITHER),
    "refresh_page_session": Operation(answers=_ONWARD, refuses=_WRITES, consumes=_FORM, produces=_EITHER),
    "sign_out": Operation(answers=_ONWARD, refuses=(*_WRITES, "bad_value"), consumes=_FORM, produces=_EITHER),
}
