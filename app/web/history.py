"""Histories as timelines, newest first: a project's changes, and the versions of one document."""

from __future__ import annotations

from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.links import cut, position_of
from app.api.paging import Cursor
from app.errors import VersoError
from app.model import LoggedChange, Tag, Version
from app.supabase.reviews import Review, Verdict
from app.web.rendering import Crumb, render
from app.web.shown import in_url
from app.web.visiting import Visitor, together

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = 50
VERSIONS = 20
"""Of a document on one page: one that has 10,000 opens as fast as one that has 10."""
MOST_TAGS = 1000

Text = Annotated[str, QueryParameter(max_length=300)]


class Verdicts(msgspec.Struct, frozen=True):
    """Who says the same of a version."""

    verdict: Verdict
    reviews: list[Review]


class Day(msgspec.Struct, frozen=True):
    """The entries of one day (UTC), newest first."""

    date: date
    entries: list[Any]


@get("/p/{project:str}/history")
async def list_changes(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    cursor: Cursor = None,
    q: Text = "",
    prefix: Text = "",
) -> Response[Any]:
    """A project's changes, newest first; `q` is looked for in messages, `prefix` at paths' beginnings."""
    ledger, token = visitor.services.ledger, visitor.token
    here, found, tags = await together(
        ledger.read_project(token, project=project),
        ledger.list_changes(
            token,
            project=project,
            before=position_of(cursor, int),
            page_size=PAGE + 1,
            prefix=prefix or None,
            search=q or None,
        ),
        ledger.list_tags(token, project=project, after="", page_size=MOST_TAGS),
    )
    shown, following = cut(found, PAGE, lambda each: each.sequence)
    return await render(
        visitor,
        "history/changes.html",
        title=f"History of {here.name}",
        crumbs=[Crumb("History")],
        project=here,
        tab="history",
        days=list(_by_day(shown)),
        following=following,
        later=cursor is not None,
        tags=_at_changes(tags),
        q=q,
        prefix=prefix,
    )


@get("/p/{project:str}/documents/{document:str}")
async def list_versions(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    document: FromPath[str],
    cursor: Cursor = None,
) -> Response[Any]:
    """A document's versions, newest first."""
    page = await visitor.services.glances.read_history_page(
        visitor.token,
        project=project,
        document=document,
        before=position_of(cursor, int),
        page_size=VERSIONS + 1,
    )
    here, about, found = page.project, page.document, page.versions
    if about.project != here.id:
        raise VersoError("document_not_found", "There is no such document in this project.")
    shown, following = cut(found, VERSIONS, lambda each: each.number)
    return await render(
        visitor,
        "history/versions.html",
        title=f"History of {about.path}",
        crumbs=[Crumb(about.path, f"/files/{in_url(about.path)}" if about.live else ""), Crumb("History")],
        project=here,
        about=about,
        days=list(_by_day(shown)),
        following=following,
        later=cursor is not None,
        tags=_at_changes(page.tags),
        verdicts=verdicts_by(page.verdicts),
    )


def verdicts_by(verdicts: Iterable[Review]) -> dict[str, list[Verdicts]]:
    """What reviewers say of versions, by their hashes: requests for changes first, since they decide."""
    found: dict[str, dict[Verdict, list[Review]]] = {}
    for each in verdicts:
        found.setdefault(each.version, {}).setdefault(each.verdict, []).append(each)
    wanted = (Verdict.request_changes, Verdict.approve)
    return {
        version: [Verdicts(verdict, said[verdict]) for verdict in wanted if verdict in said]
        for version, said in found.items()
    }


def _by_day(entries: Iterable[LoggedChange | Version]) -> Iterable[Day]:
    def day(entry: LoggedChange | Version) -> date:
        change = entry.change if isinstance(entry, Version) else entry
        return change.committed_at.date()

    for at, group in groupby(entries, key=day):
        yield Day(at, list(group))


def _at_changes(tags: Iterable[Tag]) -> dict[int, list[Tag]]:
    """Tags by the change that they name."""
    found: dict[int, list[Tag]] = {}
    for tag in tags:
        found.setdefault(tag.change, []).append(tag)
    return found
