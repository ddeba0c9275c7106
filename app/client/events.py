"""A project's events as its server tells them: pages, and a stream that goes on where it broke off."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence  # msgspec reads the annotation
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from app.client.api import may_pass
from app.client.history import home_of
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.client.api import Api

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 20.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted; docs/events.md says what each filter means."""

    kinds: Sequence[str] = ()
    path: str | None = None
    session: str | None = None

    def query(self, **more: object) -> str:
        """As a query."""
        pairs: list[tuple[str, object]] = [("kind", kind) for kind in self.kinds]
        pairs += [("path", self.path), ("session", self.session), *more.items()]
        return urlencode([(name, value) for name, value in pairs if value is not None])


def read_events(api: Api, project: str, wanted: Wanted, *, after: int = 0) -> Iterator[dict[str, Any]]:
    """All events after a number that there are now, oldest first. Raises VersoError."""
    following: int | None = after
    while following is not None:
        page = api.get(f"{home_of(project)}/events?{wanted.query(after=following)}", kind=_Page)
        yield from page.items
        following = page.next


def follow_events(
    api: Api,
    project: str,
    wanted: Wanted,
    *,
    after: int | None = None,
    offline: Callable[[VersoError], None] = lambda _: None,
    stop: threading.Event | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[dict[str, Any]]:
    """Each event once, in order, from now or after a number on, until `stop` is set or the caller has enough.

    What breaks off is taken up again; `offline` is told once of each time that it can't be at once. Raises
    VersoError when it can't be at all: no longer a member, not signed in.
    """
    last = after
    wait = FIRST_WAIT_SECONDS
    told = False
    while stop is None or not stop.is_set():
        try:
            for frame in _frames(api, project, wanted, after=last):
                if frame.number is None:
                    continue  # who is there, or that the stream ends: no event
                last, wait, told = frame.number, FIRST_WAIT_SECONDS, False
                if "kind" in frame.data:
                    yield frame.data
        except VersoError as error:
            if not may_pass(error):
                raise
            if not told:
                offline(error)
            told = True
        sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)


class _Page(msgspec.Struct, frozen=True):
    items: list[dict[str, Any]]
    next: int | None


class _Frame(msgspec.Struct, frozen=True):
    number: int | None
    data: dict[str, Any]


def _frames(api: Api, project: str, wanted: Wanted, *, after: int | None) -> Iterator[_Frame]:
    """The frames of one stream, to its end (WHATWG HTML, 9.2.6, as far as this server's frames need it)."""
    address = f"{home_of(project)}/events?{wanted.query(after=after)}"
    with api.stream("GET", address, headers={"Accept": "text/event-stream"}) as response:
        number: int | None = None
        data = b""
        for line in _lines(api.pieces(response)):
            name, _, value = line.partition(b": ")
            if name == b"id":
                number = int(value)
            elif name == b"data":
                data = value
            elif not line and data:
                yield _Frame(number, msgspec.json.decode(data))
                number, data = None, b""


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    for piece in pieces:
        first, *more = piece.split(b"\n")
        held.append(first)
        for line in more:
            yield b"".join(held)
            held = [line]


class Ears:
    """Listens to a project in a thread of its own, with an Api of its own: `news` is set when it changed.

    Silence says nothing: a server that can't be heard is only asked less soon.
    """

    def __init__(self, api: Api, project: str) -> None:
        self.news = threading.Event()
        self._api = api
        self._project = project
        self._stop = threading.Event()

    def __enter__(self) -> threading.Event:
        # A daemon: it may be waiting for the network when the program ends.
        threading.Thread(target=self._listen, name="events", daemon=True).start()
        return self.news

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _listen(self) -> None:
        wanted = Wanted(kinds=("change.added",))
        try:
            for _ in follow_events(
                self._api, self._project, wanted, stop=self._stop, offline=lambda _: self.news.set()
            ):
                self.news.set()
        except VersoError:
            self.news.set()  # whoever asks next is told why
