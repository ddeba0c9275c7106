"""The hunks of a change's texts, for those who want them in its event: bounded, and made of kept differences.

Whoever asks first reads the contents with their own token; the differences are kept where those of `/diff`
are (`diff_cache.py`), so that two processes' worth of streams and readers compare two texts once a process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import VersoError
from app.flows.compare import compare_as_hunks
from app.supabase.answers import Pair
from app.text.errors import WorkersBusyError

if TYPE_CHECKING:
    from app.flows.compare import Comparing
    from app.model import VersionRead
    from app.supabase.identity import Actor
    from app.supabase.ledger import Ledger

MOST_DOCUMENTS = 20
MOST_BYTES = 128 * 1024
"""Of one event's hunks, as JSON."""
LARGEST_TEXT = 256 * 1024
_TOO_LARGE = {"too_large", "diff_too_large"}


class EventHunks:
    """Finds the hunks of one project's changes, in one member's name."""

    def __init__(self, ledger: Ledger, comparing: Comparing, *, actor: Actor, project: str) -> None:
        self._ledger = ledger
        self._comparing = msgspec.structs.replace(comparing, limit=min(comparing.limit, LARGEST_TEXT))
        self._actor = actor
        self._project = project

    async def find(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """An event's row with `diff` in each version of its change; None when nothing could be read."""
        change = row["change"]
        if change is None:
            return row
        versions: list[dict[str, Any]] = change["versions"]
        asked = {
            each[side]
            for each in versions[:MOST_DOCUMENTS]
            for side in ("hash", "parent")
            if each.get(side) is not None
        }
        try:
            found = await self._ledger.read_versions(
                self._actor.token, project=self._project, versions=sorted(asked)
            )
        except VersoError:
            return None
        reads = {read.version.hash: read for read in found}
        left = MOST_BYTES
        told: list[dict[str, Any]] = []
        for number, each in enumerate(versions):
            diff: dict[str, Any] = {"left_out": "too_many"}
            if number < MOST_DOCUMENTS:
                diff, size = await self._diff_of(each, reads, left)
                left -= size
            told.append({**each, "diff": diff})
        return {**row, "change": {**change, "versions": told}}

    async def _diff_of(
        self, version: dict[str, Any], reads: dict[str, VersionRead], left: int
    ) -> tuple[dict[str, Any], int]:
        """The difference to the version before, as JSON has it, and its size there."""
        newer, older = reads.get(version["hash"]), reads.get(version.get("parent", ""))
        if newer is None:
            return {"left_out": "unavailable"}, 0
        pair = Pair(place=version["document"], older=older, newer=newer)
        try:
            diff = (await compare_as_hunks(self._comparing, actor=self._actor, sides=pair)).diff
        except VersoError as error:
            return {"left_out": "too_large" if error.code in _TOO_LARGE else "unavailable"}, 0
        except WorkersBusyError:
            return {"left_out": "unavailable"}, 0
        if diff is None or diff.too_different:
            return {"left_out": "too_large"}, 0
        if diff.binary:
            return {"left_out": "not_text"}, 0
        size = len(msgspec.json.encode(diff))
        if size > left:
            return {"left_out": "too_large"}, 0
        built: dict[str, Any] = msgspec.to_builtins(diff)
        return built, size
