"""What the OpenAPI document says of imports, beside what `described.py` says of everything else."""

from __future__ import annotations

from typing import Any

from app.api.described import STORES, Operation

_COMMIT = "5f1b2c3d4e5f60718293a4b5c6d7e8f901234567"
_SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
BATCH: dict[str, Any] = {
    "after": None,
    "changes": [
        {
            "origin": "dHJlZSA…",
            "origin_id": _COMMIT,
            "author_name": "Zoë Ahlgren",
            "author_email": "zoe@example.com",
            "attributed_to": "zoe",
            "message": "Say what a stale base is\n\nCo-authored-by: Planner <planner@example.com>\n",
            "authored_at": "2024-03-02T10:30:00+01:00",
            "committed_at": "2024-03-02T10:31:00+01:00",
            "items": [
                {"path": "notes/new.md", "sha256": _SHA256, "size": 5},
                {"path": "run.sh", "mode": "100755"},
                {"from": "notes/old.md", "path": "notes/moved.md"},
                {"path": "notes/gone.md", "delete": True},
            ],
        }
    ],
}
"""An example of a batch."""

_FORM: dict[str, Any] = {
    "type": "object",
    "description": (
        "First the part `batch`, then a file for each new content: its part's name is its SHA-256. "
        "Contents that the project has need not be sent."
    ),
    "required": ["batch"],
    "properties": {"batch": {"$ref": "#/components/schemas/Batch"}},
    "additionalProperties": {"type": "string", "format": "binary"},
}

OPERATIONS: dict[str, Operation] = {
    "import_changes": Operation(
        headers=("Content-Digest",),
        refuses=(
            *STORES,
            "import_stale",
            "import_diverged",
            "import_conflict",
            "bad_import",
            "bad_origin",
            "bad_item",
            "bad_path",
            "bad_multipart",
            "bad_value",
            "member_not_found",
            "document_not_found",
            "already_deleted",
            "path_taken",
            "document_twice",
            "no_content",
            "nothing_to_restore",
            "erased",
            "blob_missing",
        ),
        consumes={
            "multipart/form-data": {
                "schema": _FORM,
                "example": {"batch": BATCH, _SHA256: "(the bytes of notes/new.md)"},
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/Batch"}, "example": BATCH},
        },
    ),
}
