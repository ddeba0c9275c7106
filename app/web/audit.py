"""The audit trail: a project's for its owners, and one's own account's."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.links import cut, position_of
from app.api.paging import Cursor
from app.errors import VersoError
from app.supabase.audit import NOUNS
from app.web.rendering import Crumb, render
from app.web.visiting import Visitor, together

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.supabase.audit import AuditEntry

PAGE = 50
MEMBERS = 1000
"""As many as the database gives at once."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}")

Kind = Annotated[str, QueryParameter(max_length=100)]
Person = Annotated[str, QueryParameter(max_length=100)]
First = Annotated[str, QueryParameter(name="from", max_length=20)]
Last = Annotated[str, QueryParameter(name="to", max_length=20)]


@get("/p/{project:str}/audit")
async def list_audit(
    visitor: NamedDependency[Visitor],
    project: FromPath[str],
    kind: Kind = "",
    person: Person = "",
    first_day: First = "",
    last_day: Last = "",
    cursor: Cursor = None,
) -> Response[Any]:
    """Who did what in a project; for owners."""
    services, token = visitor.services, visitor.token
    here, names, found = await together(
        services.ledger.read_project(token, project=project),
        _names(visitor, project),
        services.audit.list_audit(
            token,
            project=project,
            kind=kind or None,
            person=person.strip().removeprefix("@") or None,
            since=_begin(first_day),
            until=_end(last_day),
            after=position_of(cursor, str),
            page_size=PAGE + 1,
        ),
    )
    home = await visitor.home(here)
    return await render(
        visitor,
        "settings/audit.html",
        title=f"Audit trail of {here.name}",
        crumbs=[Crumb("Settings", "/settings"), Crumb("Audit trail")],
        project=here,
        tab="settings",
        address=f"{home}/audit",
        own=False,
        **_facts(
            found,
            names=names,
            asked={"kind": kind, "person": person, "from": first_day, "to": last_day},
            table=f"/v1/projects/{here.id}/audit",
            later=cursor is not None,
            since=_begin(first_day),
            until=_end(last_day),
        ),
    )


@get("/me/audit")
async def list_my_audit(
    visitor: NamedDependency[Visitor],
    kind: Kind = "",
    first_day: First = "",
    last_day: Last = "",
    cursor: Cursor = None,
) -> Response[Any]:
    """What one's own account did."""
    found = await visitor.services.audit.list_my_audit(
        visitor.token,
        kind=kind or None,
        since=_begin(first_day),
        until=_end(last_day),
        after=position_of(cursor, str),
        page_size=PAGE + 1,
    )
    return await render(
        visitor,
        "settings/audit.html",
        title="What your account did",
        crumbs=[Crumb("Your account", "/me"), Crumb("Audit trail")],
        address="/me/audit",
        own=True,
        **_facts(
            found,
            asked={"kind": kind, "from": first_day, "to": last_day},
            table="/v1/me/audit",
            later=cursor is not None,
            since=_begin(first_day),
            until=_end(last_day),
        ),
    )


async def _names(visitor: Visitor, project: str) -> dict[str, str | None]:
    """What the members of a project are called, by their ids."""
    names: dict[str, str | None] = {}
    after: str | None = None
    while True:
        found = await visitor.services.ledger.list_members(
            visitor.token, project=project, after=after, page_size=MEMBERS
        )
        names |= {each.person.id: each.person.name or each.person.handle for each in found}
        if len(found) < MEMBERS:
            return names
        after = found[-1].position


def _about(entry: AuditEntry, names: Mapping[str, str | None]) -> str:
    """What an event was about: whom, and its plain fields. Ids say nothing to people."""
    if entry.witness != "event":
        return ""
    whom = next((entry.known[each] for each in ("person", "agent") if each in entry.known), None)
    said = [] if whom is None else [names.get(whom) or "somebody who is no member now"]
    for name, value in entry.known.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(text, bool):
            text = "yes" if text else "no"
        if isinstance(text, str | int) and text != "" and not _ID.fullmatch(str(text)):
            said.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(said)


def _facts(
    found: list[AuditEntry],
    *,
    names: Mapping[str, str | None] = MappingProxyType({}),
    asked: dict[str, str],
    table: str,
    later: bool,
    since: datetime | None,
    until: datetime | None,
) -> dict[str, Any]:
    said = {name: value for name, value in asked.items() if value}
    times = {name: at.isoformat() for name, at in (("since", since), ("until", until)) if at is not None}
    told = {name: value for name, value in said.items() if name in {"kind", "person"}}
    entries, following = cut(found, PAGE, lambda each: each.place)
    return {
        "entries": entries,
        "about": {each.id: _about(each, names) for each in entries},
        "asked": asked,
        "kinds": NOUNS,
        "query": urlencode(said),
        "following": following,
        "later": later,
        "table_url": f"{table}?{urlencode({'format': 'csv', **told, **times})}",
    }


def _begin(day: str) -> datetime | None:
    return _at(day)


def _end(day: str) -> datetime | None:
    return _at(day, days=1)


def _at(day: str, *, days: int = 0) -> datetime | None:
    """The beginning of a day (UTC) as forms send it, or of one after it; an empty field is none."""
    try:
        begin = datetime.combine(date.fromisoformat(day), time.min, UTC) if day.strip() else None
        return begin and begin + timedelta(days=days)
    except (ValueError, OverflowError):
        raise VersoError("bad_value", "A day is written as 2026-11-22.") from None
