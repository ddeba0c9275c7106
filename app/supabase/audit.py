"""The audit trail: what is said under a caller's own token, and the pages of what is known.

As in the ledger, every method takes the caller's token first and raises VersoError with the database's own
code and sentence.
"""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict, Unpack

import msgspec

from app.errors import VersoError
from app.model import Person

if TYPE_CHECKING:
    from app.supabase.pool import Pool

KINDS = frozenset(
    f"{noun}.{verb}"
    for noun, verbs in {
        "account": "session_started session_ended renamed deleted revived",
        "agent": "added rotated revoked",
        "audit": "expired",
        "bridge": "used",
        "content": "erased bytes_deleted",
        "export": "archive audit bundle contents git history",
        "invitation": "added accepted declined revoked",
        "member": "added role_set removed account_ended",
        "page": "signed_in signed_out",
        "project": "added edited archived reopened rules_set",
        "refused": "role absent account password rate",
        "session": "added edited",
        "tag": "added",
        "webhook": "added edited rotated removed disabled",
    }.items()
    for verb in verbs.split()
)
"""What there may be in a trail; docs/audit.md and docs/events.md tell of each."""
NOUNS = tuple(sorted({kind.partition(".")[0] for kind in KINDS}))
MAX_SAID = 100
"""So many entries are said at once, at most."""


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is said of an act of the caller's own. docs/audit.md names the kinds."""

    kind: str
    about: str | None = None
    """A project, document or version as the caller named it."""
    address: str | None = None
    user_agent: str | None = None
    request: str | None = None
    """The request's id."""
    route: str | None = None
    code: str | None = None
    count: int = 1


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. `known` is what the database found out, `told` what it was told."""

    id: str
    at: datetime
    last_at: datetime
    """Later than `at` where `count` is more than one."""
    count: int
    kind: str
    witness: Literal["event", "database", "caller"]
    """An event of the project; a trigger of the database; or the account itself, by the API or without it."""
    person: Person | None = None
    agent: str | None = None
    on_behalf_of: Person | None = None
    session: str | None = None
    project: str | None = None
    event: int | None = None
    change: int | None = None
    known: dict[str, Any] = {}
    told: dict[str, str] = {}
    place: str
    """Where it is in the list."""


class Asked(TypedDict):
    """Which entries a page is to have."""

    kind: NotRequired[str | None]
    """One kind, or all of a noun."""
    since: NotRequired[datetime | None]
    until: NotRequired[datetime | None]
    after: NotRequired[str | None]
    """The `place` of the last one seen."""
    page_size: int


class Audit:
    """The trail of one Supabase project."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def record(self, token: str, said: list[Said]) -> None:
        """Say up to MAX_SAID acts of the token's owner."""
        await self._pool.rpc(token, "record_audit", {"entries": msgspec.to_builtins(said)}, repeatable=False)

    async def list_audit(
        self, token: str, *, project: str, person: str | None = None, **asked: Unpack[Asked]
    ) -> list[AuditEntry]:
        """What happened in a project, newest first; owners only."""
        return await self._page(token, "list_audit", project=project, person=person, **asked)

    async def list_my_audit(self, token: str, **asked: Unpack[Asked]) -> list[AuditEntry]:
        """What the caller's own account did, newest first."""
        return await self._page(token, "list_my_audit", **asked)

    async def read_audit(
        self,
        secret_key: str,
        *,
        project: str | None = None,
        person: str | None = None,
        **asked: Unpack[Asked],
    ) -> list[AuditEntry]:
        """Operators: what happened anywhere, newest first; `project` by its id."""
        return await self._page(secret_key, "read_audit", project=project, person=person, **asked)

    async def expire_audit(self, secret_key: str, *, before: datetime) -> int:
        """Operators: let entries go from before a time at least 90 days ago; how many, 10,000 at most."""
        return await self._pool.call(int, secret_key, "expire_audit", before=before.isoformat())

    async def _page(self, key: str, function: str, **asked: str | int | datetime | None) -> list[AuditEntry]:
        _check_kind(asked.get("kind"))
        told: dict[str, Any] = {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in asked.items()
        }
        return await self._pool.call(list[AuditEntry], key, function, **told)


def _check_kind(kind: object) -> None:
    if kind is not None and kind not in KINDS and kind not in NOUNS:
        raise VersoError(
            "bad_value",
            f"A kind is one of {', '.join(sorted(KINDS))}, or all of a noun: {', '.join(NOUNS)}. "
            "Changes, comments, reviews and stages have lists of their own.",
        )
