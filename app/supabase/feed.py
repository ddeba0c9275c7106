"""What happens in a project, as the database tells of it: events, pages after a number; and who is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from app.model.presence import Presence

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


class PresenceRows(msgspec.Struct, frozen=True):
    """Who is present, and the number of the project's newest event when this was read."""

    newest: int
    items: list[Presence]


class Feed:
    """Reads events, and who is present, with a member's token. Every method raises VersoError."""

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

    async def list_presence(
        self, token: str, *, project: str, document: str | None = None, path: str | None = None
    ) -> PresenceRows:
        """Who is present in a project, or at one document or path of it. Raises `project_not_found`."""
        return await self._pool.call(
            PresenceRows, token, "list_presence", project=project, document=document, path=path
        )

    async def set_presence(
        self,
        token: str,
        *,
        project: str,
        device: str,
        state: str,
        document: str | None,
        path: str | None,
        seconds: int,
    ) -> list[Presence]:
        """Say what the caller does on a device; gives all at that place, the caller too, and none when gone.

        Raises VersoError: `project_not_found`, `document_not_found`, `bad_path`, `bad_value`,
        `presence_full`, for editing `role_too_low`.
        """
        return await self._pool.call(
            list[Presence],
            token,
            "set_presence",
            project=project,
            device=device,
            state=state,
            document=document,
            path=path,
            seconds=seconds,
        )
