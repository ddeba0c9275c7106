"""Histories made up for tests, with the hashes that the database would give them."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from app.media_types import suggested_media_type
from app.model import (
    Action,
    ActorKind,
    CommitOrigin,
    MirroredChange,
    Person,
    VersionState,
    change_canonical,
    hash_of,
    version_canonical,
)

PROJECT = "0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11"
ZOE = Person(id="6d7a5f6e-0d1c-4a43-9b6e-3a0b8d1f2c33", handle="zoe", name="Zoë Ahlgren")
START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class History:
    """Writes changes as commit_change would; documents are named by their first path."""

    def __init__(self) -> None:
        self.changes: list[MirroredChange] = []
        self.contents: dict[str, bytes] = {}
        self.heads: dict[str, VersionState] = {}

    def change(self, *versions: dict[str, Any], raw: bytes | None = None, **fields: Any) -> MirroredChange:
        """One change. A version is {document, action, path?, content?, mode?, media_type?, restored_from?}."""
        states = [self._version(each) for each in versions]
        moment = START + timedelta(minutes=len(self.changes))
        given: dict[str, Any] = {
            "project": PROJECT,
            "sequence": len(self.changes) + 1,
            "message": f"Change {len(self.changes) + 1}\n",
            "author": ZOE,
            "author_name": "Zoë Ahlgren",
            "actor": ActorKind.human,
            "authored_at": moment,
            "committed_at": moment,
            "source": "api",
            "version_count": len(states),
            "previous": self.changes[-1].hash if self.changes else None,
            "hash": "",
            "versions": states,
            **fields,
        }
        if raw is not None:
            oid = hashlib.sha1(b"commit %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()
            given |= {
                "actor": ActorKind.import_,
                "origin_raw": raw,
                "origin": CommitOrigin(
                    id=oid,
                    sha256=sha256(raw),
                    size=len(raw),
                    author_name=given["author_name"],
                    author_email=None,
                    attributed_to=None,
                    imported_at=moment,
                ),
            }
        change = MirroredChange(**given)
        digest = hash_of(change_canonical(change, [each.hash for each in states]))
        self.changes.append(MirroredChange(**{**given, "hash": digest}))
        return self.changes[-1]

    def _version(self, asked: dict[str, Any]) -> VersionState:
        name = asked["document"]
        head = self.heads.get(name)
        action = Action(asked["action"])
        content = asked.get("content")
        fields: dict[str, Any] = {
            "hash": "",
            "project": PROJECT,
            "document": str(uuid.uuid5(uuid.UUID(PROJECT), name)),
            "number": 1 if head is None else head.number + 1,
            "parent": None if head is None else head.hash,
            "action": action,
            "path": asked.get("path") or (name if head is None else head.path),
            "restored_from": asked.get("restored_from"),
            "merged_from": asked.get("merged_from"),
        }
        if action != Action.delete:
            if content is not None:
                digest, size = sha256(content), len(content)
                self.contents[digest] = content
            else:
                digest, size = head.sha256, head.size
            kind = asked.get("media_type") or suggested_media_type(fields["path"])
            fields |= {"sha256": digest, "size": size, "media_type": kind, "mode": asked.get("mode")}
        version = VersionState(**fields)
        version = VersionState(**{**fields, "hash": hash_of(version_canonical(version))})
        self.heads[name] = version
        return version


def add(document: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"document": document, "action": "add", "content": content, **more}


def edit(document: str, content: bytes | None = None, **more: Any) -> dict[str, Any]:
    return {"document": document, "action": "edit", "content": content, **more}


def move(document: str, path: str, **more: Any) -> dict[str, Any]:
    return {"document": document, "action": "move", "path": path, **more}


def delete(document: str) -> dict[str, Any]:
    return {"document": document, "action": "delete"}


def restore(document: str, version: VersionState, content: bytes, **more: Any) -> dict[str, Any]:
    return {
        "document": document,
        "action": "restore",
        "restored_from": version.hash,
        "content": content,
        **more,
    }
