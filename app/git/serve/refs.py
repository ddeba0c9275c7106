"""What there is to be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pygit2
from pygit2.enums import ObjectType

from app.git.serve.pktline import FLUSH, pkt
from app.git.write.copy import BRANCH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CAPABILITIES = (
    b"multi_ack_detailed side-band-64k thin-pack ofs-delta shallow deepen-relative no-progress include-tag "
    b"allow-tip-sha1-in-want allow-reachable-sha1-in-want object-format=sha1 agent=verso"
)
_NOTHING = b"0" * 40


def advertised_refs(directory: Path) -> bytes:
    """The answer to `info/refs?service=git-upload-pack` for a repository."""
    repository: Any = pygit2.Repository(str(directory))
    try:
        lines = [pkt(b"# service=git-upload-pack\n"), FLUSH]
        capabilities = CAPABILITIES
        refs = list(_refs(repository))
        if refs and refs[0][0] == b"HEAD":
            capabilities += b" symref=HEAD:" + BRANCH.encode()
        for number, (name, oid) in enumerate(refs or [(b"capabilities^{}", _NOTHING)]):
            lines.append(pkt(oid + b" " + name + (b"\0" + capabilities if number == 0 else b"") + b"\n"))
        return b"".join([*lines, FLUSH])
    finally:
        repository.free()


def _refs(repository: Any) -> Iterator[tuple[bytes, bytes]]:
    named = {ref: repository.references[ref].target for ref in repository.references}
    if BRANCH in named:
        yield b"HEAD", str(named[BRANCH]).encode()
    for ref, oid in sorted(named.items(), key=lambda each: each[0].encode()):
        yield ref.encode(), str(oid).encode()
        if ref.startswith("refs/tags/"):
            peeled = peeled_tag(repository, oid)
            if peeled != oid:
                yield f"{ref}^{{}}".encode(), str(peeled).encode()


def peeled_tag(repository: Any, oid: Any) -> Any:
    """What a tag names in the end: its own id when it is no tag object."""
    found = repository[oid]
    while found.type == ObjectType.TAG:
        found = repository[found.target]
    return found.id
