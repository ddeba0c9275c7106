"""What the OpenAPI document says of operations beyond what their signatures say: headers, bodies, refusals.

Keyed by the handler's name, which is also the operationId. What follows from a route's shape (who may ask,
what may not be there, JSON that isn't) is added by `openapi.py` and needs no line here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.api.examples import HASH

_ETAG = f'"{HASH}"'
_DIGEST = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"
HEADERS: dict[str, tuple[str, str]] = {
    "If-Match": ("The ETag of the version that this write is based on.", _ETAG),
    "If-None-Match": (
        "Reads: the ETag that one has; 304 when it is still so. Writes: * to create only.",
        _ETAG,
    ),
    "Idempotency-Key": (
        "1 to 200 printable ASCII characters. The same key and content again write once.",
        "7b0c6c1e",
    ),
    "Content-Digest": ("SHA-256 of the body (RFC 9530); checked before anything is written.", _DIGEST),
    "Accept-Datetime": (
        "The time of the version that is wanted (RFC 7089).",
        "Sun, 22 Nov 2026 09:00:00 GMT",
    ),
    "Range": ("One range of bytes (RFC 9110, 14).", "bytes=0-99"),
    "If-Range": ("The ETag for which Range is meant; else the whole is sent.", _ETAG),
    "Last-Event-ID": (
        "Of a stream that is resumed: the id of the last event that one got. Stronger than `after`.",
        "17",
    ),
    "Accept": ("text/x-diff (unless said), application/json or text/html.", "application/json"),
}
"""Request headers: what they mean, and an example."""

ANSWERED: dict[str, str] = {
    "ETag": "The version's hash: send it back as If-Match to write, as If-None-Match to read.",
    "Link": "Relations of RFC 8288 and 5829: next; latest-version, predecessor-version, version-history, …",
    "Location": "Where what was made is.",
    "Repr-Digest": "SHA-256 of the whole content (RFC 9530).",
    "Content-Range": "Which bytes of how many these are.",
    "Retry-After": "Seconds after which to try again.",
    "WWW-Authenticate": "Bearer, with the reason when a token was refused (RFC 6750).",
    "X-Request-Id": "The id of this request in the service's logs; one that is sent is kept.",
}
"""Response headers and what they mean."""

BINARY: dict[str, Any] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_DIFF: dict[str, Any] = {
    "application/json": {"schema": {"$ref": "#/components/schemas/Comparison"}},
    "text/x-diff": {"schema": {"type": "string"}},
    "text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"},
}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of one operation."""

    headers: tuple[str, ...] = ()
    answers: dict[int, str] = {}
    """Successful statuses beside the one of the signature, and what they mean."""
    answered: tuple[str, ...] = ()
    """Headers of its successful answers."""
    refuses: tuple[str, ...] = ()
    """Codes that it refuses with, beside those that follow from its shape."""
    consumes: dict[str, Any] = {}
    produces: dict[str, Any] = {}
    """Media types of bodies in place of those of the signature."""


_CONTENT_OUT = Operation(
    headers=("If-None-Match", "If-Match", "Range", "If-Range"),
    answers={206: "The range of bytes that was asked for.", 304: "What you have is what there is."},
    answered=("ETag", "Link", "Repr-Digest"),
    refuses=(
        "version_not_found",
        "version_is_delete",
        "precondition_failed",
        "range_not_satisfiable",
        "content_erased",
        "content_altered",
        "content_missing",
        "storage_unavailable",
    ),
    produces=BINARY,
)
_HEAD_OUT = msgspec.structs.replace(
    _CONTENT_OUT,
    headers=("If-None-Match", "If-Match"),
    answers={304: "What you have is what there is."},
    refuses=tuple(code for code in _CONTENT_OUT.refuses if code != "range_not_satisfiable"),
    produces={},
)
_MEMENTO = {302: "Where the version of the time in Accept-Datetime is."}
_TREES = _DIFF | {"application/json": {"schema": {"$ref": "#/components/schemas/TreeComparison"}}}
_BLAME: dict[str, Any] = {
    "application/json": {"schema": {"$ref": "#/components/schemas/Blame"}},
    "text/plain": {
        "schema": {"type": "string"},
        "example": "8c1f4e0f (zoe 2026-03-02 09:30:00 +0000 1) hello\n",
    },
}
_AT_POINT = ("bad_path", "bad_point", "point_not_found", "document_deleted", "document_moved")
_BASED: tuple[str, ...] = ("base_required", "stale_base", "bad_condition", "idempotency_key_reused")
_BASED += ("message_too_long", "bad_value")
_AT_BASE = ("bad_point", "point_not_found", "version_not_found", "document_deleted")
"""Of what reads the version in If-Match and the newest one, too."""
_MERGES = (*_AT_BASE, "merge_conflict", "merge_impossible")
_PATCHED = ("patch_unreadable", "patch_rejected")
STORES = ("disk_full", "storage_unavailable", "storage_failed", "content_erased")
"""Refusals of what takes contents in."""
_SAYS = ("comment_empty", "comment_too_long", "bad_value", "idempotency_key_reused")
_WRITE = Operation(
    headers=("If-Match", "Idempotency-Key"), answered=("ETag", "Location", "Link"), refuses=_BASED
)
_COMPARES = Operation(
    headers=("Accept", "If-None-Match"),
    answers={304: "What you have is what there is."},
    answered=("ETag",),
    refuses=(
        "version_not_found",
        "point_not_found",
        "bad_point",
        "bad_value",
        "not_acceptable",
        "diff_too_large",
        "workers_busy",
        "content_erased",
        "content_altered",
        "content_missing",
        "storage_unavailable",
    ),
    produces=_DIFF,
)
_FORM: dict[str, Any] = {
    "type": "object",
    "description": (
        "Parts in any number. Any part with a filename is a file: the content of the item whose `part` is "
        "the part's name, else of the item whose `path` is the filename, else a document of its own at the "
        "path that the filename is."
    ),
    "properties": {
        "change": {"$ref": "#/components/schemas/ChangeBody"},
        "message": {"type": "string", "description": "In place of the JSON's."},
    },
    "additionalProperties": {"type": "string", "format": "binary"},
}

OPERATIONS: dict[str, Operation] = {
    "read_file": msgspec.structs.replace(
        _CONTENT_OUT,
        headers=(*_CONTENT_OUT.headers, "Accept-Datetime"),
        answers=_CONTENT_OUT.answers | _MEMENTO,
        refuses=_CONTENT_OUT.refuses + _AT_POINT,
    ),
    "head_file": msgspec.structs.replace(
        _HEAD_OUT,
        headers=(*_HEAD_OUT.headers, "Accept-Datetime"),
        answers=_HEAD_OUT.answers | _MEMENTO,
        refuses=_HEAD_OUT.refuses + _AT_POINT,
    ),
    "read_version_content": _CONTENT_OUT,
    "head_version_content": _HEAD_OUT,
    "put_file": msgspec.structs.replace(
        _WRITE,
        headers=("If-Match", "If-None-Match", "Idempotency-Key", "Content-Digest"),
        answers={201: "The first version of a document."},
        refuses=(*_BASED, *STORES, *_MERGES, "bad_path", "path_taken", "already_exists"),
        consumes=BINARY,
    ),
    "delete_file": msgspec.structs.replace(_WRITE, refuses=(*_BASED, "bad_path", "already_deleted")),
    "post_change": Operation(
        headers=("Idempotency-Key", "Content-Digest"),
        answers={200: "Everything was as asked already; nothing was written."},
        answered=("Location",),
        refuses=(
            *_BASED,
            *STORES,
            "bad_path",
            "path_taken",
            "already_exists",
            "already_deleted",
            "document_not_found",
            "nothing_to_restore",
            "erased",
            "bad_multipart",
            "bad_change",
            "bad_item",
            "no_content",
            "document_twice",
            "too_many_files",
            *_PATCHED,
            *_MERGES,
            "content_not_found",
        ),
        consumes={
            "multipart/form-data": {"schema": _FORM},
            "application/json": {"schema": {"$ref": "#/components/schemas/ChangeBody"}},
        },
    ),
    "read_document": Operation(
        refuses=("bad_point", "point_not_found", "version_not_found"),
        headers=("If-None-Match",),
        answers={304: "What you have is what there is."},
        answered=("ETag", "Link"),
    ),
    "edit_document": msgspec.structs.replace(
        _WRITE,
        refuses=(
            *_BASED,
            *STORES,
            "bad_path",
            "path_taken",
            "no_content",
            *_PATCHED,
            *_MERGES,
        ),
        consumes={
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["path"],
                    "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
                },
                "example": {"path": "notes/moved.md", "message": "Where it belongs"},
            },
            "text/x-diff": {"schema": {"type": "string"}},
        },
    ),
    "preview_merge": Operation(
        refuses=(*_BASED, *STORES, *_MERGES),
        consumes=BINARY,
    ),
    "delete_document": msgspec.structs.replace(_WRITE, refuses=(*_BASED, "already_deleted")),
    "restore_document": msgspec.structs.replace(
        _WRITE,
        refuses=(
            *_BASED,
            *_MERGES,
            "nothing_to_restore",
            "erased",
            "bad_path",
            "path_taken",
        ),
    ),
    "undelete_document": msgspec.structs.replace(_WRITE, refuses=(*_BASED, "path_taken", "erased")),
    "read_version": Operation(answered=("ETag", "Link"), refuses=("version_not_found",)),
    "compare_versions": _COMPARES,
    "blame_document": Operation(
        headers=("Accept", "If-None-Match"),
        answers={304: "What you have is what there is."},
        answered=("ETag",),
        refuses=(
            "version_not_found",
            "version_is_delete",
            "point_not_found",
            "bad_point",
            "bad_value",
            "not_acceptable",
            "diff_too_large",
            "blame_unfinished",
            "blame_too_long",
            "content_erased",
            "content_altered",
            "content_missing",
            "storage_unavailable",
        ),
        produces=_BLAME,
    ),
    "search_project": Operation(refuses=("bad_query",)),
    "find_text": Operation(refuses=("bad_query", "history_too_long")),
    "compare_trees": msgspec.structs.replace(_COMPARES, answered=(), produces=_TREES),
    "bisect_document": Operation(refuses=("bad_value", "version_not_found")),
    "read_timemap": Operation(
        produces={"application/link-format": {"schema": {"type": "string"}, "example": '<…>; rel="memento"'}},
    ),
    "compare_files": msgspec.structs.replace(
        _COMPARES,
        headers=("Accept",),
        answers={},
        answered=(),
        refuses=(*_COMPARES.refuses, "bad_path", "document_not_found", "document_deleted", "document_moved"),
    ),
    "compare_change": msgspec.structs.replace(
        _COMPARES, answered=(), refuses=(*_COMPARES.refuses, "change_not_found"), produces=_TREES
    ),
    "archive_project": Operation(
        headers=("If-None-Match",),
        answers={304: "What you have is what there is."},
        answered=("ETag",),
        refuses=("point_not_found", "bad_point", "content_altered", "content_missing", "storage_unavailable"),
        produces={
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
            "application/gzip": {"schema": {"type": "string", "format": "binary"}},
        },
    ),
    "restore_project": Operation(
        headers=("Idempotency-Key",),
        answers={200: "Everything was as asked already; nothing was written."},
        answered=("Location",),
        refuses=(
            "point_not_found",
            "bad_point",
            "too_many_files",
            "erased",
            "stale_base",
            "path_taken",
            "idempotency_key_reused",
            "message_too_long",
            "bad_value",
        ),
    ),
    "list_tree": Operation(refuses=("point_not_found", "bad_point")),
    "read_change": Operation(refuses=("change_not_found",)),
    "read_history": Operation(answered=("Link",), refuses=("bad_value",)),
    "list_rows": Operation(refuses=("part_not_found",)),
    "list_held": Operation(refuses=("bad_value",)),
    "read_many_contents": Operation(
        refuses=("content_not_found", "bad_value", "storage_unavailable"),
        produces={"application/x-tar": {"schema": {"type": "string", "format": "binary"}}},
    ),
    "read_held_content": Operation(
        headers=("If-None-Match",),
        answers={304: "What you have is what there is."},
        answered=("ETag", "Repr-Digest"),
        refuses=(
            "content_not_found",
            "content_erased",
            "content_altered",
            "content_missing",
            "storage_unavailable",
        ),
        produces=BINARY,
    ),
    "create_session": Operation(
        answered=("Location",),
        refuses=(
            "session_exists",
            "session_not_found",
            "parent_rule",
            "parent_not_blueprint",
            "bad_path",
            "approval_needed",
        ),
    ),
    "update_session": Operation(refuses=("blueprint_has_features", "approval_needed")),
    "create_tag": Operation(
        refuses=(
            "approval_needed",
            "tag_exists",
            "nothing_to_tag",
            "bad_tag_name",
            "bad_origin",
            "point_not_found",
            "bad_point",
            "message_too_long",
            "bad_value",
        )
    ),
    "create_review": Operation(headers=("Idempotency-Key",), refuses=("own_version", *_SAYS)),
    "create_comment": Operation(
        headers=("Idempotency-Key",),
        answered=("Location",),
        refuses=(
            *_SAYS,
            "bad_lines",
            "content_erased",
            "content_altered",
            "content_missing",
            "storage_unavailable",
        ),
    ),
    "create_reply": Operation(headers=("Idempotency-Key",), answered=("Location",), refuses=_SAYS),
    "retract_comment": Operation(refuses=("not_the_author",)),
    "list_document_comments": Operation(
        refuses=("version_not_found", "point_not_found", "bad_point", "storage_unavailable", "workers_busy"),
    ),
    "read_me": Operation(refuses=("no_profile",)),
    "ready": Operation(refuses=("schema_missing",)),
    "head_ready": Operation(refuses=("schema_missing",)),
    "metrics": Operation(
        produces={"text/plain": {"schema": {"type": "string"}, "example": "verso_active_requests 1.0"}}
    ),
    "read_problem": Operation(refuses=("not_found",)),
}
