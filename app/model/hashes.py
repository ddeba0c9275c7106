"""The canonical forms and their hashes (docs/hashes.md). Written a second time in SQL, migration 0800."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.model.structs import ChangeSummary, VersionState


def hash_of(canonical: str) -> str:
    """SHA-256 of a canonical form in UTF-8, as lower-case hexadecimal digits."""
    return hashlib.sha256(canonical.encode()).hexdigest()


def version_canonical(version: VersionState) -> str:
    """The canonical form of a version: one line a field, absent fields left out."""
    lines: list[tuple[str, Any]] = [
        ("verso-version", 1),
        ("project", version.project),
        ("document", version.document),
        ("number", version.number),
        ("parent", version.parent),
        ("merged-from", version.merged_from),
        ("restored-from", version.restored_from),
        ("action", version.action.value),
        ("path", version.path),
        ("content", None if version.sha256 is None else f"{version.sha256} {version.size}"),
        ("media-type", version.media_type),
        ("mode", version.mode),
    ]
    return _canonical_lines(lines)


def change_canonical(change: ChangeSummary, versions: list[str]) -> str:
    """The canonical form of a change; `versions` are the hashes of its versions in their order."""
    origin = change.origin
    head: list[tuple[str, Any]] = [
        ("verso-change", 1),
        ("project", change.project),
        ("sequence", change.sequence),
        ("previous", change.previous),
        ("author", change.author.id),
        ("actor", change.actor.value),
        ("agent", change.agent),
        ("on-behalf-of", change.on_behalf_of and change.on_behalf_of.id),
        ("authored-at", canonical_time(change.authored_at)),
        ("committed-at", canonical_time(change.committed_at)),
        ("source", change.source),
        ("author-name", change.author_name),
        ("author-email", origin and origin.author_email),
        ("attributed-to", origin and origin.attributed_to and origin.attributed_to.id),
        ("imported-at", origin and canonical_time(origin.imported_at)),
        ("origin", origin and f"{origin.id} {origin.sha256} {origin.size}"),
        ("message", len(change.message.encode())),
    ]
    return f"{_canonical_lines(head)}{change.message}\n" + "".join(f"version {each}\n" for each in versions)


def canonical_time(moment: datetime) -> str:
    """RFC 3339 in UTC with six decimals, as the hashes take it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _canonical_lines(lines: list[tuple[str, Any]]) -> str:
    return "".join(f"{name} {value}\n" for name, value in lines if value is not None)
