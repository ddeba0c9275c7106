"""The worker of webhooks: claims what is behind, sends it in order, says how it went. Any number may run.

1  claim: the database leases webhooks that are behind, with their next events, to this worker alone
2  send one event, signed with the webhook's keys; wait for its answer
3  say how it went; the lease goes on with it. Taken: the next event. Not: the database sets when to try again
4  killed at any point: the lease runs out, and the event is sent again (at least once)
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from app.errors import VersoError
from app.webhooks.signing import signed_headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.supabase.webhooks import Claim, Webhooks
    from app.webhooks.sending import Sender

log = structlog.get_logger(__name__)

AT_ONCE = 20
"""How many webhooks a worker sends to at the same time."""
EVENTS = 20
"""How many events of one webhook are claimed at once."""
LEASE_SECONDS = 60
"""Longer than an attempt may take, with what is around it."""
LOOK_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
FIGURES_SECONDS = 60.0
"""How often the log is told how it goes."""
AGENT = "Verso-Webhooks/1 (+docs/webhooks.md)"


class KeyRefusedError(Exception):
    """Supabase doesn't take the key, or it is not the project's secret one."""


class Deliverer:
    """Delivers until it is told to stop."""

    def __init__(
        self,
        webhooks: Webhooks,
        sender: Sender,
        secret_key: str,
        *,
        look_seconds: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._webhooks = webhooks
        self._sender = sender
        self._key = secret_key
        self._look_seconds = look_seconds
        self._clock = clock
        self._counts = {"delivered": 0, "failed": 0, "retried": 0}
        """Of this worker since it began. What is tried again counts in both others, too."""
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End after the attempts that are under way; what isn't sent is left to others."""
        self._stopping.set()

    async def run(self) -> None:
        """Deliver. A database that doesn't answer is asked again, less and less often.

        Raises KeyRefusedError, at the beginning or later: the key is read once, so only another start can
        find another one. What is under way ends first.
        """
        refused: VersoError | None = None
        tasks: set[asyncio.Task[None]] = set()
        pause = self._look_seconds
        told_at = float("-inf")
        while not self._stopping.is_set():
            claims: list[Claim] = []
            try:
                if len(tasks) < AT_ONCE:
                    claims = await self._webhooks.claim_deliveries(
                        self._key,
                        webhooks=AT_ONCE - len(tasks),
                        events=EVENTS,
                        seconds=LEASE_SECONDS,
                    )
                pause = self._look_seconds
            except VersoError as error:
                if _is_of_the_key(error):
                    refused = error
                    break
                log.warning("webhooks.no_claim", code=error.code)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            for claim in claims:
                task = asyncio.create_task(self._deliver(claim))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            if time.monotonic() >= told_at + FIGURES_SECONDS:
                told_at = time.monotonic()
                await self._tell()
            await self._until_due(tasks, pause)
        if tasks:
            await asyncio.wait(tasks)
        if refused is not None:
            raise KeyRefusedError from refused
        await self._tell()

    async def _tell(self) -> None:
        """Log what was done since the beginning, and what waits: of all webhooks, whoever sends to them."""
        done = dict(self._counts)  # what is under way meanwhile is told the next time
        try:
            waiting = msgspec.structs.asdict(await self._webhooks.webhook_figures(self._key))
        except VersoError as error:
            waiting = {"code": error.code}
        log.info("webhooks.figures", **done, **waiting)

    async def _until_due(self, tasks: set[asyncio.Task[None]], pause: float) -> None:
        """Wait for the next look: for the pause, or for a task that ends, which may have left something."""
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([stopping, *tasks], timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()

    async def _deliver(self, claim: Claim) -> None:
        try:
            for number, event in enumerate(claim.events, 1):
                if self._stopping.is_set():
                    await self._webhooks.release_deliveries(self._key, claim=claim)
                    return
                if not await self._attempt(claim, event, last=number == len(claim.events)):
                    return
        except VersoError as error:
            # The lease runs out by itself, and whoever claims it then sends again what may have been taken.
            log.warning("webhooks.unfinished", webhook=claim.webhook, code=error.code)
        except Exception:
            log.exception("webhooks.fault", webhook=claim.webhook)

    async def _attempt(self, claim: Claim, event: dict[str, Any], *, last: bool) -> bool:
        body, headers = message_of(claim, event, now=int(self._clock()))
        outcome = await self._sender.send(claim.url, body=body, headers=headers)
        log.info(
            "webhooks.attempt",
            webhook=claim.webhook,
            event_sequence=event["sequence"],
            delivered=outcome.delivered,
            status=outcome.status,
            ms=outcome.ms,
        )
        self._counts["delivered" if outcome.delivered else "failed"] += 1
        self._counts["retried"] += claim.attempts > 0
        return await self._webhooks.finish_delivery(
            self._key,
            claim=claim,
            event=event["sequence"],
            kind=event["kind"],
            delivered=outcome.delivered,
            ms=outcome.ms,
            status=outcome.status,
            error=outcome.error,
            retry_after=outcome.retry_after,
            last=last,
            seconds=LEASE_SECONDS,
        )


def _is_of_the_key(error: VersoError) -> bool:
    """Whether a key is no key of this project, or not its secret one; not a fault that passes."""
    return error.code in {"unauthenticated", "forbidden"} or error.detail.get("refused") == "api_key"


def message_of(claim: Claim, event: dict[str, Any], *, now: int) -> tuple[bytes, dict[str, str]]:
    """The body of an event's message, and its headers. An event has the same id each time it is sent."""
    body = msgspec.json.encode(event)
    message = f"msg_{claim.webhook.replace('-', '')}_{event['sequence']}"
    return body, {
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "verso-project": claim.project,
        "verso-event": event["kind"],
        **({"verso-replay": "true"} if claim.replay else {}),
        **signed_headers(claim.secrets, message=message, timestamp=now, body=body),
    }
