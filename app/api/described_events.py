"""What the OpenAPI document says of events: a form of their own, and fields of each kind's own."""

from __future__ import annotations

from typing import Any

from app.api.described import Operation

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_PERSON: dict[str, Any] = {
    "anyOf": [{"$ref": "#/components/schemas/Person"}, {"type": "null"}],
    "description": "Who did it. Null when nobody is named: a declined invitation, an account's end.",
}
_VERSION: dict[str, Any] = {
    "type": "object",
    "required": ["document", "path", "action", "number", "hash"],
    "properties": {
        "document": _TEXT,
        "path": _TEXT,
        "from_path": {"type": "string", "description": "Where it was, when that was elsewhere."},
        "action": {"type": "string", "enum": ["add", "edit", "move", "delete", "restore"]},
        "number": _NUMBER,
        "hash": _TEXT,
        "parent": {"type": "string", "description": "Hash of the version before it."},
        "session": {"type": "string", "description": "Id of the session that the path lies in."},
        "stage": _TEXT,
        "diff": {
            "type": "object",
            "description": "With hunks=true: the hunks, as /diff has them, or `left_out` and why.",
        },
    },
}
_CHANGE: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "The change that the event tells of.",
    "required": ["sequence", "hash", "message", "version_count", "versions", "more"],
    "properties": {
        "sequence": _NUMBER,
        "hash": _TEXT,
        "message": {"type": "string", "description": "Its first 1,000 characters."},
        "version_count": _NUMBER,
        "source": _TEXT,
        "agent": {"type": ["string", "null"]},
        "versions": {"type": "array", "items": _VERSION, "description": "The first 100."},
        "more": {"type": "boolean", "description": "Whether there are more versions than these."},
    },
}
EVENT: dict[str, Any] = {
    "type": "object",
    "description": "docs/events.md lists the kinds, and the fields that each has besides these.",
    "required": ["sequence", "kind", "actor", "at", "change"],
    "properties": {
        "sequence": {"type": "integer", "description": "Its number in the project, from 1, without gaps."},
        "kind": {"type": "string", "description": "What happened, as noun.verb."},
        "actor": _PERSON,
        "at": {"type": "string", "format": "date-time"},
        "change": _CHANGE,
        "person": {
            "$ref": "#/components/schemas/Person",
            "description": "Of events about a person: who joined, left, or has another role.",
        },
    },
    "additionalProperties": True,
}
_EXAMPLE: dict[str, Any] = {
    "sequence": 17,
    "kind": "tag.added",
    "actor": {"id": "6d7a5f6e-0d1c-4a43-9b6e-3a0b8d1f2c33", "handle": "zoe", "name": "Zoë Ahlgren"},
    "at": "2026-03-02T09:30:00Z",
    "change": None,
    "name": "v1.0",
    "tagged": 12,
    "version": None,
}
_PAGE: dict[str, Any] = {
    "type": "object",
    "required": ["items", "next", "newest"],
    "properties": {
        "items": {"type": "array", "items": EVENT},
        "next": {"type": ["integer", "null"], "description": "`after` of the next page; null on the last."},
        "newest": {"type": "integer", "description": "The newest event's number when this was read."},
    },
}
_STREAM = """retry: 2000
id: 16
event: ready
data: {"sequence":16}

id: 17
event: tag.added
data: {"sequence":17,"kind":"tag.added","actor":{"id":"6d7a5f6e-…"},"change":null,"name":"v1.0"}

event: end
data: {"reason":"token_expired","detail":"The access token ended. …"}

"""

OPERATIONS: dict[str, Operation] = {
    "list_events": Operation(
        headers=("Accept", "Last-Event-ID"),
        answered=("Link",),
        refuses=("bad_cursor", "bad_value", "session_not_found", "not_acceptable", "too_many_streams"),
        produces={
            "application/json": {
                "schema": _PAGE,
                "example": {"items": [_EXAMPLE], "next": None, "newest": 17},
            },
            "text/event-stream": {"schema": {"type": "string"}, "example": _STREAM},
        },
    ),
}
