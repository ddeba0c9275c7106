"""What pages show beside a list, in one round trip for all its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.model import ChangeSummary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.supabase.pool import Pool

MAX_SUMMARIES = 1000
"""The most changes of one question; the database refuses more."""


class Glances:
    """Rows beside rows. The caller's token decides what is there, as everywhere."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_summaries(
        self, token: str, changes: Iterable[tuple[str, int]]
    ) -> dict[tuple[str, int], ChangeSummary]:
        """The changes of these projects (ids) and numbers; those that the caller may not see are missing.

        At most MAX_SUMMARIES of them. Asks nothing when there are none.
        """
        wanted = sorted(set(changes))
        if not wanted:
            return {}
        found = await self._pool.call(
            list[ChangeSummary],
            token,
            "list_summaries",
            projects=[project for project, _ in wanted],
            sequences=[sequence for _, sequence in wanted],
        )
        return {(each.project, each.sequence): each for each in found}
