"""Entity tags and preconditions (RFC 9110, 8.8.3 and 13). A version's ETag is its hash, always strong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from app.errors import VersoError

if TYPE_CHECKING:
    from litestar import Request

_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(
    r'\s*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*(?:,\s*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*)*\Z'
)


def etag_of(version_hash: str) -> str:
    """The ETag of a version."""
    return f'"{version_hash}"'


def base_of(request: Request[Any, Any, Any]) -> str | None:
    """The version that a write names as its base in If-Match; None when there is no If-Match.

    Raises VersoError `bad_condition` for `*` (it names no version), lists and malformed fields. A weak tag
    cannot match (RFC 9110, 13.1.1) and is handed on as it stands, so that the answer is 412.
    """
    field = request.headers.get("if-match")
    if field is None:
        return None
    field = field.strip()
    if field == "*":
        raise VersoError(
            "bad_condition", "If-Match: * names no version. Send the ETag of the version that you have read."
        )
    if not _LIST.match(field):
        raise VersoError("bad_condition", 'If-Match is an ETag in quotation marks: If-Match: "<hash>".')
    tags = _ETAG.findall(field)
    if len(tags) != 1:
        raise VersoError("bad_condition", "If-Match names one version here: a write has one base.")
    weak, tag = tags[0]
    return f"{weak}{tag}"


def wants_create(request: Request[Any, Any, Any]) -> bool:
    """Whether a write says `If-None-Match: *`: only if nothing is there. Raises `bad_condition`."""
    field = request.headers.get("if-none-match")
    if field is None:
        return False
    if field.strip() != "*":
        raise VersoError(
            "bad_condition", "A write takes If-None-Match: * only. To name a base, use If-Match."
        )
    return True


def is_unchanged(request: Request[Any, Any, Any], version_hash: str) -> bool:
    """Whether If-None-Match has this version already (weak comparison, as for GET)."""
    field = request.headers.get("if-none-match")
    if field is None:
        return False
    return field.strip() == "*" or any(tag == version_hash for _, tag in _ETAG.findall(field))
