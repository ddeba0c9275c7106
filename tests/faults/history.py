"""The whole history of a project, read through the API and recomputed from its rows alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from app.model import Change, change_canonical, hash_of, version_canonical

if TYPE_CHECKING:
    import httpx


async def read_changes(client: httpx.AsyncClient, project: str) -> list[Change]:
    """All changes, oldest first, with their versions."""
    found: list[Change] = []
    address = f"/v1/projects/{project}/changes"
    query: dict[str, Any] = {"limit": 200}
    while True:
        page = (await client.get(address, params=query)).raise_for_status().json()
        for each in page["items"]:
            answer = await client.get(f"{address}/{each['sequence']}")
            found.append(msgspec.json.decode(answer.raise_for_status().content, type=Change))
        if page.get("next") is None:
            return found[::-1]
        query["cursor"] = page["next"]


async def verify_history(client: httpx.AsyncClient, project: str, *, bytes_too: bool = True) -> list[Change]:
    """Assert that history has no gap, that each hash is that of what it names, and each content too."""
    changes = await read_changes(client, project)
    assert [each.sequence for each in changes] == list(range(1, len(changes) + 1))
    heads: dict[str, tuple[int, str | None]] = {}
    previous: str | None = None
    for change in changes:
        for version in change.versions:
            number, parent = heads.get(version.document, (0, None))
            assert (version.number, version.parent) == (number + 1, parent)
            assert version.hash == hash_of(version_canonical(version))
            heads[version.document] = (version.number, version.hash)
            if bytes_too and version.sha256 is not None:
                await _verify_bytes(client, version)
        assert change.previous == previous
        assert change.hash == hash_of(change_canonical(change, [each.hash for each in change.versions]))
        previous = change.hash
    return changes


async def _verify_bytes(client: httpx.AsyncClient, version: Any) -> None:
    answer = await client.get(f"/v1/documents/{version.document}/versions/{version.number}/content")
    assert answer.status_code == 200, answer.text
    assert hashlib.sha256(answer.content).hexdigest() == version.sha256
    assert len(answer.content) == version.size
