"""Raw Git objects taken apart: commits, trees and annotated tags, as bytes, whatever their encoding says.

libgit2 normalises modes and guesses encodings; an import must know what is really there.
"""

from __future__ import annotations

import codecs
import re
from datetime import UTC, datetime, timedelta

import msgspec

from app.errors import VersoError
from app.git.read.notes import Notes, read_notes

MAX_MESSAGE_BYTES = 65536
MAX_COMMIT_BYTES = 1024 * 1024
"""The largest commit object that is kept, with its headers."""
_WHEN = re.compile(rb"(?: (-?\d{1,18}))?(?: ([+-]\d{1,4}))?\Z")
_LONGEST_WHEN = 32
_MODE = re.compile(rb"[0-7]{1,7}\Z")
_ID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?(?![^\n])")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SLOW = frozenset({"idna", "punycode"})
"""Encodings of names of hosts, no texts: what they take grows with the square of the length."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253370764799
"""The end of the year 9998: what is beyond can be said neither by Python nor by RFC 3339 in every zone."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A person as a commit names them, decoded; never empty, never with control characters."""

    name: str
    email: str


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """Who and when."""

    who: Identity
    seconds: int
    """Seconds since 1970 in UTC, as they stand there; 0 when they can't be read."""
    exact: datetime | None = None
    """The time as Verso had it, in a commit that it wrote: Git knows only seconds."""

    @property
    def moment(self) -> datetime:
        """The time in UTC, within the years 1970 to 9998."""
        return self.exact or moment_of(self.seconds)


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit object."""

    id: str
    tree: bytes
    parents: tuple[str, ...]
    author: Stamp
    committer: Stamp
    message: str
    """Decoded, without NUL, at most 64 KiB in UTF-8; `raw` has all of it."""
    raw: bytes
    notes: Notes | None = None
    """What Verso says of a commit that it wrote itself."""


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """An annotated tag object."""

    target: str
    message: str
    raw: bytes


def moment_of(seconds: int) -> datetime:
    """A Git time as a time in UTC, within the years 1970 to 9998."""
    return _EPOCH + timedelta(seconds=min(max(seconds, 0), _LAST_SECOND))


def parse_commit(object_id: str, raw: bytes) -> Commit:
    """A commit from its bytes. Raises ValueError when it has no tree."""
    headers, message = _split(raw)
    single = dict(reversed(headers))  # of repeated headers the first one counts
    encoding = single.get(b"encoding", b"")
    tree = _ID.match(single.get(b"tree", b""))
    if tree is None:
        raise ValueError(f"{object_id} has no tree")
    parents = (_ID.match(value) for name, value in headers if name == b"parent")
    notes = read_notes(single.get(b"verso"))
    author = _stamp(single.get(b"author", b""), encoding)
    if notes is not None:
        who = msgspec.structs.replace(author.who, name=notes.author_name or author.who.name)
        author = msgspec.structs.replace(author, who=who, exact=notes.authored_at)
    return Commit(
        id=object_id,
        tree=bytes.fromhex(tree[0].decode("ascii")),
        parents=tuple(found[0].decode("ascii") for found in parents if found),
        author=author,
        committer=_stamp(single.get(b"committer", b""), encoding),
        message=_message(message, encoding),
        raw=raw,
        notes=notes,
    )


def parse_tag(raw: bytes) -> Tag:
    """An annotated tag from its bytes. Raises KeyError when it names no object."""
    headers, message = _split(raw)
    single = dict(reversed(headers))
    return Tag(
        target=single[b"object"].decode("ascii"),
        message=_message(message, single.get(b"encoding", b"")),
        raw=raw,
    )


def parse_tree(raw: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """A tree's entries in their order: mode as it is written, raw name, object id (20 bytes).

    Raises ValueError when it isn't a tree.
    """
    entries = []
    at = 0
    while at < len(raw):
        blank = raw.index(b" ", at)
        end = raw.index(b"\0", blank)
        mode = raw[at:blank]
        if not _MODE.match(mode):
            raise ValueError(f"{mode[:10]!r} is no mode")
        entries.append((mode, raw[blank + 1 : end], raw[end + 1 : end + 21]))
        at = end + 21
    if at > len(raw):
        raise ValueError("it ends too early")
    return entries


def object_missing(kind: str, oid: bytes) -> VersoError:
    """What to say of a tree or a content (by its id) that can't be read."""
    return VersoError(
        "git_object_missing",
        f"The {kind} {oid.hex()} is missing or damaged. Was the repository cloned with --filter? Then clone "
        "it whole; else `git fsck` says more.",
        object=oid.hex(),
    )


def decode(data: bytes, encoding: bytes = b"") -> str:
    """Text in the encoding that its commit names, else UTF-8, else Latin-1, which can be every byte."""
    named = encoding.decode("ascii", "replace").strip()
    for each in (named, "utf-8"):
        try:
            if each and codecs.lookup(each).name not in _SLOW:
                return data.decode(each)
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1")


def cut(text: str, limit: int) -> str:
    """The text's beginning, at most `limit` bytes in UTF-8, between two characters."""
    data = text.encode("utf-8", "surrogatepass")
    return text if len(data) <= limit else data[:limit].decode("utf-8", "ignore")


def _split(raw: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    head, _, message = raw.partition(b"\n\n")
    headers: list[tuple[bytes, list[bytes]]] = []
    for line in head.split(b"\n"):
        if line.startswith(b" ") and headers:  # the signature's and other long headers go on so
            headers[-1][1].append(line[1:])
        else:
            name, _, value = line.partition(b" ")
            headers.append((name, [value]))
    return [(name, b"\n".join(lines)) for name, lines in headers], message


def _stamp(line: bytes, encoding: bytes) -> Stamp:
    """Who and when, in one pass: an author's line may be as long as somebody likes."""
    name, _, rest = line.partition(b"<")
    email, closed, end = rest.partition(b">")
    found = _WHEN.search(end.rstrip()[-_LONGEST_WHEN:])
    seconds = int(found[1] or 0) if found and closed else 0
    name, email = (name.removesuffix(b" "), email) if closed else (line, b"")
    mail = _one_line(decode(email, encoding), 320)
    return Stamp(
        who=Identity(name=_one_line(decode(name, encoding), 200) or mail or "unknown", email=mail),
        seconds=seconds,
    )


def _one_line(text: str, limit: int) -> str:
    return cut(_CONTROL.sub(" ", _scalar(text)).strip(), limit)


def _message(data: bytes, encoding: bytes) -> str:
    return cut(_scalar(decode(data, encoding)).replace("\0", ""), MAX_MESSAGE_BYTES)


def _scalar(text: str) -> str:
    """The text without lone surrogates, which some encodings let through and UTF-8 can't say."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text
