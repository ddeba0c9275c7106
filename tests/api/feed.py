"""Reading streams of events as a client does, line by line, in a thread of its own."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.world import Person


class Frame(NamedTuple):
    """A frame: its event's name, id and data; a comment has its text as data and no event."""

    event: str | None
    id: str | None
    data: Any


class Stream:
    """A stream of events that is open for as long as the context."""

    def __init__(self, person: Person | httpx.Client, url: str, **headers: str) -> None:
        self._person = person
        self._url = url
        self._headers = {
            "Accept": "text/event-stream",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        self._frames: queue.Queue[Frame | None] = queue.Queue()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.response: httpx.Response | None = None
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._opened.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        if self.response is not None:
            stream: Any = self.response.extensions.get("network_stream")
            sock = stream.get_extra_info("socket")
            with contextlib.suppress(OSError):  # it may be gone already
                sock.shutdown(2)
        self._thread.join(10)

    def _run(self) -> None:
        try:
            client = httpx.Client(
                base_url=self._person.base_url, headers=self._person.headers, trust_env=False, timeout=90
            )
            with client, client.stream("GET", self._url, headers=self._headers) as response:
                self.response = response
                self._opened.set()
                if response.status_code != 200:
                    response.read()
                    return
                for frame in frames(response.iter_lines()):
                    self._frames.put(frame)
        except httpx.HTTPError as error:
            self.failure = error
        finally:
            self._opened.set()
            self._frames.put(None)

    def next(self, seconds: float = 20) -> Frame:
        """The next frame that is no comment."""
        deadline = time.monotonic() + seconds
        while True:
            frame = self.any(max(deadline - time.monotonic(), 0.01))
            if frame.event is not None:
                return frame

    def any(self, seconds: float = 20) -> Frame:
        """The next frame or comment. Raises EOFError at the stream's end, TimeoutError when none comes."""
        try:
            frame = self._frames.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        if frame is None:
            self._frames.put(None)
            raise EOFError(self.failure)
        return frame

    def events(self, count: int, seconds: float = 20) -> list[dict[str, Any]]:
        """The next events; `ready` doesn't count."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            frame = self.next(seconds)
            if frame.event != "ready":
                assert frame.event == frame.data.get("kind"), frame
                assert frame.id == str(frame.data["sequence"])
                found.append(frame.data)
        return found

    def quiet(self, seconds: float = 1) -> bool:
        """Whether nothing but comments comes for a while."""
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        return False


def frames(lines: Iterator[str]) -> Iterator[Frame]:
    """Frames by the rules of server-sent events."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if fields:
                yield Frame(fields.get("event"), fields.get("id"), json.loads(fields["data"]))
            fields = {}
        elif line.startswith(":"):
            yield Frame(None, None, line[1:].strip())
        else:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
