"""Who wrote each line of a document."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.accepting import wanted_type
from app.api.conditions import CHOSEN_FORM, etag_of, is_unchanged
from app.api.diff_forms import PATCH_HEADERS
from app.api.files import At
from app.api.services import Services
from app.errors import VersoError
from app.flows.blame import read_blame
from app.flows.blame_text import blame_text
from app.supabase.identity import Actor

_LINES = re.compile(r"([1-9][0-9]{0,8})(-([1-9][0-9]{0,8})?)?\Z")


@get("/v1/documents/{document:uuid}/blame", tags=["documents"], summary="Who wrote each line")
async def blame_document(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    document: FromPath[UUID],
    at: At = None,
    lines: Annotated[
        str | None,
        QueryParameter(description="5-10, 5- (to the end) or 5. All unless said.", max_length=20),
    ] = None,
    verify: Annotated[  # noqa: FBT002 - a query parameter has a name
        bool,
        QueryParameter(
            description="Compute it from the bytes of all versions, and say whether what is kept agrees."
        ),
    ] = False,
) -> Response[Any]:
    """The version, author, date, message, path and line number that each line came with.

    Across renames, restores (a restored line belongs to who wrote it first) and merges. `text/plain` is like
    git blame. What is kept is the word of each version's author; `verify=true` does without it.
    """
    first, last = _range_of(lines)
    as_text = wants_text(request)
    blamed = await read_blame(
        services.insights,
        services.blobs,
        services.workers,
        services.memory,
        actor=actor,
        document=str(document),
        at=at,
        first=first,
        last=last,
        verify=verify,
        limit=services.settings.max_diff_size,
    )
    blame = blamed.blame
    tag = f"{blame.version.hash}-{first}-{last or ''}-{blame.source}-{'t' if as_text else 'j'}"
    headers = {"ETag": etag_of(tag), **CHOSEN_FORM}
    if is_unchanged(request, tag):
        return Response(None, status_code=304, headers=headers)
    if not as_text:
        return Response(blame, headers=headers)
    text = await blame_text(services.blobs, actor=actor, blamed=blamed)
    return Response(text, headers=headers | PATCH_HEADERS, media_type="text/plain")


def wants_text(request: Request[Any, Any, Any]) -> bool:
    """Whether blame is wanted as text; raises VersoError `not_acceptable` when neither so nor as JSON."""
    best = wanted_type(request, ["application/json", "text/plain"])
    if best is None:
        raise VersoError("not_acceptable", "Blame comes as application/json or text/plain.")
    return best == "text/plain"


def _range_of(lines: str | None) -> tuple[int, int | None]:
    if lines is None:
        return 1, None
    found = _LINES.match(lines)
    if found is None or (found[3] is not None and int(found[3]) < int(found[1])):
        raise VersoError("bad_value", "lines is 5-10, 5- (to the end) or 5, counted from 1.")
    first = int(found[1])
    if found[2] is None:
        return first, first
    return first, None if found[3] is None else int(found[3])
