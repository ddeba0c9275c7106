"""What Storage refuses, and the one table from a refusal to its JSON.

Almost every refusal is HTTP 400 on the wire; the status a client acts on is the string `statusCode` in the
body (wire/storage.md, section 1). `error` is the old name that storage3 shows as `.code`, `code` the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

SERVER_ERROR = 500
_BROKEN = ("08", "57P")
"""Classes of SQLSTATE: the connection broke, the server is going down."""


class StorageFault(Exception):  # noqa: N818 - it is an answer, and most of them aren't this server's error
    """A refusal, with the status for the body (`status`) and the one for HTTP (`http`)."""

    def __init__(self, status: int, error: str, message: str, *, code: str, http: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        self.code = code
        self.http = http or (SERVER_ERROR if status == SERVER_ERROR else 400)
        self.settled = True
        """False when it isn't known whether the transaction happened: the connection broke."""

    def body(self) -> bytes:
        """The JSON that storage3 and supabase-js read: statusCode is a string."""
        return msgspec.json.encode(
            {"statusCode": str(self.status), "error": self.error, "message": self.message, "code": self.code},
        )


def no_such_bucket() -> StorageFault:
    """404: the bucket is missing, or the caller may not know."""
    return StorageFault(404, "Bucket not found", "Bucket not found", code="NoSuchBucket")


def no_such_key() -> StorageFault:
    """404: the object is missing, or not visible under row-level security."""
    return StorageFault(404, "not_found", "Object not found", code="NoSuchKey")


def no_bytes() -> StorageFault:
    """404: the row is there and its bytes are not, as after a row was inserted by plain SQL."""
    return StorageFault(404, "Not found", "The resource was not found", code="NoSuchKey")


def duplicate(code: str) -> StorageFault:
    """409: `code` is KeyAlreadyExists, ResourceAlreadyExists or BucketAlreadyExists."""
    return StorageFault(409, "Duplicate", "The resource already exists", code=code)


def denied(message: str, *, http: int | None = None) -> StorageFault:
    """403: a policy, a grant or a token."""
    return StorageFault(403, "Unauthorized", message, code="AccessDenied", http=http)


def invalid_request(message: str) -> StorageFault:
    """400: the request doesn't have the documented shape (the real server's schema validation)."""
    return StorageFault(400, "Error", message, code="InvalidRequest")


def no_content(message: str) -> StorageFault:
    """400: an upload without a usable body."""
    return StorageFault(400, "InvalidRequest", message, code="InvalidRequest")


def no_authorization() -> StorageFault:
    """400: the Authorization header is absent; an apikey alone doesn't count."""
    return invalid_request("headers must have required property 'authorization'")


def invalid_key(key: str) -> StorageFault:
    """400: a key with characters outside the allowed set, or with dot segments."""
    return StorageFault(400, "InvalidKey", f"Invalid key: {key}", code="InvalidKey")


def invalid_bucket_name() -> StorageFault:
    """400: a bucket name with characters outside the allowed set, too long, or with outer spaces."""
    return StorageFault(400, "Invalid Input", "Bucket name invalid", code="InvalidBucketName")


def invalid_parameter(message: str) -> StorageFault:
    """400: a value PostgreSQL can't read as the type it must be."""
    return StorageFault(400, "InvalidParameter", message, code="InvalidParameter")


def invalid_mime_type(mime: str) -> StorageFault:
    """415: not among the bucket's allowed_mime_types."""
    return StorageFault(
        415, "invalid_mime_type", f"mime type {mime} is not supported", code="InvalidMimeType"
    )


def too_large() -> StorageFault:
    """413: beyond the bucket's or the server's limit; the limit itself is allowed."""
    message = "The object exceeded the maximum allowed size"
    return StorageFault(413, "Payload too large", message, code="EntityTooLarge")


def invalid_range() -> StorageFault:
    """416, in HTTP too."""
    return StorageFault(416, "invalid_range", "invalid range provided", code="InvalidRange", http=416)


def invalid_jwt(message: str) -> StorageFault:
    """400: the token of a signed URL is forged, expired or no token."""
    return StorageFault(400, "InvalidJWT", message, code="InvalidJWT")


def invalid_signature(message: str = "Invalid signature") -> StorageFault:
    """400: the token of a signed URL is for something else."""
    return StorageFault(400, "InvalidSignature", message, code="InvalidSignature")


def bucket_not_empty() -> StorageFault:
    """409: delete_bucket of a bucket with objects."""
    message = "The bucket you tried to delete is not empty"
    return StorageFault(409, "ResourceNotEmpty", message, code="ResourceNotEmpty")


def internal(message: str = "Internal server error") -> StorageFault:
    """500: this server's own failure."""
    return StorageFault(SERVER_ERROR, "InternalError", message, code="InternalError")


def referenced() -> StorageFault:
    """409: another table's foreign key points to the object; row and bytes stay."""
    message = "The resource could not be updated or removed due to a foreign key constraint"
    return StorageFault(409, "ResourceReferenced", message, code="ResourceReferenced")


def from_database(error: Exception, *, exists: str = "ResourceAlreadyExists") -> StorageFault:
    """The refusal that PostgreSQL's error means; `exists` is the code for a unique violation (23505).

    A connection that broke says nothing about the commit: the fault is then not `settled`, and bytes must be
    kept, because an orphan file is harmless and a committed row without bytes is not.
    """
    state = str(getattr(error, "sqlstate", None) or "")
    if not state or state.startswith(_BROKEN):
        fault = _timed_out()
        fault.settled = False
        return fault
    text = str(getattr(error, "message", None) or error)
    if state == "23505":
        return duplicate(exists)
    if state == "23503" and "is still referenced from table" in str(getattr(error, "detail", None)):
        return referenced()
    make = _BY_STATE.get(state)
    return make(text) if make else _database_error(state)


def _database_error(state: str) -> StorageFault:
    return StorageFault(SERVER_ERROR, "DatabaseError", f"database error, code: {state}", code="DatabaseError")


def _timed_out(_: str = "") -> StorageFault:
    message = "The connection to the database timed out"
    return StorageFault(544, "DatabaseTimeout", message, code="DatabaseTimeout", http=544)


def _refused(text: str) -> StorageFault:
    return denied("new row violates row-level security policy" if "row-level security" in text else text)


def _related_missing(_: str) -> StorageFault:
    return StorageFault(404, "InvalidRequest", "The related resource does not exist", code="InvalidRequest")


def _too_many_connections(_: str) -> StorageFault:
    message = "Too many connections issued to the database"
    return StorageFault(429, "too_many_connections", message, code="SlowDown", http=429)


def _locked(_: str) -> StorageFault:
    return StorageFault(423, "ResourceLocked", "The resource is locked", code="ResourceLocked")


def _read_only(_: str) -> StorageFault:
    message = "The database is currently in read-only mode. Please try again later."
    return StorageFault(503, "DatabaseReadOnly", message, code="DatabaseReadOnly")


_BY_STATE: dict[str, Callable[[str], StorageFault]] = {
    "42501": _refused,
    "23503": _related_missing,
    "22P02": invalid_parameter,
    "25006": _read_only,
    "53300": _too_many_connections,
    "55P03": _locked,
    "57014": _timed_out,
}
