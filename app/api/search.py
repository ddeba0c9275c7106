"""Search: in what documents are and in what they were, and when a text came and went."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.links import cursor_of, next_link, position_of
from app.api.paging import Cursor, Limit
from app.api.services import Services
from app.errors import VersoError
from app.flows.occurrences import Occurrences, find_occurrences
from app.flows.search import Hit, Missing, Query, search
from app.supabase.identity import Actor

DEFAULT_HITS = 20
MAX_HITS = 50
MAX_QUERY = 1000
_PLACE = re.compile(r"([1-9][0-9]{0,17})\.([1-9][0-9]{0,8})\Z")


class SearchPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of hits, newest first; `missing` says what could not be searched."""

    items: list[Hit]
    next: str | None
    complete: bool
    missing: Missing


@get(
    "/v1/projects/{project:str}/search", tags=["history"], summary="Full-text search, now or in all versions"
)
async def search_project(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    q: Annotated[
        str,
        QueryParameter(
            description='Words, all of them wanted; "a phrase"; or; -without.', max_length=MAX_QUERY
        ),
    ],
    where: Annotated[
        Literal["latest", "all"],
        QueryParameter(name="in", description="Documents as they are now, or all versions."),
    ] = "latest",
    prefix: Annotated[str, QueryParameter(description="Only paths that begin so.", max_length=1024)] = "",
    author: Annotated[
        str | None, QueryParameter(description="Only versions by this person: a handle or an id.")
    ] = None,
    since: Annotated[
        datetime | None, QueryParameter(description="Only versions accepted at or after.")
    ] = None,
    until: Annotated[datetime | None, QueryParameter(description="Only versions accepted before.")] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[SearchPage]:
    """Versions whose text matches, newest first, with passages: plain text and where the matches are in it.

    English word stems. `complete` is false when contents could not be searched: too large (512 KiB), not
    text, or not indexed yet (then the next search finds more).
    """
    if limit is not None and not 1 <= limit <= MAX_HITS:
        raise VersoError("bad_value", f"limit is 1 to {MAX_HITS}.", limit=MAX_HITS)
    if "\0" in q or "\0" in prefix:
        raise VersoError("bad_query", "A query has no NUL characters.")
    size = limit or DEFAULT_HITS
    query = Query(
        project=project,
        text=q,
        latest=where == "latest",
        prefix=prefix,
        author=author,
        since=since,
        until=until,
        page_size=size,
        before=place_of(cursor),
    )
    searched = await search(services.insights, services.blobs, services.memory, actor=actor, query=query)
    page = searched.page
    following = None if searched.last is None else cursor_of("{}.{}".format(*searched.last))
    answer = SearchPage(items=page.items, next=following, complete=page.complete, missing=page.missing)
    return Response(answer, headers={"Cache-Control": "private, no-cache", **next_link(request, following)})


@get(
    "/v1/documents/{document:uuid}/occurrences",
    tags=["documents"],
    summary="When a text appeared and disappeared",
)
async def find_text(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    text: Annotated[
        str, QueryParameter(description="A sentence, say: its words in order, with any blanks between.")
    ],
) -> Occurrences:
    """The versions at which it came and went, with authors and changes; it may have come more than once.

    Exact but for blanks and line ends. `complete` is false when versions could not be read; `unknown` names
    them.
    """
    return await find_occurrences(
        services.insights,
        services.blobs,
        services.memory,
        actor=actor,
        document=str(document),
        text=text,
    )


def place_of(cursor: str | None) -> tuple[int, int] | None:
    """The change and the position in it of the last hit seen. Raises VersoError `bad_cursor`."""
    place = position_of(cursor, str)
    if place is None:
        return None
    found = _PLACE.match(place)
    if found is None:
        raise VersoError("bad_cursor", "Use the cursor of the page before as it is, or none.")
    return int(found[1]), int(found[2])
