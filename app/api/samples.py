"""Examples made from schemas: for what the OpenAPI document has no written example of."""

from __future__ import annotations

from typing import Any

import msgspec

from app.api import examples

_BY_FORMAT = {
    "date-time": "2026-03-02T09:30:00Z",
    "date": "2026-03-02",
    "uuid": examples.DOCUMENT,
    "binary": "(bytes)",
}
_BY_NAME = {
    **examples.PARAMETERS,
    "project": examples.PROJECT,
    "id": examples.PROJECT,
    "after": examples.CHANGE,
    "agent": "spec-writer",
    "author_email": "zoe@example.com",
    "author_name": "Zoë Ahlgren",
    "email": "zoe@example.com",
    "hash": examples.HASH,
    "last": examples.COMMIT,
    "message": "Say what a stale base is",
    "name": "IDSE Core",
    "next": "NDI",
    "origin_id": examples.COMMIT,
    "password": "correct-horse",
    "previous": examples.PARENT,
    "publishable_key": "sb_publishable_0123456789",
    "reason": "A person asked for it.",
    "section": "## Why",
    "slug": "idse-core",
    "source": "api",
    "summary": "Say what a stale base is",
    "supabase_url": "https://abcdefgh.supabase.co",
    "text": "hello",
}


def plain(value: Any) -> Any:
    """An example as JSON has it."""
    return msgspec.to_builtins(value)


def sample_of(schema: dict[str, Any], schemas: dict[str, Any], named: str = "") -> Any:
    """An example made from a schema, for those that have none written here; a text by its field's name."""
    name = schema.get("$ref", "").rpartition("/")[2]
    schema = schemas.get(name, schema)
    given: list[Any] = schema.get("examples") or schema.get("enum") or []
    either: list[dict[str, Any]] = schema.get("oneOf") or schema.get("anyOf") or []
    kind = schema.get("type")
    if given or either:
        return given[0] if given else sample_of(either[0], schemas, named)
    if kind == "object":
        return {key: sample_of(each, schemas, key) for key, each in schema.get("properties", {}).items()}
    if kind == "array":
        parts = schema.get("prefixItems") or [schema.get("items", {})]
        return [sample_of(each, schemas, named) for each in parts]
    plain_values: dict[Any, Any] = {"integer": 1, "number": 1.0, "boolean": True, "null": None}
    if kind in plain_values:
        return plain_values[kind]
    return _BY_FORMAT.get(schema.get("format", "")) or _BY_NAME.get(named, "…")
