"""Which object keys and bucket names Storage takes (wire/storage.md, section 7)."""

from __future__ import annotations

import re

from app.local.storage import faults

_KEY = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]+")
_BUCKET = re.compile(r"[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,100}")
_PLACEHOLDER = ".emptyFolderPlaceholder"
SEGMENT_LIMIT = 255
"""Bytes in one segment of a key on the real file backend; the keys are ASCII, so also characters."""


def check_key(key: str) -> None:
    """Refuse a key with characters that Storage doesn't take.

    Slashes may lead, trail and repeat, spaces may lead and trail: each spelling is a key of its own.

    Raises
    ------
        StorageFault: InvalidKey (400).

    """
    if not _KEY.fullmatch(key):
        raise faults.invalid_key(key)


def check_storable(key: str) -> None:
    """Refuse a key that the real file backend has no file for. Nothing is stored under such keys.

    Raises
    ------
        StorageFault: InvalidKey (400) for dot segments, InternalError (500) for one of more than 255 bytes.

    """
    segments = key.split("/")
    if "." in segments or ".." in segments:
        raise faults.invalid_key(key)
    if any(len(segment) > SEGMENT_LIMIT for segment in segments):
        raise faults.internal()


def check_bucket_name(name: str) -> None:
    """Refuse a bucket name that the real server refuses.

    Raises
    ------
        StorageFault: InvalidBucketName (400).

    """
    if not _BUCKET.fullmatch(name) or name != name.strip():
        raise faults.invalid_bucket_name()


def is_placeholder(key: str) -> bool:
    """Whether the key marks an empty folder; such an object must be 0 bytes and may have any type."""
    return key.endswith(_PLACEHOLDER)
