"""The events of a project, as the database tells of them: pages after a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.supabase.pool import Pool


class EventRows(msgspec.Struct, frozen=True, kw_only=True):
    """A page of events, oldest first, each as answers show it (docs/events.md)."""

    project: str
    """The project's id."""
    session: str | None
    """The id of the session that was asked for."""
    newest: int
    """Number of the project's newest event when this was read; 0 before the first."""
    scanned: int
    """How far the page looked: the next one goes on after this. At least the number of its last event."""
    events: list[dict[str, Any]]


class Reach(msgspec.Struct, frozen=True):
    """All that a change touches."""

    paths: list[str]
    sessions: list[str]


class Feed:
    """Reads events with a member's token. Every method raises VersoError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_events(
        self,
        token: str,
        *,
        project: str,
        after: int | None,
        page_size: int = 200,
        kinds: Sequence[str] = (),
        prefix: str | None = None,
        session: str | None = None,
    ) -> EventRows:
        """Events after a number, filtered; without a number none, and the number of the newest.

        Raises VersoError: `project_not_found`, `session_not_found`, `bad_cursor` after a number that there
        isn't yet.
        """
        return await self._pool.call(
            EventRows,
            token,
            "list_events",
            project=project,
            after=after,
            page_size=page_size,
            kinds=list(kinds) or None,
            prefix=prefix,
            session=session,
        )

    async def read_event_reach(self, token: str, *, project: str, change: int) -> Reach:
        """Every path that a change touches, and the sessions that these lie in."""
        return await self._pool.call(Reach, token, "read_event_reach", project=project, change=change)
