"""The domain: frozen structs in the words of the design, and the rules that need no I/O.

Field names are those of the database's answers and of the API's, so one struct serves all three. The
path rules and the two hashes are written a second time in SQL (migrations 0100 and 0800); tests hold
the two together.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from app.errors import VersoError
from app.trailers import CoAuthor, co_authors

MAX_PATH_BYTES = 1024
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+( *; *[a-z0-9_.+-]+=[A-Za-z0-9_.+-]+)*\Z")
_QUOTED_TOKEN = re.compile(r'="([A-Za-z0-9_.+-]+)"')
"""charset="utf-8" and charset=utf-8 are the same (RFC 9110, 5.6.6)."""
MAX_MEDIA_TYPE_LENGTH = 200


class Role(StrEnum):
    """What a member may do; each role includes those before it."""

    reader = "reader"
    reviewer = "reviewer"
    editor = "editor"
    owner = "owner"


class Action(StrEnum):
    """What made a version. A move may carry new content as well."""

    add = "add"
    edit = "edit"
    move = "move"
    delete = "delete"
    restore = "restore"


class ActorKind(StrEnum):
    """Who acted."""

    human = "human"
    agent = "agent"
    import_ = "import"


class SessionType(StrEnum):
    """What kind of pipeline run a session is."""

    blueprint = "blueprint"
    feature = "feature"
    exploratory = "exploratory"


class SessionStatus(StrEnum):
    """Where a session stands."""

    draft = "draft"
    in_progress = "in_progress"
    review = "review"
    complete = "complete"
    archived = "archived"


class Stage(StrEnum):
    """The seven stages of an IDSE session, in order."""

    intent = "intent"
    context = "context"
    spec = "spec"
    plan = "plan"
    tasks = "tasks"
    implementation = "implementation"
    feedback = "feedback"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """An account as history shows it. Only `id` is sure: strangers don't see the rest."""

    id: str
    handle: str | None = None
    name: str | None = None
    avatar_url: str | None = None
    github_login: str | None = None


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project as one of its members sees it."""

    id: str
    slug: str
    name: str
    description: str
    role: Role
    created_at: datetime
    archived_at: datetime | None = None
    change_sequence: int
    """Number of the newest change; 0 before the first."""
    change_hash: str | None = None
    """Hash of the newest change: certifies the whole history."""
    joined_at: datetime


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Someone in a project."""

    person: Person
    role: Role
    created_at: datetime


class SessionDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A live document of a session."""

    id: str
    path: str
    stage: Stage | None
    head: str
    head_number: int


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One IDSE pipeline run."""

    id: str
    project: str
    slug: str
    title: str
    type: SessionType
    status: SessionStatus
    root: str
    """Documents below this path belong to the session."""
    created_at: datetime
    updated_at: datetime
    created_by: Person
    parent: str | None = None
    documents: list[SessionDocument] | None = None
    """Up to 1000 live documents; only in the answer for one session."""


class CommitOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The Git commit that a change was imported from."""

    id: str
    """Its object id: 40 or 64 hexadecimal digits."""
    sha256: str
    """SHA-256 of the raw commit object."""
    size: int
    """Bytes of the raw commit object."""
    author_name: str | None
    author_email: str | None
    attributed_to: Person | None
    """The account that its author is, by the word of the owner who imported it."""
    imported_at: datetime


class ChangeSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One atomic write, without its versions."""

    project: str
    sequence: int
    message: str
    author: Person
    actor: ActorKind
    agent: str | None = None
    authored_at: datetime
    committed_at: datetime
    source: str
    version_count: int
    """0 only in an imported commit that changed nothing here."""
    previous: str | None = None
    hash: str
    author_name: str | None = None
    """What its author was called then; shown in place of the account's name, which may have changed."""
    origin: CommitOrigin | None = None
    """Of an imported change: the Git commit, and who wrote it. `author` is then who imported it."""
    co_authors: list[CoAuthor] = []
    """By the trailers of its message."""

    def __post_init__(self) -> None:
        """Read the co-authors out of the message: nothing else may say who they are."""
        msgspec.structs.force_setattr(self, "co_authors", co_authors(self.message))


class VersionState(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable state of one document, without its change."""

    hash: str
    project: str
    document: str
    number: int
    action: Action
    path: str
    parent: str | None = None
    merged_from: str | None = None
    restored_from: str | None = None
    sha256: str | None = None
    """SHA-256 of the bytes; null in a delete."""
    size: int | None = None
    media_type: str | None = None
    mode: str | None = None
    """Git's file mode: 100755 executable, 120000 symbolic link, 160000 submodule; null for ordinary files."""


class Version(VersionState, frozen=True, kw_only=True):
    """One immutable state of one document, with the change that wrote it."""

    change: ChangeSummary


class DiffTotals(msgspec.Struct, frozen=True, kw_only=True):
    """How many lines a change added and removed: sums over the versions of which it is known."""

    added: int | None
    """Null when it is known of none."""
    removed: int | None
    unknown: int
    """Of how many versions it isn't known: not computed yet, too large, or erased."""


class LineCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many lines a version has, added and removed; null where it isn't known."""

    version: str
    lines: int | None
    added: int | None
    removed: int | None


class Diffstat(DiffTotals, frozen=True, kw_only=True):
    """How many lines a change added and removed, with the counts of each version in their order."""

    versions: list[LineCounts]


class LoggedChange(ChangeSummary, frozen=True, kw_only=True):
    """A change as the log shows it."""

    diffstat: DiffTotals | None = None
    """As far as it was computed; null for a change of more than 20 versions."""


class Change(ChangeSummary, frozen=True, kw_only=True):
    """One atomic write with its versions."""

    versions: list[VersionState]
    diffstat: Diffstat | None = None
    """In the answer of a write null, unless everything that it takes was at hand."""


class MirroredChange(Change, frozen=True, kw_only=True):
    """A change as those read it who keep a copy of all."""

    origin_raw: bytes | None = None
    """The Git commit that it was imported as, headers and message, as it was (base64 in JSON)."""


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """An object that is said to hold a content's bytes; true once its hash has been checked."""

    object: str
    name: str
    size: int


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document stands now."""

    hash: str
    number: int
    path: str
    live: bool


class VersionRead(msgspec.Struct, frozen=True, kw_only=True):
    """A version as a reader gets it: with where its bytes may be and where its document stands now."""

    version: Version
    copies: list[Copy]
    head: Head


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document with its newest version."""

    id: str
    project: str
    path: str
    live: bool
    head: str
    head_number: int
    head_sequence: int
    created_at: datetime
    version: Version
    session: str | None = None
    stage: Stage | None = None


class TreeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What one path has at a point."""

    path: str
    document: str
    version: str
    number: int
    sha256: str
    size: int
    media_type: str
    mode: str | None = None
    """Git's file mode, unless it is that of an ordinary file."""
    change: int
    session: str | None = None
    stage: Stage | None = None


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the tree after a change."""

    sequence: int
    entries: list[TreeEntry]


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A name for a project at a change, or for one version. It never moves."""

    project: str
    name: str
    change: int
    version: str | None = None
    message: str
    created_at: datetime
    created_by: Person
    origin: str | None = None
    """The annotated Git tag object that it came from, in base64."""


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes, named by their hash."""

    sha256: str
    size: int


# Rules ---------------------------------------------------------------------------------------------


def normal_path(path: str) -> str:
    """The path in NFC; raises VersoError `bad_path` with the reason when it can't be a document's path.

    UTF-8 of 1 to 1024 bytes, segments divided by `/`, none of them empty, `.` or `..`, no control
    characters (C0, DEL, C1, U+2028, U+2029). Colons, blanks, asterisks and every script are fine.
    """
    normal = unicodedata.normalize("NFC", path)
    reason = _path_fault(normal)
    if reason is not None:
        raise VersoError("bad_path", reason, path=normal.encode("utf-8", "replace").decode()[:MAX_PATH_BYTES])
    return normal


def _path_fault(path: str) -> str | None:
    segments = path.split("/")
    try:
        length = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        return "The path is not valid UTF-8."
    if not path:
        return "The path is empty."
    if length > MAX_PATH_BYTES:
        return f"The path is {length} bytes long; at most {MAX_PATH_BYTES} are allowed."
    if "" in segments:
        return "A path has no empty segment: no // and no / at either end."
    if "." in segments or ".." in segments:
        return 'A path has no "." or ".." segment.'
    if _CONTROL.search(path):
        return "A path has no control characters."
    return None


def is_sha256(text: str) -> bool:
    """Whether the text is a SHA-256 digest as this service writes them: 64 lower-case hexadecimal digits."""
    return _SHA256.match(text) is not None


def normal_media_type(text: str) -> str:
    """A media type in lower case (parameters' values as they are); raises VersoError `bad_media_type`."""
    kind, semicolon, parameters = _QUOTED_TOKEN.sub(r"=\1", text).strip().partition(";")
    normal = kind.strip().lower() + (semicolon + parameters if semicolon else "")
    if len(normal) > MAX_MEDIA_TYPE_LENGTH or not _MEDIA_TYPE.match(normal):
        raise VersoError(
            "bad_media_type", "The content type is not one: use the form type/subtype, e.g. text/markdown."
        )
    return normal


# Hashes (docs/hashes.md) -----------------------------------------------------------------------------


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
