"""What paths, digests, short names, tags and media types must be; in SQL, too (migrations 0100, 1200)."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

from app.errors import VersoError

MAX_PATH_BYTES = 1024
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
SLUG = r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?"
"""The short name of a project or a session, and the name of an agent."""
_SLUG = re.compile(SLUG + r"\Z")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}\Z")
_NO_TAG = re.compile(r"(v?[0-9]+|[0-9a-f]{40}|[0-9a-f]{64})\Z|[0-9]{4}-[0-9]{2}-[0-9]{2}|.*(//|\.\.)|.*/\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+( *; *[a-z0-9_.+-]+=[A-Za-z0-9_.+-]+)*\Z")
_QUOTED_TOKEN = re.compile(r'="([A-Za-z0-9_.+-]+)"')
"""charset="utf-8" and charset=utf-8 are the same (RFC 9110, 5.6.6)."""
MAX_MEDIA_TYPE_LENGTH = 200
_MOST_OF_ONE = 4
"""The most characters that normalisation form C makes one of (UAX #15)."""
_MARKS_OF_ONE = str.maketrans(
    {each: unicodedata.normalize("NFD", each) for each in "\u0344\u0f73\u0f75\u0f81"}
)
"""Marks that are two (UAX #15, 'non-starter decompositions')."""


def erased_note(sha256: str) -> bytes:
    """What stands in the place of a content whose bytes were erased, where something has to."""
    return f"The bytes of this version were erased.\nsha256 {sha256}\n".encode()


def nfc(text: str) -> str:
    """A text in Unicode's normalisation form C, in a time that grows with its length.

    Python puts marks in their order one by one: 32,000 of them took 4 s, and 8 MiB would have taken days.
    So they are put in order before.
    """
    if text.isascii():
        return text
    runs = groupby(text.translate(_MARKS_OF_ONE), key=lambda each: unicodedata.combining(each) > 0)
    ordered = ("".join(sorted(run, key=unicodedata.combining) if marks else run) for marks, run in runs)
    return unicodedata.normalize("NFC", "".join(ordered))


def normal_path(path: str) -> str:
    """The path in NFC; raises VersoError `bad_path` with the reason when it can't be a document's path.

    UTF-8 of 1 to 1024 bytes, segments divided by `/`, none of them empty, `.` or `..`, no control
    characters (C0, DEL, C1, U+2028, U+2029). Colons, blanks, asterisks and every script are fine.
    """
    normal = nfc(path) if len(path) <= _MOST_OF_ONE * MAX_PATH_BYTES else path
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


def is_slug(text: str) -> bool:
    """Whether the text is 1 to 64 of a-z 0-9 . _ -, first and last a letter or digit."""
    return _SLUG.match(text) is not None


def is_tag_name(text: str) -> bool:
    """Whether a tag may be called so: 1 to 100 of A-Z a-z 0-9 . _ / -, nothing that means another point."""
    return _TAG.match(text) is not None and _NO_TAG.match(text) is None


def normal_media_type(text: str) -> str:
    """A media type in lower case (parameters' values as they are); raises VersoError `bad_media_type`."""
    kind, semicolon, parameters = _QUOTED_TOKEN.sub(r"=\1", text).strip().partition(";")
    normal = kind.strip().lower() + (semicolon + parameters if semicolon else "")
    if len(normal) > MAX_MEDIA_TYPE_LENGTH or not _MEDIA_TYPE.match(normal):
        raise VersoError(
            "bad_media_type", "The content type is not one: use the form type/subtype, e.g. text/markdown."
        )
    return normal
