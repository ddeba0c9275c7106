"""Entity tags and preconditions (RFC 9110, 8.8.3 and 13). A version's ETag is its hash, always strong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from app.errors import VersoError

if TYPE_CHECKING:
    from litestar import Request

    from app.model import Document

_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(
    r'\s*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*(?:,\s*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*)*\Z'
)


CHOSEN_FORM = {"Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, Cookie"}
"""What caches are told of an answer that comes in several forms."""


def etag_of(version_hash: str) -> str:
    """The ETag of a version."""
    return f'"{version_hash}"'


def document_tag(document: Document) -> str:
    """The tag of a document's description: its head, and what may change without a new version."""
    if document.session is None:
        return document.head
    return f"{document.head}.{document.session}-{document.stage or ''}"


def field_of(request: Request[Any, Any, Any], name: str) -> str | None:
    """A header field's value; the lines of a repeated field are one list (RFC 9110, 5.3)."""
    lines = request.headers.getall(name, [])
    return ", ".join(lines) if lines else None


def base_of(request: Request[Any, Any, Any]) -> str | None:
    """The version that a write names as its base in If-Match; None when there is no If-Match.

    Raises VersoError `bad_condition` for `*` (it names no version), lists and malformed fields. A weak tag
    cannot match (RFC 9110, 13.1.1) and is handed on as it stands, so that the answer is 412.
    """
    field = field_of(request, "if-match")
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
    # A document's own tag says more than its head (document_tag); what it says besides is no base.
    return f"{weak}{tag.partition('.')[0]}"


def needed_base(request: Request[Any, Any, Any], what: str) -> str:
    """As base_of, where there must be one, of the version that `what` says. Raises `base_required`, too."""
    base = base_of(request)
    if base is None:
        raise VersoError("base_required", f"Send the ETag of {what} as If-Match.")
    return base


def wants_create(request: Request[Any, Any, Any]) -> bool:
    """Whether a write says `If-None-Match: *`: only if nothing is there. Raises `bad_condition`."""
    field = field_of(request, "if-none-match")
    if field is None:
        return False
    if field.strip() != "*":
        raise VersoError(
            "bad_condition", "A write takes If-None-Match: * only. To name a base, use If-Match."
        )
    if "if-match" in request.headers:
        raise VersoError(
            "bad_condition",
            "If-Match says that something is there, If-None-Match: * that nothing is. Send one of them.",
        )
    return True


def check_match(request: Request[Any, Any, Any], version_hash: str) -> None:
    """Raise VersoError `precondition_failed` when a read's If-Match names none such (strong comparison)."""
    field = field_of(request, "if-match")
    if field is None or field.strip() == "*":
        return
    if not any(tag == version_hash and not weak for weak, tag in _ETAG.findall(field)):
        raise VersoError(
            "precondition_failed",
            "The version here is another one than If-Match names. Read it without If-Match.",
            head=version_hash,
        )


def is_unchanged(request: Request[Any, Any, Any], version_hash: str) -> bool:
    """Whether If-None-Match has this version already (weak comparison, as for GET)."""
    field = field_of(request, "if-none-match")
    if field is None:
        return False
    return field.strip() == "*" or any(tag == version_hash for _, tag in _ETAG.findall(field))
