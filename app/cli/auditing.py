"""`verso audit`: the whole trail, for operators with the secret key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import rich_click as click

from app.cli.exits import json_option, telling
from app.cli.secret_key import checked_address, needed_secret_key, quiet_logs, secret_key_option

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from uuid import UUID

    from app.supabase.audit import Audit, AuditEntry

PAGE = 1000
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


@click.command(name="audit")
@click.option("--supabase", metavar="URL", envvar="SUPABASE_URL", required=True, help="Or SUPABASE_URL.")
@secret_key_option
@click.option("--project", type=click.UUID, metavar="ID", help="Of one project only, by its id.")
@click.option("--kind", help="One kind (account.session_started), or all of a noun (account).")
@click.option("--person", help="Of one person only, by handle or id.")
@click.option("--since", type=_MOMENT, metavar="TIME", help="Not before this (2026-03-02T09:30:00), in UTC.")
@click.option("--until", type=_MOMENT, metavar="TIME", help="Only before this time, in UTC.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="The most entries.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header line.")
@click.option(
    "--expire-before",
    type=_MOMENT,
    metavar="TIME",
    help="List nothing; let all entries older than this go, which must be 90 days ago.",
)
@json_option
def audit(
    *,
    supabase: str,
    secret_key_stdin: bool,
    project: UUID | None,
    kind: str | None,
    person: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_csv: bool,
    expire_before: datetime | None,
    as_json: bool,
) -> None:
    """Show who did what, from where, when: newest first. For operators: it takes the secret key.

    docs/audit.md says what the kinds are and whose word each entry is. Owners read their project's with
    GET /v1/projects/{project}/audit, and need no key.
    """
    with telling(as_json) as out:
        import asyncio

        from app.errors import VersoError

        filters = {"project": project and str(project), "kind": kind, "person": person}
        times = {name: at and _utc(at) for name, at in (("since", since), ("until", until))}
        if as_csv and as_json:
            raise VersoError("bad_usage", "Ask for --json or for --csv.")
        if expire_before is not None and any((*filters.values(), *times.values())):
            # Nobody shall believe that only those of one project or person go.
            raise VersoError("bad_usage", "--expire-before is for all entries: leave the filters out.")
        key = needed_secret_key(from_stdin=secret_key_stdin)
        quiet_logs()
        if expire_before is not None:
            gone = asyncio.run(_expire(checked_address(supabase), key, _utc(expire_before)))
            out.tell({"expired": gone}, f"{gone} entries are gone.")
            return
        entries = asyncio.run(_read(checked_address(supabase), key, limit, **filters, **times))
        if as_csv:
            from app.api.audit import csv_of

            out.copy(csv_of(entries))
            return
        out.tell({"items": entries}, "\n".join(map(told_entry, entries)) or "There is nothing of that.")


async def _read(supabase: str, key: str, limit: int, **filters: object) -> list[AuditEntry]:
    found: list[AuditEntry] = []

    async def page() -> None:
        while len(found) < limit:
            size = min(PAGE, limit - len(found))
            after = found[-1].place if found else None
            entries = await audited.read_audit(key, after=after, page_size=size, **filters)  # type: ignore[arg-type]
            found.extend(entries)
            if len(entries) < size:
                return

    audited, close = _open(supabase, key)
    try:
        await page()
    finally:
        await close()
    return found


async def _expire(supabase: str, key: str, before: datetime) -> int:
    audited, close = _open(supabase, key)
    gone = 0
    try:
        while some := await audited.expire_audit(key, before=before):
            gone += some
    finally:
        await close()
    return gone


def _open(supabase: str, key: str) -> tuple[Audit, Callable[[], Coroutine[Any, Any, None]]]:
    from app.settings import Settings
    from app.supabase.audit import Audit
    from app.supabase.pool import Pool

    # The publishable key isn't needed: everything here is asked under the secret one.
    pool = Pool(Settings(supabase_url=supabase, supabase_publishable_key=key))
    return Audit(pool), pool.close


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def told_entry(entry: AuditEntry) -> str:
    """An entry on one line: time, kind, who (an agent: for whom), from where, whose word it is."""
    person, behalf = entry.person, entry.on_behalf_of
    who = "somebody" if person is None else person.handle or person.id
    if entry.agent:
        who += f" (agent {entry.agent}{f' for {behalf.handle or behalf.id}' if behalf else ''})"
    count = f" x{entry.count}" if entry.count > 1 else ""
    address = entry.told.get("address") or entry.known.get("address") or "-"
    where = f" in {entry.project}" if entry.project else ""
    return f"{entry.at:%Y-%m-%d %H:%M:%S} {entry.kind}{count} {who} from {address}{where} ({entry.witness})"
