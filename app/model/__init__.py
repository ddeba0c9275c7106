"""The domain: frozen structs in the words of the design, and the rules that need no I/O.

Field names are those of the database's answers and of the API's, so one struct serves all three. The
path rules and the two hashes are written a second time in SQL (migrations 0100 and 0800); tests hold
the two together.

    structs    what there is: people, projects, changes, versions, documents, trees, tags
    pipelines  where a session's stages stand, and what is reported of them
    presence   who looks at what now
    imports    a Git history on its way in, and what the project says of it
    modes      ordinary, executable, link, submodule, in Git's numbers
    rules      what a path, a digest, a short name and a media type must be
    hashes     the canonical forms of versions and changes, which their hashes are of
"""

from app.model.hashes import (
    canonical_time,
    change_canonical,
    hash_of,
    version_canonical,
)
from app.model.rules import (
    MAX_PATH_BYTES,
    SLUG,
    erased_note,
    is_sha256,
    is_slug,
    is_tag_name,
    nfc,
    normal_media_type,
    normal_path,
)
from app.model.structs import (
    Action,
    ActorKind,
    Change,
    ChangeSummary,
    CommitOrigin,
    Copy,
    Diffstat,
    Document,
    Head,
    LeftOut,
    LineCounts,
    LoggedChange,
    Member,
    MirroredChange,
    Person,
    Project,
    Role,
    Session,
    SessionDocument,
    SessionStatus,
    SessionType,
    Stage,
    Tag,
    Tree,
    TreeEntry,
    Version,
    VersionRead,
    VersionState,
)
from app.trailers import CoAuthor, co_authors

__all__ = [
    "MAX_PATH_BYTES",
    "SLUG",
    "Action",
    "ActorKind",
    "Change",
    "ChangeSummary",
    "CoAuthor",
    "CommitOrigin",
    "Copy",
    "Diffstat",
    "Document",
    "Head",
    "LeftOut",
    "LineCounts",
    "LoggedChange",
    "Member",
    "MirroredChange",
    "Person",
    "Project",
    "Role",
    "Session",
    "SessionDocument",
    "SessionStatus",
    "SessionType",
    "Stage",
    "Tag",
    "Tree",
    "TreeEntry",
    "Version",
    "VersionRead",
    "VersionState",
    "canonical_time",
    "change_canonical",
    "co_authors",
    "erased_note",
    "hash_of",
    "is_sha256",
    "is_slug",
    "is_tag_name",
    "nfc",
    "normal_media_type",
    "normal_path",
    "version_canonical",
]
