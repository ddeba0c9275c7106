"""Memento (RFC 7089): a path as it was at a time, asked for in the `Accept-Datetime` header.

A file's address is its own TimeGate (pattern 1.1): with `Accept-Datetime` it answers 302 with the address of
the version of that time, a Memento, which never changes. Each document has a TimeMap of all of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.api.links import cut, next_link, position_of, version_url
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.errors import VersoError
from app.model import Version, VersionRead
from app.supabase.identity import Actor

ROUTE = "/v1/documents/{document:uuid}/timemap"
LINK_FORMAT = "application/link-format"
_FORM = "%a, %d %b %Y %H:%M:%S GMT"


def wanted_time(request: Request[Any, Any, Any]) -> datetime | None:
    """The time in Accept-Datetime, or None without one. Raises VersoError `bad_request` (RFC 7089, 2.1.1)."""
    field = request.headers.get("accept-datetime")
    if field is None:
        return None
    try:
        return datetime.strptime(field.strip(), _FORM).replace(tzinfo=UTC)
    except ValueError:
        raise VersoError(
            "bad_request", "Accept-Datetime is a time such as `Thu, 31 May 2007 20:35:00 GMT`."
        ) from None


async def memento_at(
    services: Services, *, actor: Actor, project: str, path: str, moment: datetime
) -> Response[None]:
    """302 to the version that a path had at a time, or to its first one before that. Raises VersoError."""
    # A Memento's time has no fractions: the whole second counts.
    point = moment.strftime("%Y-%m-%dT%H:%M:%S.999999Z")
    try:
        read = await services.ledger.read_file(actor.token, project=project, path=path, at=point)
    except VersoError as error:
        if error.code != "document_not_found":
            raise
        now = await services.ledger.read_file(actor.token, project=project, path=path)
        read = await services.ledger.read_version(actor.token, document=now.version.document, at="v1")
        if read.version.change.committed_at <= moment:
            raise  # it was deleted then, or elsewhere
    headers = {
        "Location": f"{version_url(read.version)}/content",
        "Vary": "Authorization, Cookie, Accept-Datetime",
        "Link": memento_links(read.version),
        "Cache-Control": "private, no-cache",
    }
    return Response(None, status_code=302, headers=headers)


def memento_links(version: Version) -> str:
    """The Link relations of RFC 7089 (2.2): the path is original resource and TimeGate in one."""
    return (
        f'<{_original(version)}>; rel="original timegate", '
        f'<{_timemap(version.document)}>; rel="timemap"; type="{LINK_FORMAT}"'
    )


def with_timegate(response: Response[Any], read: VersionRead) -> Response[Any]:
    """The answer of a path's address, which is a TimeGate."""
    response.headers["Link"] = f"{response.headers['Link']}, {memento_links(read.version)}"
    response.headers["Vary"] = "Authorization, Cookie, Accept-Datetime"
    return response


def as_memento(response: Response[Any], read: VersionRead) -> Response[Any]:
    """The answer of a version's bytes, which are a Memento."""
    response.headers["Memento-Datetime"] = _time(read.version)
    response.headers["Link"] = f"{response.headers['Link']}, {memento_links(read.version)}"
    return response


@get(ROUTE, tags=["documents"], summary="When a document was what: its TimeMap")
async def read_timemap(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[str]:
    """Every version with its time as `application/link-format` (RFC 7089, 5), newest first, a page at a time.

    Deletes have no content and are left out.
    """
    size = page_size(limit, services.settings)
    found = await services.ledger.list_versions(
        actor.token, document=str(document), before=position_of(cursor, int), page_size=size + 1
    )
    shown, following = cut(found, size, lambda each: each.number)
    headers = next_link(request, following)
    own = quote(request.scope["path"])
    lines = []
    mementos = [version for version in shown if version.sha256 is not None]
    if shown:
        lines.append(f'<{_original(shown[0])}>; rel="original timegate"')
    span = f'; from="{_time(shown[-1])}"; until="{_time(shown[0])}"' if shown else ""
    lines.append(f'<{own}>; rel="self"; type="{LINK_FORMAT}"{span}')
    if following is not None:
        more = headers["Link"].partition(">")[0][1:]
        lines.append(f'<{more}>; rel="timemap"; type="{LINK_FORMAT}"')
    for version in mementos:
        place = "first memento" if version.number == 1 else "memento"
        lines.append(f'<{version_url(version)}/content>; rel="{place}"; datetime="{_time(version)}"')
    return Response(",\n".join(lines) + "\n", headers=headers, media_type=LINK_FORMAT)


def _original(version: Version) -> str:
    return f"/v1/projects/{version.project}/files/{quote(version.path)}"


def _timemap(document: str) -> str:
    return f"/v1/documents/{document}/timemap"


def _time(version: Version) -> str:
    return format_datetime(version.change.committed_at.astimezone(UTC), usegmt=True)
