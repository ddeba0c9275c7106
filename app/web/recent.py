"""What the head of every page says, remembered for a moment: who somebody is, and which projects they have.

It is for show alone: what a page is about is asked of the database each time, under the visitor's own token.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.supabase.answers import Me

RECENT_SECONDS = 10.0
MOST = 2000


class Recent:
    """Profiles by access token."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Me]] = OrderedDict()

    def get(self, token: str) -> Me | None:
        """What was kept less than RECENT_SECONDS ago."""
        kept = self._known.get(_key(token))
        return kept[1] if kept is not None and self._clock() - kept[0] < RECENT_SECONDS else None

    def keep(self, token: str, me: Me) -> None:
        """Remember a profile; the oldest are forgotten beyond MOST."""
        key = _key(token)
        self._known[key] = (self._clock(), me)
        self._known.move_to_end(key)
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def forget(self, token: str) -> None:
        """Ask again next time: the visitor has just changed it."""
        self._known.pop(_key(token), None)


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
