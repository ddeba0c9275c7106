"""Link relations (RFC 8288; RFC 5829 for versions) and opaque cursors for paging."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from litestar import Response

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Request

    from app.model import Head, VersionState

T = TypeVar("T")
MAX_POSITION = 2**31
"""Versions and changes are counted with 31 bits in cursors, as versions are in the database."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list. `next` is the cursor of the page after it, or null on the last one."""

    items: list[T]
    next: str | None


def cursor_of(value: str | int) -> str:
    """An opaque cursor for a position."""
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


def position_of(cursor: str | None, kind: type[T]) -> T | None:
    """The position in a cursor; None without one. Raises VersoError `bad_cursor`."""
    if cursor is None:
        return None
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        found = None
    if found is None or (isinstance(found, int) and not 0 < found < MAX_POSITION) or "\x00" in str(found):
        raise VersoError("bad_cursor", "Use the cursor of the page before as it is, or none.")
    return found


def next_link(
    request: Request[Any, Any, Any], cursor: str | int | None, *, name: str = "cursor"
) -> dict[str, str]:
    """The Link header of a page: rel="next" with the same filters; `name` is the cursor's in the query."""
    if cursor is None:
        return {}
    query = [(each, value) for each, value in request.query_params.multi_items() if each != name]
    return {"Link": f'<{quote(request.scope["path"])}?{urlencode([*query, (name, cursor)])}>; rel="next"'}


def page_of(
    request: Request[Any, Any, Any], found: list[T], size: int, place: Callable[[T], str | int]
) -> Response[Page[T]]:
    """What was found as a page with its Link, cut as `cut` does it."""
    items, following = cut(found, size, place)
    return Response(Page(items, following), headers=next_link(request, following))


def cut(found: list[T], size: int, place: Callable[[T], str | int]) -> tuple[list[T], str | None]:
    """The first `size` of what was found, where one more was asked for, and the cursor of what follows these.

    `place` says where an entry stands in the list.
    """
    return found[:size], cursor_of(place(found[size - 1])) if len(found) > size else None


def version_url(version: VersionState) -> str:
    """Where a version is described."""
    return f"/v1/documents/{version.document}/versions/{version.number}"


def version_links(version: VersionState, head: Head | None) -> str:
    """The Link header of a version (RFC 5829): history, latest, predecessor, successor."""
    document = f"/v1/documents/{version.document}"
    links = [f'<{document}/versions>; rel="version-history"', f'<{document}>; rel="latest-version"']
    if version.number > 1:
        links.append(f'<{document}/versions/{version.number - 1}>; rel="predecessor-version"')
    if head is not None and version.number < head.number:
        links.append(f'<{document}/versions/{version.number + 1}>; rel="successor-version"')
    return ", ".join(links)
