"""What the attack matrix sends to each route: complete requests, so that only the role decides the answer.

`{project}`, `{document}`, `{hash}` and so on stand for what the fixture made; `world.py` fills them in, once
with what is there and once with ids of nothing. `{document}`, `{path}`, `{hash}`, `{comment}`, `{person}`,
`{invitation}` and `{name}` are each cell's own, so that one role's success is in nobody else's way.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

BASED = {"If-Match": '"{hash}"'}
FROM_A_PAGE = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
COMMIT = (
    b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
    b"author A <a@example.com> 1709371800 +0000\n"
    b"committer A <a@example.com> 1709371800 +0000\n\nm\n"
)
BATCH = {
    "after": None,
    "changes": [
        {
            "origin": base64.b64encode(COMMIT).decode(),
            "origin_id": hashlib.sha1(b"commit %d\0" % len(COMMIT) + COMMIT).hexdigest(),
            "author_name": "A",
            "author_email": "a@example.com",
            "message": "m\n",
            "authored_at": "2024-03-02T09:30:00+00:00",
            "committed_at": "2024-03-02T09:30:00+00:00",
            "items": [],
        }
    ],
}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request's query, headers and body."""

    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None


PLAIN = Ask()
ASKS: dict[str, Ask] = {
    "PATCH /v1/me": Ask(json={"name": "x"}),
    "POST /auth/password": Ask(headers=FROM_A_PAGE, content=b"email=a%40example.com&password=x&state=x"),
    "POST /auth/link": Ask(headers=FROM_A_PAGE, content=b"email=a%40example.com&state=x"),
    "POST /v1/projects": Ask(json={"slug": "{name}"}),
    "PATCH /v1/projects/{project}": Ask(json={"description": "x"}),
    "PUT /v1/projects/{project}/members/{person}": Ask(json={"role": "reader"}),
    "PUT /v1/projects/{project}/members/{person}/folders": Ask(json={"folders": ["docs"]}),
    "POST /v1/projects/{project}/invitations": Ask(json={"role": "reader", "email": "{name}@example.com"}),
    "POST /v1/projects/{project}/agents": Ask(json={"name": "{name}"}),
    "GET /v1/projects/{project}/erasures/preview": Ask(query={"sha256": "{sha256}"}),
    "POST /v1/projects/{project}/erasures": Ask(json={"sha256": "{sha256}", "reason": "x", "confirm": "no"}),
    "POST /v1/projects/{project}/webhooks": Ask(json={"url": "https://example.com/hook"}),
    "PATCH /v1/projects/{project}/webhooks/{webhook}": Ask(json={"description": "x"}),
    "POST /v1/projects/{project}/webhooks/{webhook}/rotate": Ask(json={}),
    "POST /v1/projects/{project}/webhooks/{webhook}/replay": Ask(json={"first": 1}),
    "POST /v1/projects/{project}/sessions": Ask(json={"slug": "{name}"}),
    "PATCH /v1/projects/{project}/sessions/{session}": Ask(json={"title": "x"}),
    "POST /v1/projects/{project}/sessions/{session}/stages/{stage}/reports": Ask(
        json={"state": "in_progress"}
    ),
    "PUT /v1/projects/{project}/presence": Ask(json={"device": "{name}", "state": "viewing"}),
    "PUT /v1/projects/{project}/files/{path}": Ask(headers=BASED, content=b"new"),
    "DELETE /v1/projects/{project}/files/{path}": Ask(headers=BASED),
    "POST /v1/projects/{project}/changes": Ask(json={"items": [{"path": "{name}", "text": "1"}]}),
    "GET /v1/projects/{project}/diff": Ask(query={"from": "1"}),
    "GET /v1/projects/{project}/compare": Ask(query={"from": "{path}", "to": "{path}"}),
    "POST /v1/projects/{project}/restore": Ask(json={"at": "1", "prefix": "{path}"}),
    "POST /v1/projects/{project}/have": Ask(json={"sha256": ["{sha256}"]}),
    "POST /v1/projects/{project}/contents": Ask(json={"sha256": ["{sha256}"]}),
    "DELETE /v1/documents/{document}": Ask(headers=BASED),
    "PATCH /v1/documents/{document}": Ask(headers=BASED, json={"path": "{name}"}),
    "POST /v1/documents/{document}/merge": Ask(headers=BASED, content=b"new"),
    "POST /v1/documents/{document}/restore": Ask(headers=BASED, json={"version": 1}),
    "POST /v1/documents/{document}/undelete": Ask(headers=BASED),
    "GET /v1/documents/{document}/diff": Ask(query={"from": "1", "to": "1"}),
    "POST /v1/documents/{document}/bisect": Ask(json={"good": 1, "bad": 2}),
    "GET /v1/projects/{project}/search": Ask(query={"q": "secret"}),
    "GET /v1/documents/{document}/occurrences": Ask(query={"text": "secret"}),
    "POST /v1/projects/{project}/imports/git": Ask(json=BATCH),
    "POST /v1/projects/{project}/tags": Ask(json={"name": "{name}"}),
    "POST /v1/versions/{version}/reviews": Ask(json={"verdict": "approve"}),
    "POST /v1/versions/{version}/comments": Ask(json={"body": "x"}),
    "POST /v1/comments/{comment}/replies": Ask(json={"body": "x"}),
    "PATCH /v1/projects/{project}/rules": Ask(json={"tags_need_approval": False}),
    "GET /git/{project}/info/refs": Ask(query={"service": "git-upload-pack"}),
    "POST /git/{project}/git-upload-pack": Ask(
        headers={"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"},
        content=b"0014command=ls-refs\n0000",
    ),
    "POST /git/{project}/git-receive-pack": Ask(
        headers={"Content-Type": "application/x-git-receive-pack-request"}, content=b"0000"
    ),
}
"""A route without an entry is asked without a query and without a body."""
