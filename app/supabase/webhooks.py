"""Webhooks: what owners do with them, and what the worker does; one method a SQL function.

Every method takes the caller's token first (the worker's is the secret key) and raises VersoError with the
database's own code and sentence.
"""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from app.model import Person

if TYPE_CHECKING:
    from app.supabase.pool import Pool


class Replay(msgspec.Struct, frozen=True):
    """Events that are still to be sent once more."""

    first: int
    last: int


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where a project's events are sent, and how that goes."""

    id: str
    project: str
    url: str
    description: str
    kinds: list[str] | None
    """Only these kinds, or `noun.*`; null for all."""
    prefix: str | None
    """Only events about paths that begin so; null for all."""
    state: Literal["active", "paused", "disabled"]
    made_by: Person
    made_at: datetime
    place: int
    """The last event that is done: taken, or not wanted."""
    newest: int
    """The project's newest event: how far it is behind is the difference."""
    replay: Replay | None = None
    attempts: int
    """How often the next event was tried in vain."""
    failing_since: datetime | None = None
    last_error: str | None = None
    next_attempt_at: datetime | None = None
    last_delivered_at: datetime | None = None
    old_secret_until: datetime | None = None
    """Until when the key before this one signs as well."""

    @property
    def position(self) -> str:
        """Where it is in the list."""
        return f"{self.made_at.isoformat()} {self.id}"


class KeyedWebhook(Webhook, frozen=True, kw_only=True):
    """A webhook with its key, which is in this answer and in no other."""

    secret: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt."""

    number: int
    sequence: int
    """The event."""
    kind: str
    attempt: int
    """Which attempt at this event, from 1."""
    replay: bool
    at: datetime
    ms: int
    status: int | None
    error: str | None
    delivered: bool


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook's next events, leased to a worker."""

    webhook: str
    lease: str
    project: str
    url: str
    attempts: int
    replay: bool
    secrets: list[str]
    events: list[dict[str, Any]]


class _Held(msgspec.Struct, frozen=True):
    go_on: bool


class WebhookFigures(msgspec.Struct, frozen=True, kw_only=True):
    """All webhooks of a Supabase project, counted."""

    active: int
    paused: int
    disabled: int
    failing: int
    """Active ones whose last attempt failed."""
    behind: int
    waiting: int
    """Events that they are behind, with those that filters will leave out."""
    oldest_seconds: int
    """The age of the oldest of them; 0 when none waits."""


class Webhooks:
    """The webhooks of one Supabase project."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_webhooks(
        self, token: str, *, project: str, after: str | None, page_size: int
    ) -> list[Webhook]:
        """A project's webhooks, oldest first; `after` is the `position` of the last one seen. Owners only."""
        return await self._pool.call(
            list[Webhook], token, "list_webhooks", project=project, after=after, page_size=page_size
        )

    async def create_webhook(
        self,
        token: str,
        *,
        project: str,
        url: str,
        kinds: list[str] | None,
        prefix: str | None,
        description: str,
    ) -> KeyedWebhook:
        """Register an address."""
        return await self._pool.call(
            KeyedWebhook,
            token,
            "create_webhook",
            repeatable=False,
            project=project,
            url=url,
            kinds=kinds,
            prefix=prefix,
            description=description,
        )

    async def update_webhook(
        self, token: str, *, project: str, webhook: str, edit: dict[str, Any]
    ) -> Webhook:
        """Change what the edit names."""
        return await self._pool.call(
            Webhook, token, "update_webhook", project=project, webhook=webhook, edit=edit
        )

    async def rotate_webhook(self, token: str, *, project: str, webhook: str, overlap: int) -> KeyedWebhook:
        """Give it another key; both sign for so many seconds."""
        return await self._pool.call(
            KeyedWebhook,
            token,
            "rotate_webhook",
            repeatable=False,
            project=project,
            webhook=webhook,
            overlap=overlap,
        )

    async def remove_webhook(self, token: str, *, project: str, webhook: str) -> None:
        """Remove it."""
        await self._pool.rpc(token, "remove_webhook", {"project": project, "webhook": webhook})

    async def replay_webhook(
        self, token: str, *, project: str, webhook: str, first: int, last: int
    ) -> Webhook:
        """Have events sent once more."""
        return await self._pool.call(
            Webhook, token, "replay_webhook", project=project, webhook=webhook, first=first, last=last
        )

    async def list_deliveries(
        self, token: str, *, project: str, webhook: str, before: int | None, page_size: int, failed: bool
    ) -> list[Delivery]:
        """Attempts, newest first."""
        return await self._pool.call(
            list[Delivery],
            token,
            "list_deliveries",
            project=project,
            webhook=webhook,
            before=before,
            page_size=page_size,
            failed=failed,
        )

    async def claim_deliveries(
        self, secret_key: str, *, webhooks: int, events: int, seconds: int
    ) -> list[Claim]:
        """The worker: what is to be sent now, leased for so many seconds."""
        return await self._pool.call(
            list[Claim],
            secret_key,
            "claim_deliveries",
            repeatable=False,
            webhooks=webhooks,
            events=events,
            seconds=seconds,
        )

    async def finish_delivery(
        self,
        secret_key: str,
        *,
        claim: Claim,
        event: int,
        kind: str,
        delivered: bool,
        ms: int,
        status: int | None,
        error: str | None,
        retry_after: int | None,
        last: bool,
        seconds: int,
    ) -> bool:
        """The worker: how an attempt went. Whether the lease holds for the next one."""
        held = await self._pool.call(
            _Held,
            secret_key,
            "finish_delivery",
            webhook=claim.webhook,
            lease=claim.lease,
            event=event,
            kind=kind,
            replay=claim.replay,
            delivered=delivered,
            ms=ms,
            status=status,
            error=error,
            retry_after=retry_after,
            last=last,
            seconds=seconds,
        )
        return held.go_on

    async def release_deliveries(self, secret_key: str, *, claim: Claim) -> None:
        """The worker: give a lease back."""
        await self._pool.rpc(
            secret_key, "release_deliveries", {"webhook": claim.webhook, "lease": claim.lease}
        )

    async def webhook_figures(self, secret_key: str) -> WebhookFigures:
        """Operators: how many webhooks there are, and what waits."""
        return await self._pool.call(WebhookFigures, secret_key, "webhook_figures")
