"""The audit trail: a project's for its owners, and everybody's own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.links import Page, cut, next_link, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.api.spreadsheets import csv_answer, csv_text, wants_csv
from app.api.witness import note_act
from app.supabase.audit import AuditEntry
from app.supabase.identity import Actor

Kind = Annotated[
    str | None,
    QueryParameter(description="One kind (member.added), or all of a noun (member).", max_length=100),
]
Since = Annotated[datetime | None, QueryParameter(description="Not before this time.")]
Until = Annotated[datetime | None, QueryParameter(description="Before this time.")]
Form = Annotated[
    Literal["json", "csv"] | None, QueryParameter(name="format", description="Stronger than Accept.")
]
COLUMNS = (
    "at", "last_at", "count", "kind", "witness", "person", "handle", "agent", "on_behalf_of", "session",
    "project", "event", "change", "address", "user_agent", "request", "route", "code", "about", "known",
)  # fmt: skip
"""Of the CSV form. `address` and `user_agent` are what was told, or else what the database knows."""


@get("/v1/projects/{project:str}/audit", tags=["audit"], summary="Who did what in a project")
async def list_audit(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    kind: Kind = None,
    person: Annotated[
        str | None, QueryParameter(description="A person's handle or id.", max_length=100)
    ] = None,
    since: Since = None,
    until: Until = None,
    form: Form = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[AuditEntry]]:
    """For owners, newest first: events of the project, exports, refused attempts.

    Changes, comments, reviews and stages have lists of their own and are left out. `witness` says whose word
    an entry is. CSV pages follow one another by the `Link` header.
    """
    as_csv = wants_csv(request, form)
    size = page_size(limit, services.settings)
    found = await services.audit.list_audit(
        actor.token,
        project=project,
        kind=kind,
        person=person,
        since=since,
        until=until,
        after=position_of(cursor, str),
        page_size=size + 1,
    )
    if as_csv:
        note_act(request, services, token=actor.token, kind="export.audit", about=project)
    return _answer(request, found, size=size, as_csv=as_csv)


@get("/v1/me/audit", tags=["audit"], summary="What my account did")
async def list_my_audit(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    form: Form = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[AuditEntry]]:
    """Newest first: sign-ins and sign-outs, what was exported, what was refused, acts in one's projects."""
    as_csv = wants_csv(request, form)
    size = page_size(limit, services.settings)
    found = await services.audit.list_my_audit(
        actor.token,
        kind=kind,
        since=since,
        until=until,
        after=position_of(cursor, str),
        page_size=size + 1,
    )
    return _answer(request, found, size=size, as_csv=as_csv)


def _answer(
    request: Request[Any, Any, Any], found: list[AuditEntry], *, size: int, as_csv: bool
) -> Response[Any]:
    items, following = cut(found, size, lambda each: each.place)
    headers = {"Cache-Control": "no-store", **next_link(request, following)}
    if not as_csv:
        return Response(Page(items, following), headers=headers)
    return csv_answer(COLUMNS, map(_row, items), name="audit", headers=headers)


def csv_of(entries: Iterable[AuditEntry]) -> str:
    """Entries as CSV with a header line: a line for each."""
    return csv_text(COLUMNS, map(_row, entries))


def _row(entry: AuditEntry) -> list[Any]:
    person, behalf, known = entry.person, entry.on_behalf_of, entry.known
    said = {name: entry.told.get(name) for name in ("request", "route", "code", "about")}
    return [
        entry.at.isoformat(),
        entry.last_at.isoformat(),
        entry.count,
        entry.kind,
        entry.witness,
        person and person.id,
        person and person.handle,
        entry.agent,
        behalf and behalf.id,
        entry.session,
        entry.project,
        entry.event,
        entry.change,
        entry.told.get("address", known.get("address")),
        entry.told.get("user_agent", known.get("user_agent")),
        *said.values(),
        msgspec.json.encode(known).decode() if known else None,
    ]
