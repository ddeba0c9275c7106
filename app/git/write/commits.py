"""A change as the bytes of a commit.

Imported: the raw commit that it came from, its tree and parents replaced where they came out otherwise (and
then without its signature, which is of other bytes). Native: author and committer are the account, as
`author_name <account id@verso.invalid>`; what Git can't say is JSON in a header named `verso` (docs/git.md).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from app.git.write.names import git_path
from app.media_types import suggested_media_type
from app.model import Action, ActorKind, canonical_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.model import MirroredChange, VersionState

HOST = "verso.invalid"
"""RFC 2606: an address at this name reaches nobody."""
_IN_THE_WAY = re.compile("[<>\n\0]")
_SIGNATURES = (b"gpgsig", b"gpgsig-sha256")

Reference = tuple[str, str]
"""A version as Git can name it: the commit of its change, and its path there."""


def imported_commit(raw: bytes, *, tree: bytes, parents: Sequence[bytes]) -> bytes:
    """The commit that a change was imported as, with this tree and these parents (ids of 20 bytes)."""
    head, blank, message = raw.partition(b"\n\n")
    lines = head.split(b"\n")
    wanted = [b"tree " + tree.hex().encode(), *(b"parent " + each.hex().encode() for each in parents)]
    kept: list[bytes] = []
    for line in lines:
        if line.startswith((b"tree ", b"parent ")):
            continue
        kept.append(line)
    if lines[: len(wanted)] == wanted and len(lines) == len(wanted) + len(kept):
        return raw
    return b"\n".join(wanted + _unsigned(kept)) + blank + message


def _unsigned(lines: list[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    signature = False
    for line in lines:
        continued = line.startswith(b" ") and signature
        signature = continued or line.partition(b" ")[0] in _SIGNATURES
        if not signature:
            kept.append(line)
    return kept


def parents_of(raw: bytes) -> list[str]:
    """The ids of an imported commit's parents, as its bytes say."""
    head = raw.partition(b"\n\n")[0]
    return [line[7:].decode("ascii", "replace") for line in head.split(b"\n") if line.startswith(b"parent ")]


def native_commit(
    change: MirroredChange,
    *,
    tree: bytes,
    parent: bytes | None,
    moved_from: dict[str, str],
    reference_of: Callable[[str], Reference | None],
) -> bytes:
    """The bytes of the commit of a change that was made in Verso.

    `moved_from` gives the path that a moved document had before, by its version's hash; `reference_of` the
    commit and path of an earlier version, by its hash.
    """
    name = change.author_name or change.author.handle or change.author.id
    shown = identity_name(name)
    who = f"{shown} <{change.author.id}@{HOST}>"
    lines = [f"tree {tree.hex()}"]
    if parent is not None:
        lines.append(f"parent {parent.hex()}")
    lines += [
        f"author {who} {git_time(change.authored_at)}",
        f"committer {who} {git_time(change.committed_at)}",
        "verso " + _more(change, name, moved_from, reference_of),
    ]
    return "\n".join(lines).encode() + b"\n\n" + change.message.encode()


def identity_name(name: str) -> str:
    """A name as Git takes it: without angle brackets and line ends, never empty."""
    return _IN_THE_WAY.sub(" ", name).strip() or "unknown"


def git_time(moment: datetime) -> str:
    """A time as Git says it: whole seconds, never before 1970, in UTC."""
    return f"{max(0, int(moment.timestamp()))} +0000"


def _more(
    change: MirroredChange,
    name: str,
    moved_from: dict[str, str],
    reference_of: Callable[[str], Reference | None],
) -> str:
    """What Git can't say of the change, as JSON in one line; what it says already is left out."""
    more: dict[str, Any] = {"change": change.sequence, "hash": change.hash}
    if identity_name(name) != name:
        more["author_name"] = name
    if change.actor != ActorKind.human:
        more["actor"] = change.actor.value
    if change.agent is not None:
        more["agent"] = change.agent
    for field in ("authored_at", "committed_at"):
        moment: datetime = getattr(change, field)
        if datetime.fromtimestamp(int(git_time(moment).partition(" ")[0]), UTC) != moment:
            more[field] = canonical_time(moment)
    if change.source != "api":
        more["source"] = change.source
    versions = [_version(each, moved_from, reference_of) for each in change.versions]
    told = [each for each in versions if len(each) > 1]
    if told:
        more["versions"] = told
    return msgspec.json.encode(more).decode()


def _version(
    version: VersionState, moved_from: dict[str, str], reference_of: Callable[[str], Reference | None]
) -> dict[str, Any]:
    told: dict[str, Any] = {"path": version.path}
    if git_path(version.path) != version.path:
        told["git_path"] = git_path(version.path)
    if version.action in {Action.move, Action.restore}:
        told["action"] = version.action.value
    if version.hash in moved_from:
        told["from"] = moved_from[version.hash]
    for field, other in (("restored_from", version.restored_from), ("merged_from", version.merged_from)):
        reference = None if other is None else reference_of(other)
        if reference is not None:
            told[field] = {"commit": reference[0], "path": reference[1]}
    if version.media_type is not None and version.media_type != suggested_media_type(version.path):
        told["media_type"] = version.media_type
    return told
