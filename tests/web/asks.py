"""What forms need to be complete, by route; `{…}` is filled in by test_routes.py."""

from __future__ import annotations

from typing import Any

FORMS: dict[str, dict[str, Any]] = {
    "POST /new": {"name": "Made by {role}", "slug": "made-{unique}"},
    "POST /theme": {"theme": "dark", "next": "/"},
    "POST /p/{project}/upload": {
        "fields": {"folder": "up", "seen": "1"},
        "files": {"files": ["{unique}.md", "# Up\n"]},
    },
    "POST /p/{project}/import": {
        "fields": {"folder": "in", "act": "look"},
        "files": {"archive": ["{unique}.zip", "PK\x05\x06" + "\x00" * 18]},
    },
    "POST /p/{project}/import/history": {
        "fields": {"act": "look"},
        "files": {"bundle": ["{unique}.bundle", "# v2 git bundle\n\n"]},
    },
    "POST /p/{project}/create": {"fields": {"path": "made/{unique}.md", "text": "made"}},
    "POST /p/{project}/edit/{path}": {"fields": {"text": "by {unique}", "base": "{version}"}},
    "POST /p/{project}/resolve/{path}": {
        "fields": {"written": "by {unique}", "by": "hand", "base": "{version}", "head": "{version}"}
    },
    "POST /p/{project}/move/{path}": {"to": "moved/{unique}.md", "base": "{version}"},
    "POST /p/{project}/delete/{path}": {"base": "{version}"},
    "POST /p/{project}/documents/{document}/restore/{number}": {"base": "{version}"},
    "POST /p/{project}/documents/{document}/undelete": {"base": "{version}"},
    "POST /p/{project}/versions/{version}/comments": {"body": "by {unique}", "line": "1", "next": "/"},
    "POST /p/{project}/comments/{comment}/replies": {"body": "by {unique}", "next": "/"},
    "POST /p/{project}/comments/{comment}/act": {"act": "resolve", "next": "/"},
    "POST /p/{project}/versions/{version}/reviews": {"verdict": "request_changes", "next": "/"},
    "POST /p/{project}/sessions/{session}/stages/{stage}": {"state": "in_progress", "seen": "none"},
    "POST /p/{project}/people": {"who": "{unique}@example.com", "by": "email", "role": "reader"},
    "POST /p/{project}/people/{person}": {"role": "reader"},
    "POST /me": {"name": "{role}"},
    "POST /p/{project}/tags": {"name": "t-{unique}"},
    "POST /p/{project}/settings": {"name": "Named {unique}"},
    "POST /p/{project}/settings/archive": {"act": "reopen"},
    "POST /p/{project}/webhooks": {"url": "https://example.com/{unique}"},
    "POST /p/{project}/erasures": {"sha256": "{content}", "confirm": "{content}", "reason": "By {unique}"},
    "POST /p/{project}/new-session": {"title": "The {unique}", "type": "exploratory"},
    "POST /p/{project}/sessions/{session}": {"title": "By {unique}", "status": "review"},
    "POST /p/{project}/agents": {"name": "a-{unique}", "role": "reader"},
}
"""A multipart form has `fields` and `files` in place of plain fields."""
