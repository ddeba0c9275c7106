"""What a bundle is made of: parts of rows in a fixed order, each row a line of JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]
_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

FORMAT = "verso-bundle"
FORM = 1
MANIFEST = "manifest.json"
PARTS = (
    "project",
    "profiles",
    "acquaintances",
    "members",
    "sessions",
    "erasures",
    "finished_erasures",
    "changes",
    "documents",
    "events",
    "tags",
    "comments",
    "comment_texts",
    "comment_acts",
    "reviews",
    "stage_events",
)
"""In this order: what a row names comes before it, except that a document names its newest version, and an
erasure its event: which contents are absent is known before the versions that had them."""
GROWING = ("erasures", "changes", "events", "comments", "comment_acts", "reviews", "stage_events")
"""Parts whose rows are numbered and never change: what was read of them stays right."""
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes. A change of 10,000 versions has some 6 MB, one with a Git commit of 1 MiB 2 MB more."""


class PartFacts(msgspec.Struct, frozen=True):
    """What the manifest says of a part."""

    rows: int
    bytes: int
    sha256: str


class ContentFacts(msgspec.Struct, frozen=True):
    """What the manifest says of the contents."""

    count: int
    bytes: int


class ProjectFacts(msgspec.Struct, frozen=True):
    """Whose bundle it is."""

    id: str
    slug: str
    name: str


class NewestChange(msgspec.Struct, frozen=True):
    """The change whose hash certifies the history; number 0 and no hash before the first."""

    sequence: int
    hash: str | None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first member: what the file holds. Nothing of when or by whom it was made."""

    format: str
    form: int
    project: ProjectFacts
    change: NewestChange
    events: int
    parts: dict[str, PartFacts]
    contents: ContentFacts
    absent: ContentFacts
    """Of the versions' contents those that were erased: their rows are `erasures`, their bytes nowhere."""


def rows_name(part: str) -> str:
    """The member that holds a part."""
    return f"rows/{part}.jsonl"


def content_name(sha256: str) -> str:
    """The member that holds a content."""
    return f"contents/{sha256}"


def line_of(row: object) -> bytes:
    """A row as its line: keys sorted, UTF-8, no blanks."""
    return msgspec.json.encode(row, order="sorted") + b"\n"


def rows_of(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, Row]]:
    """The lines of a part with their rows. Raises VersoError `bundle_malformed`."""
    held = bytearray()
    for piece in pieces:
        # Only the new piece is searched: a long line costs what it is long.
        *ends, rest = piece.split(b"\n")
        for end in ends:
            line = bytes(held + end + b"\n")
            held.clear()
            yield line, _row(line)
        held += rest
        if len(held) > LONGEST_LINE:
            raise malformed("a row is longer than any row can be")
    if held:
        raise malformed("a part doesn't end with the end of a line")


def read_manifest(data: bytes) -> Manifest:
    """The manifest. Raises VersoError `bundle_malformed`, `bundle_too_new`."""
    try:
        head = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise malformed("the manifest is no JSON") from None
    if head.get("format") != FORMAT:
        raise malformed("the manifest is not that of a bundle")
    if head.get("form") != FORM:
        raise VersoError(
            "bundle_too_new",
            f"The bundle has form {head.get('form')}; this `verso` knows {FORM}. Update it.",
        )
    try:
        manifest = msgspec.convert(head, Manifest)
    except msgspec.ValidationError as error:
        raise malformed(f"the manifest is not what it must be: {error}") from None
    if set(manifest.parts) != set(PARTS) or line_of(manifest) != data:
        raise malformed("the manifest names other parts, or is not written as a bundle's is")
    # It becomes part of names in storage, under a key that may do everything.
    if not _ID.fullmatch(manifest.project.id):
        raise malformed("the project's id is none")
    return manifest


def malformed(why: str) -> VersoError:
    """The refusal of a file that isn't what a bundle is."""
    return VersoError("bundle_malformed", f"This is no bundle of Verso, or it was altered: {why}.")


def _row(line: bytes) -> Row:
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        row = None
    if not isinstance(row, dict) or line_of(row) != line:
        raise malformed("a line is no row, or is not written as a bundle's is")
    return row
