"""What the OpenAPI document says of erasing, beside `described.py`."""

from __future__ import annotations

from app.api.described import Operation

OPERATIONS: dict[str, Operation] = {
    "preview_erasure": Operation(
        refuses=(
            "role_too_low",
            "bad_erasure",
            "content_not_found",
            "version_not_found",
            "version_is_delete",
        )
    ),
    "create_erasure": Operation(
        answers={202: "Recorded, and nobody is given the bytes; storage has yet to delete all of them."},
        refuses=(
            "bad_erasure",
            "erasure_unconfirmed",
            "content_not_found",
            "version_not_found",
            "version_is_delete",
            "storage_unavailable",
        ),
    ),
}
"""By operationId."""
