"""Downloads, info and HEAD (wire/storage.md, section 6). One database round trip each.

Conditions and ranges are judged as the real server judges them, which is not always RFC 9110: an
If-None-Match must be the ETag to the letter, a Range that can't be served is 416, If-Range and If-Match are
ignored.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import msgspec

from app.local.storage import callers, faults
from app.local.storage.exchange import Answer, FilePart, Headers
from app.local.storage.names import check_key
from app.local.storage.ranges import parse_range
from app.local.storage.rows import NOBODY, Who

if TYPE_CHECKING:
    from app.local.storage.exchange import Request
    from app.local.storage.service import Service

View = Literal["caller", "public", "signed"]
_OPEN_ATTEMPTS = 3
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


async def get(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """GET /object/{bucket}/{name}: without a good token only public buckets are seen."""
    who = callers.optional(request, service.keys)
    return await _download(service, request, who, (bucket, name), view="caller")


async def get_authenticated(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """GET /object/authenticated/{bucket}/{name}: the token is required and must hold."""
    who = callers.required(request, service.keys)
    return await _download(service, request, who, (bucket, name), view="caller")


async def get_public(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """GET /object/public/{bucket}/{name}: no token is looked at."""
    return await _download(service, request, NOBODY, (bucket, name), view="public")


async def get_signed(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """GET /object/sign/{bucket}/{name}?token=…: the token is the permission."""
    token = request.query.get("token")
    if token is None:
        raise faults.invalid_request("querystring must have required property 'token'")
    claims = service.signer.verify(token, f"{bucket}/{name}", "download")
    expires = format_datetime(datetime.fromtimestamp(claims["exp"], UTC), usegmt=True)
    return await _download(service, request, NOBODY, (bucket, name), view="signed", expires=expires)


async def info(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """GET /object/info/{bucket}/{name}."""
    return await _info(service, callers.optional(request, service.keys), (bucket, name), view="caller")


async def info_authenticated(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """GET /object/info/authenticated/{bucket}/{name}."""
    return await _info(service, callers.required(request, service.keys), (bucket, name), view="caller")


async def info_public(service: Service, request: Request, bucket: str, name: str) -> Answer:  # noqa: ARG001
    """GET /object/info/public/{bucket}/{name}."""
    return await _info(service, NOBODY, (bucket, name), view="public")


async def head(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """HEAD /object/{bucket}/{name}: the headers of the row, without looking at the file."""
    return await _head(
        service, request, callers.optional(request, service.keys), (bucket, name), view="caller"
    )


async def head_authenticated(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """HEAD /object/authenticated/{bucket}/{name}."""
    return await _head(
        service, request, callers.required(request, service.keys), (bucket, name), view="caller"
    )


async def head_public(service: Service, request: Request, bucket: str, name: str) -> Answer:
    """HEAD /object/public/{bucket}/{name}."""
    return await _head(service, request, NOBODY, (bucket, name), view="public")


async def _see(service: Service, who: Who, operation: str, place: tuple[str, str], *, view: View) -> Any:
    row = await service.rows.one("see", who, operation, *place, view)
    if row["verdict"] == "bucket":
        raise faults.no_such_bucket()
    check_key(place[1])
    if row["verdict"] == "key":
        raise faults.no_such_key()
    return row


async def _download(
    service: Service,
    request: Request,
    who: Who,
    place: tuple[str, str],
    *,
    view: View,
    expires: str | None = None,
) -> Answer:
    missing = ""
    for _ in range(_OPEN_ATTEMPTS):
        row = await _see(service, who, "storage.object.get_authenticated", place, view=view)
        if row["version"] == missing:
            break
        # An overwrite between the row and the file takes the bytes away: the new row names the new ones.
        missing = row["version"]
        path = service.files.path(*place, row["version"])
        try:
            descriptor = os.open(path, os.O_RDONLY) if path is not None else None
        except FileNotFoundError:
            continue
        if descriptor is None:
            break
        try:
            return _asset(request, descriptor, metadata=_decode(row["metadata"]), expires=expires)
        except BaseException:
            os.close(descriptor)
            raise
    raise faults.no_bytes()


def _asset(request: Request, descriptor: int, *, metadata: dict[str, Any], expires: str | None) -> Answer:
    size = os.fstat(descriptor).st_size
    etag = str(metadata.get("eTag", ""))
    asked = request.headers.get("if-none-match")
    headers = _headers(metadata)
    headers.append((b"accept-ranges", b"bytes"))
    headers.append((b"content-type", _content_type(metadata)))
    if expires is not None:
        headers.append((b"expires", expires.encode()))
    else:
        stale = ", stale-while-revalidate=30" if asked and asked != etag else ""
        headers.append((b"cache-control", _plain(_cache_control(metadata) + stale)))
    if (download := request.query.get("download")) is not None:
        headers.append((b"content-disposition", _attachment(download)))
    if asked == etag or _not_modified_since(request.headers.get("if-modified-since"), metadata):
        os.close(descriptor)
        return Answer(304, headers)
    if (wanted := request.headers.get("range")) is not None:
        first, last = parse_range(wanted, size)
        headers.append((b"content-range", f"bytes {first}-{last}/{size}".encode()))
        return Answer(206, headers, file=FilePart(descriptor, first, last - first + 1))
    return Answer(200, headers, file=FilePart(descriptor, 0, size))


async def _info(service: Service, who: Who, place: tuple[str, str], *, view: View) -> Answer:
    operation = "storage.object.info_public" if view == "public" else "object.get_authenticated_info"
    row = await _see(service, who, operation, place, view=view)
    metadata = _decode(row["metadata"])
    body = {
        "id": str(row["id"]),
        "name": place[1],
        "version": row["version"],
        "bucket_id": place[0],
        "size": metadata.get("size"),
        "content_type": metadata.get("mimetype"),
        "cache_control": metadata.get("cacheControl"),
        "etag": metadata.get("eTag"),
        "metadata": msgspec.Raw(row["user_metadata"].encode()) if row["user_metadata"] is not None else None,
        "last_modified": row["updated_at"],
        "created_at": row["created_at"],
    }
    headers = _headers(metadata)
    headers.append((b"content-type", b"application/json"))
    headers.append((b"cache-control", _plain(_cache_control(metadata))))
    return Answer(200, headers, msgspec.json.encode(body))


async def _head(
    service: Service, request: Request, who: Who, place: tuple[str, str], *, view: View
) -> Answer:
    operation = "storage.object.info_public" if view == "public" else "object.head_authenticated_info"
    row = await _see(service, who, operation, place, view=view)
    metadata = _decode(row["metadata"])
    asked = request.headers.get("if-none-match")
    stale = ", must-revalidate" if asked and asked != metadata.get("eTag") else ""
    headers = _headers(metadata)
    headers.append((b"accept-ranges", b"bytes"))
    headers.append((b"content-type", _content_type(metadata)))
    headers.append((b"content-length", _plain(str(metadata.get("contentLength", 0)))))
    headers.append((b"cache-control", _plain(_cache_control(metadata) + stale)))
    return Answer(200, headers)


def _decode(metadata: str | None) -> dict[str, Any]:
    value = msgspec.json.decode(metadata) if metadata else None
    return value if isinstance(value, dict) else {}


def _headers(metadata: dict[str, Any]) -> Headers:
    headers: Headers = [(b"x-robots-tag", b"none")]
    if etag := metadata.get("eTag"):
        headers.append((b"etag", _plain(str(etag))))
    if (modified := _modified(metadata)) is not None:
        headers.append((b"last-modified", format_datetime(modified, usegmt=True).encode()))
    return headers


def _content_type(metadata: dict[str, Any]) -> bytes:
    """The stored type. HTML is served as text/plain, so that a document can't run in Storage's origin."""
    mime = str(metadata.get("mimetype") or "application/octet-stream")
    return b"text/plain" if "text/html" in mime else _plain(mime)


def _plain(value: str) -> bytes:
    """A header's value: what a client stored as its type may hold line breaks, which would end the header."""
    return _CONTROL.sub("", value).encode("latin-1", "replace")


def _cache_control(metadata: dict[str, Any]) -> str:
    return str(metadata.get("cacheControl") or "no-cache")


def _modified(metadata: dict[str, Any]) -> datetime | None:
    """The time as UTC, which a row written by plain SQL may say in its own way."""
    try:
        stored = datetime.fromisoformat(str(metadata.get("lastModified")))
        return stored.astimezone(UTC) if stored.tzinfo else stored.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _not_modified_since(header: str | None, metadata: dict[str, Any]) -> bool:
    """Compare at full precision, as the real server does: a Last-Modified sent back is mostly too old."""
    modified = _modified(metadata)
    if header is None or modified is None:
        return False
    try:
        since = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # a year of twenty digits is the latter
        return False
    return modified <= (since if since.tzinfo else since.replace(tzinfo=UTC))


def _attachment(download: str) -> bytes:
    if download == "":
        return b"attachment;"
    encoded = quote(download, safe="-_.!~*'()")
    return f"attachment; filename={encoded}; filename*=UTF-8''{encoded}".encode()
