"""Tags as Git has them: as they came, annotated when they have a message, else a plain name."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from pygit2.enums import ObjectType

from app.git.write.commits import HOST, git_time, identity_name

if TYPE_CHECKING:
    from app.model import Tag


def written_tag(repository: Any, tag: Tag, *, commit: bytes, ref: str) -> bytes:
    """The id (20 bytes) of what a tag's ref names: a tag object, which is written, or the commit itself."""
    if tag.origin is not None:
        data = _retargeted(base64.b64decode(tag.origin), commit)
    elif tag.message:
        name = identity_name(tag.created_by.name or tag.created_by.handle or tag.created_by.id)
        who = f"{name} <{tag.created_by.id}@{HOST}> {git_time(tag.created_at)}"
        head = f"object {commit.hex()}\ntype commit\ntag {ref.removeprefix('refs/tags/')}\ntagger {who}\n\n"
        data = (head + tag.message).encode()
    else:
        return commit
    oid: bytes = repository.write(ObjectType.TAG, data).raw
    return oid


def _retargeted(raw: bytes, commit: bytes) -> bytes:
    """The tag object with this commit for its target; the very same when it is so already."""
    head, blank, message = raw.partition(b"\n\n")
    lines = head.split(b"\n")
    for at, line in enumerate(lines):
        if line.startswith(b"object "):
            lines[at] = b"object " + commit.hex().encode()
        elif line.startswith(b"type "):
            lines[at] = b"type commit"
    return b"\n".join(lines) + blank + message
