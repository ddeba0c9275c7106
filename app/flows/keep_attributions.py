"""Storing where the lines of versions came from, once it was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.supabase.identity import Actor
    from app.supabase.insights import AttributionToKeep, Insights

log = structlog.get_logger(__name__)

AT_ONCE = 500


async def keep_attributions(insights: Insights, *, actor: Actor, items: Sequence[AttributionToKeep]) -> None:
    """Store what was computed, if anything. A failure costs only that it is computed again.

    What doesn't fit what others have told of their versions is refused, and the rest is stored without it.
    """
    left = list(items)
    while left:
        try:
            await insights.store_attributions(actor.token, items=left[:AT_ONCE])
            del left[:AT_ONCE]
        except VersoError as error:
            log.warning("attributions.not_kept", code=error.code, versions=len(left))
            fitting = [each for each in left if each.version != error.detail.get("version")]
            if error.code != "bad_attribution" or len(fitting) == len(left):
                return
            left = fitting
