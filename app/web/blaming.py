"""Who wrote each line, and a way back to before that."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from markupsafe import Markup

from app.errors import VersoError
from app.flows.blame import read_blame
from app.flows.read_content import read_whole
from app.supabase.insights import Origin
from app.text.html import visible
from app.text.lines import split_lines
from app.web.overview import At
from app.web.rendering import Crumb, render
from app.web.shown import in_url
from app.web.visiting import Visitor, together

LINES = 1000
"""Lines of a page."""


class Range(msgspec.Struct, frozen=True):
    """Consecutive lines that came with one version."""

    origin: Origin
    lines: list[tuple[int, Markup]]
    """Each line's number and its text, escaped."""


@get("/p/{project:str}/documents/{document:str}/blame")
async def blame_document(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    document: FromPath[str],
    at: At = None,
    line: Annotated[int, QueryParameter(ge=1, le=100_000_000)] = 1,
) -> Response[Any]:
    """A version's lines, each with who wrote it, when and why; from each a way to before that."""
    services = visitor.services
    first = (line - 1) // LINES * LINES + 1
    here, blamed = await together(
        services.ledger.read_project(visitor.token, project=project),
        read_blame(
            services.insights,
            services.blobs,
            services.workers,
            services.memory,
            actor=visitor.actor,
            document=document,
            at=(at or "").strip() or None,
            first=first,
            last=first + LINES - 1,
            verify=False,
            limit=services.settings.max_diff_size,
        ),
    )
    blame, version = blamed.blame, blamed.blame.version
    if version.project != here.id:
        raise VersoError("document_not_found", "There is no such document in this project.")
    texts = split_lines(await read_whole(services.blobs, actor=visitor.actor, read=blamed.read))
    origins = {origin.hash: origin for origin in blame.origins}
    ranges = [
        Range(
            origins[each.version],
            # As many as there are: how many there should be is an author's word.
            [(n, _shown(line)) for n, line in enumerate(texts[each.first - 1 : each.last], each.first)],
        )
        for each in blame.ranges
    ]
    home = await visitor.home(here)
    address = f"{home}/documents/{document}/blame?at=v{version.number}"
    return await render(
        visitor,
        "documents/blame.html",
        title=f"Who wrote {version.path.rpartition('/')[2]}",
        crumbs=[Crumb(version.path, f"/files/{in_url(version.path)}?at={version.hash}"), Crumb("Blame")],
        project=here,
        version=version,
        head=blamed.read.head,
        ranges=ranges,
        total=blame.lines,
        address=address,
        before=first - LINES if first > 1 else None,
        after=first + LINES if first + LINES <= blame.lines else None,
    )


def _shown(line: bytes) -> Markup:
    text = line.decode("utf-8", errors="replace").removesuffix("\n").removesuffix("\r")
    return Markup(visible(text))  # noqa: S704 - escaped by visible
