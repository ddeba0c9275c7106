"""What callers did, said to the audit trail after they were answered: no request waits for it or fails by it.

What one caller does again and again is counted here and said together, at most about once a second. What is
lost (a crash, a full queue, a token that ended) is logged by number.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING

import msgspec
import structlog

from app.errors import VersoError
from app.supabase.audit import MAX_SAID, Said

if TYPE_CHECKING:
    from app.supabase.audit import Audit

log = structlog.get_logger(__name__)

GATHERED_S = 1.0
"""How long acts are gathered before they are said."""
GRACE_S = 2.0
"""How long the end of the process waits for what is pending."""
MAX_PENDING = 5_000


class Trail:
    """Acts on their way to the trail, by the token of whoever did them."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._gathered_s = GATHERED_S
        self._pending: dict[str, dict[tuple[str, str | None], Said]] = {}
        self._count = 0
        self._lost = 0
        self._noted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def note(self, token: str, said: Said) -> None:
        """Take note of an act of the token's owner. Costs a look into a dictionary."""
        acts = self._pending.get(token, {})
        known = acts.get((said.kind, said.about))
        if known is None and self._count >= MAX_PENDING:
            self._lost += 1
            return
        if known is None:
            self._count += 1
            self._pending.setdefault(token, acts)[said.kind, said.about] = said
        else:
            acts[said.kind, said.about] = msgspec.structs.replace(known, count=known.count + said.count)
        self._idle.clear()
        self._noted.set()
        if self._task is None:
            # A context of its own: what is bound to the request that came first (ids, counts) is not ours.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def close(self) -> None:
        """Say what is pending, within GRACE_S, and stop."""
        self._gathered_s = 0.0
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), GRACE_S)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await self._noted.wait()
            await asyncio.sleep(self._gathered_s)
            self._noted.clear()
            pending, self._pending, self._count = self._pending, {}, 0
            for token, acts in pending.items():
                said = list(acts.values())
                for at in range(0, len(said), MAX_SAID):
                    await self._say(token, said[at : at + MAX_SAID])
            if self._lost:
                log.warning("audit.lost", entries=self._lost)
                self._lost = 0
            if not self._pending:
                self._idle.set()

    async def _say(self, token: str, said: list[Said]) -> None:
        try:
            await self._audit.record(token, said)
        except VersoError as error:
            log.warning("audit.lost", entries=len(said), code=error.code)
        except Exception:
            # Nobody awaits this, and what others did must still be said.
            log.exception("audit.fault")
