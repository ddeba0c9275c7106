"""A document's page: rendered or as its source, now or as it was; or a folder's, where the path is one.

Content never runs here: Markdown goes through an allow-list (`app.text.markdown`), source is escaped with odd
characters named, pictures and downloads come from the API's addresses, sandboxed and sniffed by nobody.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect
from markupsafe import Markup

from app.errors import VersoError
from app.flows.read_content import read_whole
from app.model import Project, VersionRead
from app.model.modes import SUBMODULE, SYMLINK
from app.supabase.glances import DocumentPage
from app.text.errors import TookTooLongError, WorkersBusyError
from app.text.html import visible
from app.text.markdown import MAX_BYTES, Rendered
from app.web.addresses import path_after
from app.web.folders import list_folder, with_changes
from app.web.history import verdicts_by
from app.web.overview import RENDER_SECONDS, At, places_of, view_of
from app.web.rendering import Crumb, render
from app.web.shown import in_url
from app.web.visiting import Visitor, together

LINES = 2000
"""Lines of source on one page: a page's first view stays small however long a document is."""
MAX_SHOWN = 8 << 20
"""The most bytes that are read to be shown; larger documents are only offered for download."""
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_MARKDOWN = ("text/markdown", "text/x-markdown")


class Source(msgspec.Struct, frozen=True):
    """A page of a text's lines, escaped."""

    lines: list[Markup]
    first: int
    total: int
    before: int | None
    """The first line of the page before."""
    after: int | None


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What of a document is shown; `kind` says which of the others is there."""

    kind: Literal["rendered", "source", "picture", "other", "erased", "empty"]
    markdown: bool = False
    rendered: Rendered | None = None
    source: Source | None = None
    why: str = ""


@get("/p/{project:str}/files/{path:path}")
async def read_document(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    at: At = None,
    view: Annotated[Literal["source"] | None, QueryParameter()] = None,
    line: Annotated[int, QueryParameter(ge=1, le=100_000_000)] = 1,
) -> Response[Any]:
    """The document at a path, or the folder, now or at a point."""
    path, at = path_after(request, "files"), (at or "").strip() or None
    ledger, token = visitor.services.ledger, visitor.token
    here, (read, error) = await together(
        ledger.read_project(token, project=project),
        _found(visitor, project=project, path=path, at=at),
    )
    if error is not None:
        return await _elsewhere(visitor, here=here, path=path, at=at, error=error)
    home = await visitor.home(here)
    query = "" if at is None else f"?at={quote(at, safe='')}"
    body = await body_of(visitor, home=home, read=read, query=query, source=view == "source", line=line)
    return await render(
        visitor,
        "documents/document.html",
        title=path.rpartition("/")[2],
        crumbs=_crumbs(path, query),
        point=query,
        project=here,
        read=read,
        version=read.version,
        body=body,
        said=verdicts_by(read.verdicts).get(read.version.hash, []),
        at=at,
        query=query,
        contents=f"/v1/projects/{here.slug if home.endswith(here.slug) else here.id}/files/",
    )


async def body_of(
    visitor: Visitor, *, home: str, read: VersionRead, query: str, source: bool, line: int
) -> Body:
    """What of a version is shown. Raises VersoError."""
    version = read.version
    kind = (version.media_type or "").partition(";")[0]
    if version.sha256 is None:
        return Body(kind="other", why="This version is a delete: it has no content.")
    if not read.copies:
        return Body(kind="erased")
    if kind in _PICTURES:
        return Body(kind="picture")
    if not version.size:
        return Body(kind="empty")
    if version.size > MAX_SHOWN:
        return Body(kind="other", why="It is too large to be shown here.")
    data = await read_whole(visitor.services.blobs, actor=visitor.actor, read=read)
    if b"\x00" in data[:8192] or version.mode in {SYMLINK, SUBMODULE}:
        return Body(kind="other", why="It is no text.")
    text = data.decode("utf-8", "replace")
    markdown = kind in _MARKDOWN and len(data) <= MAX_BYTES
    if markdown and not source:
        places = places_of(home, folder=version.path.rpartition("/")[0], query=query)
        try:
            rendered = await visitor.services.workers.markdown(text, places, deadline_s=RENDER_SECONDS)
            return Body(kind="rendered", markdown=True, rendered=rendered)
        except (TookTooLongError, WorkersBusyError):
            why = "It took too long to render, so here is its source."
            return Body(kind="source", source=source_of(text, line), why=why)
    why = "" if text.encode() == data else "It isn't UTF-8: some characters here stand for other bytes."
    return Body(kind="source", markdown=markdown, source=source_of(text, line), why=why)


def source_of(text: str, line: int) -> Source:
    """The page of a text's lines that has a line of that number. Only a line feed ends a line."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    first = min((line - 1) // LINES * LINES, max(0, (len(lines) - 1) // LINES * LINES))
    page = lines[first : first + LINES]
    return Source(
        lines=[Markup(visible(each.removesuffix("\r"))) for each in page],  # noqa: S704 - escaped by visible
        first=first + 1,
        total=len(lines),
        before=first - LINES + 1 if first else None,
        after=first + LINES + 1 if first + LINES < len(lines) else None,
    )


async def _found(
    visitor: Visitor, *, project: str, path: str, at: str | None
) -> tuple[DocumentPage | None, VersoError | None]:
    glances, token = visitor.services.glances, visitor.token
    try:
        read = await glances.read_document_page(token, project=project, path=path, at=at)
    except VersoError as error:
        if error.code not in {"document_not_found", "document_moved", "document_deleted"}:
            raise
        return None, error
    return read, None


async def _elsewhere(
    visitor: Visitor, *, here: Project, path: str, at: str | None, error: VersoError
) -> Response[Any]:
    """A folder, where the document went, or that it is deleted. Raises the error when it is none of these."""
    home = await visitor.home(here)
    folder = await list_folder(visitor, project=here.id, folder=path, at=at)
    if folder.rows:
        view, rows = await together(
            view_of(visitor, project=here.id, at=at, sequence=folder.sequence),
            with_changes(visitor, folder.rows, project=here.id),
        )
        return await render(
            visitor,
            "documents/folder.html",
            title=path.rpartition("/")[2],
            crumbs=_crumbs(path, view.query),
            point=view.query,
            project=here,
            view=view,
            rows=rows,
            more=folder.more,
            folder=path,
        )
    if error.code == "document_moved":
        return Redirect(f"{home}/files/{in_url(str(error.detail['moved_to']))}", status_code=303)
    if error.code == "document_deleted":
        gone = await visitor.services.ledger.read_version(
            visitor.token, document=str(error.detail["document"]), at=None
        )
        return await render(
            visitor,
            "documents/deleted.html",
            title=path.rpartition("/")[2],
            crumbs=_crumbs(path, ""),
            project=here,
            status=404,
            version=gone.version,
        )
    raise error


def _crumbs(path: str, query: str) -> list[Crumb]:
    parts = path.split("/")
    return [
        Crumb(name, f"/files/{in_url('/'.join(parts[:depth]))}{query}") for depth, name in enumerate(parts, 1)
    ]
