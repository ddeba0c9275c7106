"""What callers did, said to the audit trail after they were answered: no request waits for it or fails by it.

What one caller does again and again is counted here and said together, at most about once a second. What is
lost (a crash, a full queue, a token that ended) is logged by number.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import structlog

from app.errors import VersoError
from app.flows.afterwards import Afterwards
from app.supabase.audit import MAX_SAID, Said

if TYPE_CHECKING:
    from app.supabase.audit import Audit

log = structlog.get_logger(__name__)

GATHERED_S = 1.0
"""How long acts are gathered before they are said."""
MAX_PENDING = 5_000


class Trail(Afterwards):
    """Acts on their way to the trail, by the token of whoever did them."""

    def __init__(self, audit: Audit) -> None:
        super().__init__()
        self._audit = audit
        self._gathered_s = GATHERED_S
        self._pending: dict[str, dict[tuple[str, str | None], Said]] = {}
        self._count = 0
        self._lost = 0

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
        self._wake()

    async def close(self) -> None:
        """Say what is pending now, and stop."""
        self._gathered_s = 0.0
        await super().close()

    async def rest(self) -> None:
        """Gather what comes within a moment."""
        await asyncio.sleep(self._gathered_s)

    async def work(self) -> None:
        """Say all that was noted."""
        pending, self._pending, self._count = self._pending, {}, 0
        for token, acts in pending.items():
            said = list(acts.values())
            for at in range(0, len(said), MAX_SAID):
                await self._say(token, said[at : at + MAX_SAID])
        if self._lost:
            log.warning("audit.lost", entries=self._lost)
            self._lost = 0

    async def _say(self, token: str, said: list[Said]) -> None:
        try:
            await self._audit.record(token, said)
        except VersoError as error:
            log.warning("audit.lost", entries=len(said), code=error.code)
        except Exception:
            # Nobody awaits this, and what others did must still be said.
            log.exception("audit.fault")
