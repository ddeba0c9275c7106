"""Search in a project: what its documents say, or what they ever said, with the words marked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from markupsafe import Markup

from app.api.links import cursor_of
from app.api.paging import Cursor
from app.api.search import DEFAULT_HITS, MAX_QUERY, place_of
from app.errors import VersoError
from app.flows.search import Hit, Query, Snippet, search
from app.model import Version
from app.text.html import visible
from app.web.rendering import Crumb, render
from app.web.visiting import Visitor, together


class Passage(msgspec.Struct, frozen=True):
    """A passage of a hit as HTML, and the line that it begins in."""

    html: Markup
    line: int | None


class Shown(msgspec.Struct, frozen=True):
    """A hit as the page shows it."""

    version: Version
    passages: list[Passage]


@get("/p/{project:str}/search")
async def search_project(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    q: Annotated[str, QueryParameter(max_length=MAX_QUERY)] = "",
    where: Annotated[Literal["latest", "all"], QueryParameter(name="in")] = "latest",
    prefix: Annotated[str, QueryParameter(max_length=1024)] = "",
    cursor: Cursor = None,
) -> Response[Any]:
    """Documents whose text matches, newest first; `in=all` looks into every version."""
    services, wanted = visitor.services, q.replace("\x00", " ").strip()
    reading = services.ledger.read_project(visitor.token, project=project)
    if not wanted:
        here, found = await reading, None
    else:
        query = Query(
            project=project,
            text=wanted,
            latest=where == "latest",
            prefix=prefix.replace("\x00", ""),
            author=None,
            since=None,
            until=None,
            page_size=DEFAULT_HITS,
            before=place_of(cursor),
        )
        here, found = await together(reading, _search(visitor, query))
    page = None if found is None else found.page
    following = None if found is None or found.last is None else cursor_of("{}.{}".format(*found.last))
    return await render(
        visitor,
        "projects/search.html",
        title="Search",
        crumbs=[Crumb("Search")],
        project=here,
        q=wanted,
        where=where,
        prefix=prefix,
        asked=bool(wanted),
        understood=not wanted or found is not None,
        hits=[] if page is None else [shown_of(each) for each in page.items],
        missing=None if page is None or page.complete else page.missing,
        following=following,
    )


def shown_of(hit: Hit) -> Shown:
    """A hit with its words marked."""
    return Shown(hit.version, [Passage(marked(each), each.line) for each in hit.snippets])


def marked(snippet: Snippet) -> Markup:
    """A passage as HTML: escaped, odd characters named, matches in `mark`."""
    text = snippet.text.replace("\r", " ").replace("\n", " ")  # as long as before: matches are places in it
    parts: list[str] = []
    at = 0
    for match in snippet.matches:
        parts += [
            visible(text[at : match.start]),
            "<mark>",
            visible(text[match.start : match.end]),
            "</mark>",
        ]
        at = match.end
    return Markup("".join([*parts, visible(text[at:])]))  # noqa: S704 - each part is escaped


async def _search(visitor: Visitor, query: Query) -> Any:
    services = visitor.services
    try:
        return await search(
            services.insights, services.blobs, services.memory, actor=visitor.actor, query=query
        )
    except VersoError as error:
        if error.code != "bad_query":
            raise
        return None  # words that mean nothing to search for, such as "the"
