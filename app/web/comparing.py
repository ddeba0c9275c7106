"""What became different: two versions of a document, and all that one change did."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.changes import check_sequence
from app.api.diff_forms import comparing_with
from app.api.documents import side_of
from app.api.links import cut, position_of
from app.api.paging import Cursor
from app.errors import VersoError
from app.flows.compare import Comparison, compare_all_as_hunks, compare_if_not_too_large, read_older
from app.flows.follow_comments import PlacedComment, follow_comments
from app.model import Role
from app.supabase.answers import Pair
from app.text.html import View
from app.web.diff_rows import Showing, Table, table_of
from app.web.history import MOST_TAGS
from app.web.rendering import Crumb, render
from app.web.shown import in_url
from app.web.visiting import Visitor, together

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.model import Version
    from app.supabase.reviews import DocumentComments

DOCUMENTS = 20
"""Documents of a change on one page."""
MOST_LINES = 1500
"""Lines of differences on a change's page; documents beyond it are opened by themselves."""
MOST_COMMENTS = 200
MOST_FOLDS = 20
_REVIEWERS = frozenset({Role.reviewer, Role.editor, Role.owner})

Sides = Annotated[View, QueryParameter(name="view")]
Part = Annotated[int, QueryParameter(ge=1, le=1_000_000)]
Line = Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1)]


class Thread(msgspec.Struct, frozen=True):
    """A comment on lines of a document, or on all of it, and the replies to it."""

    first: PlacedComment
    replies: list[PlacedComment]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One document of a change."""

    compared: Comparison
    table: Table | None
    """None where there is nothing to show line by line, or too much for this page."""
    name: str
    """What anchors of its lines begin with."""

    @property
    def version(self) -> Version:
        """The newer side; the older one of a deleted document."""
        side = self.compared.newer or self.compared.older
        assert side is not None  # noqa: S101 - a pair has a side
        return side


@get("/p/{project:str}/documents/{document:str}/diff")
async def compare_versions(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    document: FromPath[str],
    older: Annotated[str | None, QueryParameter(name="from", max_length=200)] = None,
    newer: Annotated[str | None, QueryParameter(name="to", max_length=200)] = None,
    view: Sides = View.INLINE,
    part: Part = 1,
    opened: Annotated[list[str] | None, QueryParameter(name="open", max_items=MOST_FOLDS)] = None,
    comment: Line = None,
) -> Response[Any]:
    """Two versions side by side or in one column, with the comments on the newer one beside their lines."""
    services, token = visitor.services, visitor.token
    page = await services.glances.read_diff_page(
        token,
        project=project,
        document=document,
        older=side_of((older or "").strip() or None),
        newer=side_of((newer or "").strip() or None),
    )
    here, sides = page.project, page.sides
    version = sides.newer.version
    if version.project != here.id:
        raise VersoError("document_not_found", "There is no such document in this project.")
    comparing = comparing_with(services)
    compared, threads = await together(
        compare_if_not_too_large(comparing, actor=visitor.actor, sides=sides),
        _threads(visitor, page.comments),
    )
    folds = frozenset(opened or ())
    old = None
    if folds:
        [old] = await read_older(comparing, actor=visitor.actor, sides=[sides], compared=[compared])
    home = await visitor.home(here)
    address = f"{home}/documents/{document}/diff"
    chosen = {
        "from": str(sides.older.version.number) if sides.older else "",
        "to": str(version.number),
        "view": view.value if view is not View.INLINE else "",
    }
    said = {name: value for name, value in chosen.items() if value}
    beside = defaultdict(list)
    for thread in threads:
        if thread.first.at_line is not None:
            beside[thread.first.at_line].append(thread)
    may_review = here.role in _REVIEWERS and here.archived_at is None
    table = None
    if compared.diff is not None and compared.diff.hunks:
        # As many folds are opened as the page's older text allows; who has no text of it goes to the source.
        showing = Showing(
            view=view,
            part=part,
            opened=folds,
            old=old,
            threads=beside,
            asked=comment,
            comment_url=f"{address}?{urlencode(said | {'part': part})}&comment=" if may_review else None,
        )
        table = table_of(compared.diff, showing)
    shown = table.shown if table is not None else frozenset()
    return await render(
        visitor,
        "diff/document.html",
        title=f"{version.path.rpartition('/')[2]}: what changed",
        crumbs=_crumbs(version),
        project=here,
        head=sides.newer.head,
        compared=compared,
        version=version,
        table=table,
        view=view.value,
        address=address,
        said=said,
        elsewhere=[each for each in threads if each.first.at_line not in shown],
        asked=comment,
        reviewed=page.reviews,
        may_review=may_review,
    )


@get("/p/{project:str}/changes/{sequence:int}")
async def read_change(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    sequence: FromPath[int],
    view: Sides = View.INLINE,
    cursor: Cursor = None,
) -> Response[Any]:
    """A change: who, when, why, and every document before and after it."""
    check_sequence(sequence)
    services, token = visitor.services, visitor.token
    here, change, trees, tags = await together(
        services.ledger.read_project(token, project=project),
        services.ledger.read_change(token, project=project, sequence=sequence),
        services.ledger.compare_trees(
            token,
            project=project,
            older=str(sequence - 1),
            newer=str(sequence),
            prefix="",
            after=position_of(cursor, str),
            page_size=DOCUMENTS + 1,
        ),
        services.ledger.list_tags(token, project=project, after="", page_size=MOST_TAGS),
    )
    pairs, following = cut(trees.pairs, DOCUMENTS, lambda each: each.place)
    comparing = comparing_with(services)
    compared = await compare_all_as_hunks(comparing, actor=visitor.actor, pairs=pairs)
    home = await visitor.home(here)
    return await render(
        visitor,
        "diff/change.html",
        title=f"Change #{sequence}",
        crumbs=[Crumb("History", "/history"), Crumb(f"#{sequence}")],
        project=here,
        tab="history",
        change=change,
        tags=[each for each in tags if each.change == sequence],
        files=list(_files(compared, pairs, view)),
        view=view.value,
        address=f"{home}/changes/{sequence}",
        following=following,
        later=cursor is not None,
    )


def _files(compared: Iterable[Comparison], pairs: Iterable[Pair], view: View) -> Iterable[File]:
    left = MOST_LINES
    for each, pair in zip(compared, pairs, strict=True):
        document = (pair.newer or pair.older).version.document  # type: ignore[union-attr]  # a pair has a side
        name = f"d{document[:8]}-"
        lines = sum(len(hunk.lines) for hunk in each.diff.hunks) if each.diff is not None else 0
        table = None
        if each.diff is not None and 0 < lines <= left:
            left -= lines
            table = table_of(each.diff, Showing(name=name, view=view))
        yield File(compared=each, table=table, name=name)


async def _threads(visitor: Visitor, found: DocumentComments) -> list[Thread]:
    services = visitor.services
    placed = await follow_comments(
        found,
        blobs=services.blobs,
        workers=services.workers,
        actor=visitor.actor,
        page_size=MOST_COMMENTS,
        limit=services.settings.max_diff_size,
        seconds=services.settings.diff_seconds,
    )
    replies: dict[str, list[PlacedComment]] = defaultdict(list)
    for each in placed.comments:
        if each.thread != each.id:
            replies[each.thread].append(each)
    return [Thread(each, replies[each.id]) for each in placed.comments if each.thread == each.id]


def _crumbs(version: Version) -> list[Crumb]:
    return [
        Crumb(version.path, f"/files/{in_url(version.path)}?at={quote(version.hash)}"),
        Crumb("History", f"/documents/{version.document}"),
        Crumb("What changed"),
    ]
