"""The forms in which differences go out: a patch, JSON, or a page of HTML that stands alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import Request, Response
from litestar.params import QueryParameter

from app.api.accepting import wanted_type
from app.api.leaving import while_connected
from app.api.services import Services
from app.errors import VersoError
from app.flows.compare import Comparing, Comparison, compare_as_hunks, compare_as_patch, read_older
from app.model import Version
from app.supabase.answers import Compared, Pair
from app.supabase.identity import Actor
from app.text.html import STYLE_SOURCE, FileDiff, View, diff_page
from app.text.lines import Ignoring
from app.text.words import Granularity

Form = Literal["text/x-diff", "application/json", "text/html"]
MAX_CONTEXT = 1000
Context = Annotated[int, QueryParameter(description=f"Unchanged lines around a change: 0 to {MAX_CONTEXT}.")]
Ignore = Annotated[Ignoring, QueryParameter(description="What does not count as a difference.")]
Smallest = Annotated[
    Granularity, QueryParameter(name="granularity", description="The smallest part of a line that is marked.")
]
Sides = Annotated[View, QueryParameter(name="view", description="Of HTML: one column of text, or two.")]

PATCH_HEADERS = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
PAGE_HEADERS = {
    "Content-Security-Policy": (
        f"sandbox allow-top-navigation-by-user-activation; default-src 'none'; style-src {STYLE_SOURCE}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}


def wanted_form(request: Request[Any, Any, Any]) -> Form:
    """The form that a request asks for; a patch unless said. Raises VersoError `not_acceptable`."""
    known = ["text/x-diff", "text/x-patch", "text/plain", "application/json", "text/html"]
    best = wanted_type(request, known)
    if best is None:
        raise VersoError("not_acceptable", "A diff comes as text/x-diff, application/json or text/html.")
    return best if best in {"application/json", "text/html"} else "text/x-diff"  # type: ignore[return-value]  # both are forms


def comparing_with(
    services: Services,
    *,
    context: int = 3,
    ignoring: Ignoring = Ignoring.NOTHING,
    granularity: Granularity = Granularity.WORD,
) -> Comparing:
    """How to compare, within what this service allows. Raises VersoError `bad_value`."""
    if not 0 <= context <= MAX_CONTEXT:
        raise VersoError("bad_value", f"context is 0 to {MAX_CONTEXT}.")
    return Comparing(
        blobs=services.blobs,
        workers=services.workers,
        cache=services.diffs,
        limit=services.settings.max_diff_size,
        context=context,
        ignoring=ignoring,
        granularity=granularity,
    )


async def pair_answer(
    request: Request[Any, Any, Any],
    comparing: Comparing,
    *,
    actor: Actor,
    sides: Compared,
    form: Form,
    view: View,
    headers: dict[str, str],
) -> Response[Any]:
    """The difference between two versions in the form that was asked for. Ends when its client goes."""
    if form == "text/x-diff":
        patch = await while_connected(request, compare_as_patch(comparing, actor=actor, sides=sides))
        return Response(patch, headers=headers | PATCH_HEADERS, media_type=form)
    result = await while_connected(request, compare_as_hunks(comparing, actor=actor, sides=sides))
    if form == "text/html":
        heading = _heading(result)
        return await page_answer(
            comparing, [result], actor=actor, sides=[sides], heading=heading, view=view, headers=headers
        )
    return Response(result, headers=headers)


async def page_answer(
    comparing: Comparing,
    items: list[Comparison],
    *,
    actor: Actor,
    sides: Sequence[Compared | Pair],
    heading: str,
    view: View,
    headers: dict[str, str],
    following: str | None = None,
) -> Response[Any]:
    """Differences of these `sides` as a page of HTML, with the unchanged lines between them folded."""
    texts = await read_older(comparing, actor=actor, sides=sides, compared=items)
    files = [
        FileDiff(old_path=_path(item.older), new_path=_path(item.newer), diff=item.diff, old=old)
        for item, old in zip(items, texts, strict=True)
    ]
    page = await asyncio.to_thread(diff_page, files, heading=heading, view=view, following=following)
    return Response(page, headers=headers | PAGE_HEADERS, media_type="text/html")


def _heading(item: Comparison) -> str:
    """What a page about two versions is called."""
    newer, older = item.newer, item.older
    named = newer or older
    sides = " and ".join(_side(side) for side in (older, newer) if side is not None)
    return f"{named.path if named else ''}: {sides}"


def _side(version: Version) -> str:
    return f"version {version.number} ({version.change.committed_at:%Y-%m-%d %H:%M} UTC)"


def _path(version: Version | None) -> str | None:
    return None if version is None or version.sha256 is None else version.path
