"""A version's bytes out: conditional, in ranges, with digests, and so that a hostile document stays one.

Content is never run as this site: `nosniff`, a sandboxing policy, and an attachment for whatever a
browser would execute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from litestar import Response
from litestar.response import Stream

from app.api.conditions import check_match, etag_of, is_unchanged
from app.api.digests import digest_field
from app.api.links import version_links
from app.api.ranges import range_of
from app.flows.read_content import check_readable, read_content

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar import Request

    from app.model import VersionRead
    from app.supabase.blobs import Blobs
    from app.supabase.cache import Content
    from app.supabase.identity import Actor

LATEST = "private, no-cache"
"""A path's newest version changes: ask again, with the ETag."""
FOREVER = "private, max-age=31536000, immutable"
"""A numbered version never changes."""
_SHOWN = (
    "text/plain",
    "text/markdown",
    "text/csv",
    "application/json",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
)
_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Browsers draw a plain text or a picture with styles of their own, which count as inline."""


async def answer_content(
    request: Request[Any, Any, Any], *, blobs: Blobs, actor: Actor, read: VersionRead, cache_control: str
) -> Response[Any]:
    """Answer GET or HEAD with a version's bytes: 200, 206 or 304. Raises VersoError.

    HEAD and 304 cost no look at storage. If-Modified-Since is not evaluated: two versions can share a
    second, and nobody shall be told that nothing changed when something did.
    """
    version = read.version
    headers = _validators(read, cache_control)
    if version.sha256 is not None:
        check_readable(read)  # of what was erased nobody is told that their copy is still good
    check_match(request, version.hash)
    if is_unchanged(request, version.hash):
        return Response(None, status_code=304, headers=headers)
    headers |= _description(read)
    if version.sha256 is None:
        await read_content(blobs, actor=actor, read=read)  # says that a delete has no content
    size = version.size or 0
    headers["Content-Type"] = _with_charset(version.media_type or "application/octet-stream")
    if request.method == "HEAD":
        return Response(None, headers=headers | {"Content-Length": str(size)})
    part = None
    if request.headers.get("if-range") in {None, etag_of(version.hash)}:
        part = range_of(request.headers.get("range"), size=size)
    content = await read_content(blobs, actor=actor, read=read)
    start, stop = part or (0, size)
    headers["Content-Length"] = str(stop - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    status = 200 if part is None else 206
    return send(content, start, stop, status=status, headers=headers)


def send(
    content: Content, start: int, stop: int, *, status: int = 200, headers: dict[str, str]
) -> Response[Any]:
    """An answer with the bytes [start, stop) of a content, which is closed when they are sent."""
    if content.data is not None:
        return Response(content.data[start:stop], status_code=status, headers=headers)
    return Stream(_pieces(content, start, stop), status_code=status, headers=headers)


async def _pieces(content: Content, start: int, stop: int) -> AsyncIterator[bytes]:
    with content:
        async for piece in content.chunks(start, stop):
            yield piece


def _validators(read: VersionRead, cache_control: str) -> dict[str, str]:
    """All that a 304 says (RFC 9110, 15.4.5), and where the version stands now."""
    return {
        "ETag": etag_of(read.version.hash),
        "Cache-Control": cache_control,
        "Vary": "Authorization, Cookie",
        "Link": version_links(read.version, read.head),
    }


def _description(read: VersionRead) -> dict[str, str]:
    version = read.version
    headers = {
        "Accept-Ranges": "bytes",
        "Last-Modified": version.change.committed_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "Verso-Version": str(version.number),
        "Verso-Change": str(version.change.sequence),
        "Verso-Document": version.document,
        "Content-Security-Policy": _POLICY,
        "Content-Disposition": _disposition(version.path, version.media_type or ""),
    }
    if version.sha256 is not None:
        headers["Repr-Digest"] = digest_field(version.sha256)
    return headers


def _disposition(path: str, media_type: str) -> str:
    name = path.rpartition("/")[2]
    kind = "inline" if media_type.partition(";")[0].strip() in _SHOWN else "attachment"
    plain = "".join(
        each if each.isascii() and each.isprintable() and each not in '"\\%' else "_" for each in name
    )
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _with_charset(media_type: str) -> str:
    return (
        f"{media_type}; charset=utf-8"
        if media_type.startswith("text/") and ";" not in media_type
        else media_type
    )
