"""What forms need to be complete, by route; `{…}` is filled in by test_routes.py."""

from __future__ import annotations

from typing import Any

FORMS: dict[str, dict[str, Any]] = {
    "POST /new": {"name": "Made by {role}", "slug": "made-{unique}"},
    "POST /theme": {"theme": "dark", "next": "/"},
}
"""A multipart form has `fields` and `files` in place of plain fields."""
