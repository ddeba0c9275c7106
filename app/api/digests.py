"""Content-Digest and Repr-Digest (RFC 9530), SHA-256."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from litestar.datastructures import Headers

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Mapping

# A dictionary member of RFC 8941 whose value is a byte sequence; parameters mean nothing here.
_MEMBER = re.compile(r"[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;[^,]*)?[ \t]*\Z")
_SHA256_BYTES = 32


def digest_field(sha256: str) -> str:
    """The value of Repr-Digest or Content-Digest for a hexadecimal SHA-256."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def claimed_sha256(headers: Mapping[str, str]) -> str | None:
    """The SHA-256 that a request claims for its content, or None.

    Other algorithms are ignored, as the RFC allows. Raises VersoError `bad_digest`.
    """
    claimed: str | None = None
    for name in ("content-digest", "repr-digest"):
        if name not in headers:
            continue
        for member in ",".join(_lines(headers, name)).split(","):
            found = _MEMBER.match(member)
            if found is None:
                raise VersoError("bad_digest", f"{name.title()} has the form sha-256=:<base64>: (RFC 9530).")
            if found[1] != "sha-256":
                continue
            try:
                value = base64.b64decode(found[2], validate=True)
            except binascii.Error:
                value = b""
            if len(value) != _SHA256_BYTES:
                raise VersoError("bad_digest", f"{name.title()} holds no SHA-256: 32 bytes in base64.")
            if claimed not in {None, value.hex()}:
                raise VersoError("bad_digest", "Content-Digest and Repr-Digest contradict each other.")
            claimed = value.hex()
    return claimed


def _lines(headers: Mapping[str, str], name: str) -> list[str]:
    """All lines of a field; a part of a multipart body has a plain mapping of headers."""
    return headers.getall(name) if isinstance(headers, Headers) else [headers[name]]


def check_digest(claimed: str | None, sha256: str) -> None:
    """Raise VersoError `digest_mismatch` when other bytes came than were announced."""
    if claimed is not None and claimed != sha256:
        raise VersoError(
            "digest_mismatch",
            "The bytes that arrived are not those of the digest. Nothing was changed; send them again.",
            claimed=claimed,
            arrived=sha256,
        )
