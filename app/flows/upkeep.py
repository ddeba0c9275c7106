"""What is derived from new versions, computed after their change was answered: attributions, texts to search.

Nothing waits for this and nothing depends on it: what is lost here (a crash, a full queue, an expired token)
is computed when it is first asked for. Changes of one caller that come close together are kept in one round
trip.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

import structlog

from app.errors import VersoError
from app.flows.afterwards import Afterwards
from app.flows.attribute import Attributor
from app.flows.keep_attributions import keep_attributions
from app.flows.texts import store_texts
from app.supabase.insights import Ancestor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.flows.attribute import Memory
    from app.model import Change, VersionState
    from app.supabase.blobs import Blobs
    from app.supabase.identity import Actor
    from app.supabase.insights import AttributionToKeep, Insights
    from app.text.bounded import TextWorkers

log = structlog.get_logger(__name__)

QUIET_S = 0.5
"""How long nothing must have been written before what was gathered is worked on."""
LONGEST_S = 4.0
"""How long changes are gathered at most: of a burst, most is done once for all of them."""
MAX_SIZE = 1024 * 1024
"""Larger contents wait until somebody asks."""
MAX_PENDING = 5_000
BATCH = 500


class _Noted(NamedTuple):
    actor: Actor
    version: VersionState


class Upkeep(Afterwards):
    """Works on what was noted, one caller at a time."""

    def __init__(self, insights: Insights, blobs: Blobs, workers: TextWorkers, memory: Memory) -> None:
        super().__init__()
        self._insights = insights
        self._blobs = blobs
        self._workers = workers
        self._memory = memory
        self._pending: dict[str, list[_Noted]] = {}
        self._count = 0

    def note(self, *, actor: Actor, change: Change, texts: Mapping[str, bytes]) -> None:
        """Take note of a change; `texts` are those of its contents that are at hand, by their SHA-256."""
        for sha256, text in texts.items():
            if len(text) <= MAX_SIZE:
                self._memory.keep_text(change.project, sha256, text)
        wanted = [_Noted(actor, version) for version in change.versions if (version.size or 0) <= MAX_SIZE]
        if not wanted or self._count + len(wanted) > MAX_PENDING:
            return
        self._pending.setdefault(actor.token, []).extend(wanted)
        self._count += len(wanted)
        self._wake()

    async def rest(self) -> None:
        """Wait for a pause, or until it has been long enough."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_S):
                while self._noted.is_set() and self._count < MAX_PENDING // 2:
                    self._noted.clear()
                    await asyncio.sleep(QUIET_S)

    async def work(self) -> None:
        """Compute what follows from all that was noted."""
        pending, self._pending, self._count = self._pending, {}, 0
        for noted in pending.values():
            for at in range(0, len(noted), BATCH):
                await self._derive(noted[at : at + BATCH])

    async def _derive(self, noted: list[_Noted]) -> None:
        actor = noted[0].actor
        items: list[AttributionToKeep] = []
        try:
            for _, version in noted:
                items += await self._attribute(actor, version)
            await keep_attributions(self._insights, actor=actor, items=items)
            await self._index(actor, [version for _, version in noted])
        except VersoError as error:
            log.info("upkeep.left", code=error.code)
        except Exception:
            # Nobody awaits this, and the next batch must still be done.
            log.exception("upkeep.fault")

    async def _index(self, actor: Actor, versions: list[VersionState]) -> None:
        """Bring what is at hand into the search index; the rest is brought when somebody searches."""
        for project in {version.project for version in versions}:
            here = [version for version in versions if version.project == project]
            hashes = {version.sha256 for version in here if version.sha256 is not None}
            texts = [(each, self._memory.text(project, each)) for each in hashes]
            await store_texts(
                self._insights,
                self._memory,
                actor=actor,
                project=project,
                found=[(each, text) for each, text in texts if text is not None],
                documents=sorted({version.document for version in here}),
            )

    async def _attribute(self, actor: Actor, version: VersionState) -> list[AttributionToKeep]:
        if version.sha256 is None:
            return []
        attributor = Attributor(
            self._insights,
            self._blobs,
            self._workers,
            self._memory,
            actor=actor,
            document=version.document,
            limit=MAX_SIZE,
        )
        before = None if version.parent is None else self._memory.row(version.parent)
        if self._is_at_hand(version, before):
            attributor.add_row(_row(version, actor))
            if before is not None:
                attributor.add_row(before)
        try:
            await attributor.trace(version.number)
        except VersoError as error:
            log.info("upkeep.left", code=error.code, version=version.hash)
        return attributor.to_keep()

    def _is_at_hand(self, version: VersionState, before: Ancestor | None) -> bool:
        """Whether all that the attribution is made from is in memory, so that nothing needs to be read."""
        if version.merged_from is not None or version.restored_from is not None or version.sha256 is None:
            return False
        if before is None:
            return version.parent is None and self._memory.text(version.project, version.sha256) is not None
        texts = {sha256 for sha256 in (version.sha256, before.sha256) if sha256 is not None}
        return len(texts) == 1 or all(self._memory.text(version.project, each) is not None for each in texts)


def _row(version: VersionState, actor: Actor) -> Ancestor:
    """A version that was just written, as attribution is computed from it: its bytes are in memory."""
    return Ancestor(
        hash=version.hash,
        project=version.project,
        number=version.number,
        action=version.action,
        sha256=version.sha256,
        size=version.size,
        author=actor.id,
        merged_from=None,
        restored_from=None,
        copies=None,
        runs=None,
        settled=None,
    )
