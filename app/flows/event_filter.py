"""Which events a subscriber wants, decided in this process as `list_events` decides it in the database."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Sequence

_KIND = re.compile(r"[a-z]+\.([a-z_]+|\*)\Z")
MOST_KINDS = 50


class EventFilter(msgspec.Struct, frozen=True):
    """What is wanted; what isn't said doesn't matter. `session` is an id."""

    kinds: frozenset[str] = frozenset()
    """Exact kinds, and `noun.*`."""
    prefix: str | None = None
    """Events whose change or version touches a path that begins so; also where it was before it moved."""
    session: str | None = None
    """Events about a session: its own, and those about paths that lie in it."""

    def wants_kind(self, kind: str) -> bool:
        """Whether a kind is wanted."""
        return not self.kinds or kind in self.kinds or f"{kind.partition('.')[0]}.*" in self.kinds

    def wants_place(self, row: dict[str, Any]) -> bool | None:
        """Whether an event's place is wanted; None when its row alone can't say, for it isn't all of it."""
        change = row["change"]
        versions: list[dict[str, Any]] = [] if change is None else change["versions"]
        paths = [path for each in versions for path in (each["path"], each.get("from_path")) if path]
        by_path = self.prefix is None or any(
            path.startswith(self.prefix) for path in (row.get("path"), *paths) if path is not None
        )
        # A document that moved out of a session touches it as well, and only the whole reach says so.
        moved = any("from_path" in each for each in versions)
        by_session = (
            self.session is None
            or row.get("session") == self.session
            or any(each.get("session") == self.session for each in versions)
        )
        if by_path and by_session:
            return True
        if change is not None and (change["more"] or (self.session is not None and moved)):
            return None
        return False

    def wants_reach(self, row: dict[str, Any], *, paths: Sequence[str], sessions: Sequence[str]) -> bool:
        """The same by all that the event's change touches; `paths` are sorted."""
        by_path = self.prefix is None or _begins(paths, self.prefix)
        by_session = self.session is None or row.get("session") == self.session or self.session in sessions
        return by_path and by_session


def checked_kinds(kinds: Sequence[str] | None) -> frozenset[str]:
    """The kinds that a request asks for. Raises VersoError `bad_value`."""
    given = frozenset(kinds or ())
    for kind in given:
        if not _KIND.match(kind):
            raise VersoError(
                "bad_value", "A kind is a noun and a verb, or all of a noun: `change.added`, `change.*`."
            )
    if len(given) > MOST_KINDS:
        raise VersoError(
            "bad_value", f"Name at most {MOST_KINDS} kinds, or all of a noun: `change.*`.", limit=MOST_KINDS
        )
    return given


def _begins(paths: Sequence[str], prefix: str) -> bool:
    at = bisect_left(paths, prefix)
    return at < len(paths) and paths[at].startswith(prefix)
