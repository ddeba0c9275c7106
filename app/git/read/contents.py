"""Blobs as an import takes them: their SHA-256, their size, and whether they must stay out.

A private key that was committed once is in a Git history for ever; here it need not get in.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple

import pygit2

from app.git.read.objects import object_missing
from app.model.modes import SUBMODULE

KEY_FOUND = "holds a private key"
_PRIVATE_KEY = re.compile(
    rb"^-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----\r?\n"
    rb"(?:[A-Za-z-]+: [^\n]*\n)*\s*[A-Za-z0-9+/=]{40}",
    re.MULTILINE,
)
"""With the key itself below: a text that only quotes the line explains something and is taken. A line's end
is matched in one way only: with two, 40 lines of CRLF would take days."""
_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_BINARY_LOOKED_AT = 8000
"""Git calls a content binary when its first 8,000 bytes have a NUL."""


class Content(NamedTuple):
    """What is known of a blob."""

    sha256: bytes
    size: int
    binary: bool
    lfs_pointer: bool
    reason: str | None
    """Why it must stay out, or None."""


class Contents:
    """A repository's blobs by their ids; keeps some 250 bytes for each that it met. Not for two threads."""

    def __init__(self, repository: Any, *, keep_keys: bool = False) -> None:
        self._repository = repository
        self._keep_keys = keep_keys
        self._known: dict[bytes, Content] = {}

    def verdict(self, mode: str, oid: bytes) -> str | None:
        """Why a content must stay out, or None."""
        return None if mode == SUBMODULE else self.look(mode, oid).reason

    def look(self, mode: str, oid: bytes) -> Content:
        """What is known of a content; it is read when it is met first."""
        held = self._known.get(oid)
        if held is None:
            held = self._known[oid] = examined(self.read(mode, oid), keep_keys=self._keep_keys)
        return held

    def read(self, mode: str, oid: bytes) -> bytes:
        """The bytes; a submodule's content is its commit's id in 40 digits.

        Raises VersoError `git_object_missing` when they aren't there: `git clone --filter` leaves them out.
        """
        if mode == SUBMODULE:
            return oid.hex().encode()
        try:
            _, data = self._repository.odb.read(oid.hex())
        except (KeyError, pygit2.GitError) as error:
            raise object_missing("content", oid) from error
        return bytes(data)


def examined(data: bytes, *, keep_keys: bool = False) -> Content:
    """What is worth knowing of some bytes."""
    return Content(
        sha256=hashlib.sha256(data).digest(),
        size=len(data),
        binary=b"\0" in data[:_BINARY_LOOKED_AT],
        lfs_pointer=data.startswith(_LFS),
        reason=KEY_FOUND if not keep_keys and has_private_key(data) else None,
    )


def has_private_key(data: bytes) -> bool:
    """Whether a text holds a private key in one of the forms that start with BEGIN … PRIVATE KEY."""
    return b"PRIVATE KEY" in data and _PRIVATE_KEY.search(data) is not None


def blob_id(data: bytes) -> bytes:
    """Git's id (20 bytes) of a blob with these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).digest()
