"""A folder that is kept in step: edits are pushed once they rest, what is new is pulled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from watchfiles import watch

from app.client.api import may_pass
from app.client.folder import open_folder
from app.client.pull import pull
from app.client.push import push
from app.errors import VersoError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from app.client.api import Api
    from app.client.place import Place

_GLANCE_MS = 200
_PASSING_HERE = frozenset({"crowded", "folder_busy", "unreadable"})
"""What the next round may not meet any more, of what this machine says."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened while a folder was followed."""

    kind: str
    """pushed, pulled, conflict, offline."""
    text: str
    change: int | None = None
    paths: list[str] = []


def follow(
    api: Api,
    place: Place,
    *,
    message: str = "",
    quiet: float = 2.0,
    every: float = 10.0,
    stop: threading.Event | None = None,
    news: threading.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Keep the folder in step until `stop` is set or the caller has enough.

    Pushes `quiet` seconds after the last edit, pulls `every` so many seconds, and when `news` is set (by
    whoever hears of some, app/client/events.py). A failure that may pass is told once, and the next round
    tries again. Raises VersoError for one that needs the person.
    """
    hidden = place.hidden
    edited_at: float | None = clock()  # what was done before we came is pushed first
    pulled_at = float("-inf")
    told = ""
    asked: set[str] = set()
    for seen in watch(
        place.root,
        watch_filter=lambda _, path: not path.startswith(str(hidden)),
        stop_event=stop,
        rust_timeout=_GLANCE_MS,
        yield_on_timeout=True,
        raise_interrupt=True,
        recursive=True,
    ):
        if seen:
            edited_at = clock()
        due_push = edited_at is not None and clock() - edited_at >= quiet
        due_pull = _taken(news) or clock() - pulled_at >= every
        if not due_push and not due_pull:
            continue
        try:
            for event in _round(api, place, message=message, pushing=due_push, pulling=due_pull):
                if event.kind != "conflict" or not set(event.paths) <= asked:
                    yield event
                asked = set(event.paths) if event.kind == "conflict" else asked
            told = ""
            edited_at = None if due_push else edited_at
        except VersoError as error:
            if error.code not in _PASSING_HERE and not may_pass(error):
                raise
            if told != error.code:
                told = error.code
                yield Event(kind="offline", text=f"{error.sentence} Trying again.")
            if due_push:
                edited_at = clock() + every - quiet
        pulled_at = clock()


def _taken(news: threading.Event | None) -> bool:
    """Whether there was news. It is taken before the pull: what is heard of during that is pulled next."""
    if news is None or not news.is_set():
        return False
    news.clear()
    return True


def _round(api: Api, place: Place, *, message: str, pushing: bool, pulling: bool) -> Iterator[Event]:
    with open_folder(place) as folder:
        if pulling:
            pulled = pull(api, folder)
            if pulled.written or pulled.removed:
                paths = [*pulled.written, *pulled.removed]
                yield Event(kind="pulled", text=f"Pulled #{pulled.newest}: {_few(paths)}", paths=paths)
        if pushing:
            pushed = push(api, folder, message=message, leave_conflicts=True)
            if pushed.change is not None:
                text = f"Pushed #{pushed.change}: {_few(pushed.paths)}"
                yield Event(kind="pushed", text=text, change=pushed.change, paths=pushed.paths)
        waiting = sorted(folder.work.conflicts())
    if waiting:
        yield Event(
            kind="conflict",
            text=f"Waits for you: {_few(waiting)}. Make it what it shall be, then `verso resolve PATH`.",
            paths=waiting,
        )


def _few(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")  # noqa: PLR2004
