"""What the OpenAPI document says of projects, members, agents and invitations, beside `described.py`."""

from __future__ import annotations

from app.api.described import Operation

_CSV = {"text/csv": {"schema": {"type": "string"}, "example": "at,last_at,count,kind,witness,…"}}
OPERATIONS: dict[str, Operation] = {
    "list_audit": Operation(
        refuses=("role_too_low", "bad_value", "bad_cursor", "not_acceptable"),
        produces=_CSV,
    ),
    "list_my_audit": Operation(
        refuses=("no_profile", "bad_value", "bad_cursor", "not_acceptable"), produces=_CSV
    ),
    "list_webhooks": Operation(refuses=("role_too_low",)),
    "create_webhook": Operation(refuses=("bad_webhook", "too_many_webhooks")),
    "update_webhook": Operation(refuses=("bad_webhook", "bad_value")),
    "rotate_webhook": Operation(refuses=("bad_value",)),
    "replay_webhook": Operation(refuses=("bad_value", "replay_pending")),
    "list_deliveries": Operation(refuses=("role_too_low",)),
    "create_project": Operation(answered=("Location",), refuses=("slug_taken", "no_profile", "agent_bound")),
    "set_member": Operation(refuses=("last_owner", "person_not_found", "agent_bound")),
    "create_agent": Operation(
        refuses=(
            "agent_exists",
            "agent_bound",
            "bad_agent",
            "project_archived",
            "no_secret_key",
            "not_an_agent",
            "account_refused",
        ),
    ),
    "rotate_agent": Operation(
        refuses=(
            "agent_revoked",
            "agent_altered",
            "agent_bound",
            "project_archived",
            "no_secret_key",
            "account_refused",
        ),
    ),
    "revoke_agent": Operation(refuses=("role_too_low", "account_refused")),
    "set_folders": Operation(
        refuses=("last_owner", "person_not_found", "bad_folders", "bad_path", "agent_bound")
    ),
    "remove_member": Operation(refuses=("last_owner", "member_not_found")),
    "create_invitation": Operation(refuses=("bad_invitee", "already_member", "too_many_invitations")),
    "list_invitations": Operation(refuses=("role_too_low",)),
    "revoke_invitation": Operation(refuses=("invitation_over",)),
    "accept_invitation": Operation(
        refuses=("invitation_over", "project_archived", "no_profile", "agent_bound")
    ),
    "decline_invitation": Operation(refuses=("invitation_over", "no_profile")),
}
"""By operationId."""
