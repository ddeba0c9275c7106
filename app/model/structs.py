"""What there is: frozen structs whose field names are those of the database's answers and of the API's."""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from enum import StrEnum

import msgspec

from app.trailers import CoAuthor, co_authors


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
    event_sequence: int
    """Number of the newest event: who follows the project goes on from here."""
    joined_at: datetime
    folders: list[str] | None = None
    """The folders that the caller is an editor of; null when their role holds everywhere."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Someone in a project."""

    person: Person
    role: Role
    created_at: datetime
    folders: list[str] | None = None
    """The folders that they are an editor of; null when their role holds everywhere."""

    @property
    def position(self) -> str:
        """Where they are in the list of members."""
        return f"{self.role} {self.created_at.isoformat()} {self.person.id}"


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
    on_behalf_of: Person | None = None
    """Of an agent's change: the owner for whom it acted then, by the database's word."""
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


class LeftOut(msgspec.Struct, frozen=True):
    """A path that an import or export doesn't take, or takes under another name, and why."""

    path: str
    reason: str
