"""One run of `verso dev`: its two children, from their start to their stop."""

from __future__ import annotations

import os
import queue
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from app.cli.children import Child, ChildError
from app.cli.loopback import RefusedError, Site
from app.cli.ports import HOST
from app.settings import data_directory

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    from app.cli.data_directory import DataDirectory
    from app.cli.seeding import Person

START_SECONDS = 90.0
# Access tokens live an hour.
REFRESH_SECONDS = 40 * 60.0
LOOK_SECONDS = 1.0
MOST_RESTARTS = 3
RESTART_WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DevOptions:
    """What `verso dev` was asked for. Port 0 takes a free one."""

    port: int
    supabase_port: int
    data: Path
    reset: bool
    demo: bool
    with_parent: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the watch has to answer."""

    kind: Literal["signal", "ended"]
    number: int
    child: Child | None = None


class StoppedError(Exception):
    """Somebody asked to stop while things were being started."""


class Run:
    """The two children and what is known of them."""

    def __init__(self, options: DevOptions, data: DataDirectory, listener: socket.socket) -> None:
        self._options = options
        self._data = data
        self._listener = listener
        self._parent = os.getppid()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._restarts: list[float] = []
        self._values: dict[str, Any] = {}
        self._ready: dict[str, Any] = {}
        self._api_url = f"http://{HOST}:{listener.getsockname()[1]}"
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: self._events.put(Event("signal", number)))
        self._supabase = self._supabase_child(options.supabase_port)
        self._api = Child(
            name="api",
            module="app.cli.api_process",
            arguments=["--listen-fd", str(listener.fileno())],
            log=data.log("api"),
            inherited=[listener.fileno()],
        )
        self._webhooks = Child(
            name="webhooks", module="app.cli.webhooks_process", arguments=[], log=data.log("webhooks")
        )

    def _supabase_child(self, port: int) -> Child:
        migrations = data_directory("storage_schema") / "supabase" / "migrations"
        return Child(
            name="supabase",
            module="app.local",
            arguments=[
                *("--data", str(self._data.supabase)),
                *("--port", str(port)),
                *("--migrations", str(migrations)),
                *("--site-url", self._api_url),
            ],
            log=self._data.log("supabase"),
        )

    def start(self) -> None:
        """Start everything and wait until it answers.

        Raises ChildError, RefusedError, OSError, StoppedError.
        """
        self._supabase.start(self._note_end)
        self._api.start(self._note_end)
        # Whatever else is needed is imported from here on, while the children load.
        self._await_supabase()
        people: Mapping[str, Person] = {}
        project = shown = None
        with ThreadPoolExecutor(1) as thread:
            # Passwords take CPU to check, on purpose: that is done while the API still loads.
            signed_in = thread.submit(self._sign_in) if self._options.demo else None
            self._await_api()
            with Site(self._api_url) as api:
                api.ask("GET", "/health/ready")
            if signed_in is not None:
                people = signed_in.result()
        if people:
            project, shown = self._demo(people)
        from app.cli.handout import dev_json, write_handout

        self._values = dev_json(
            api=self._api_url, supabase=self._ready, project=project, people=people, shown=shown
        )
        write_handout(self._data, self._values)
        # Nobody waits for it: it is no part of what answers.
        self._start_webhooks()

    def told(self, seconds: float) -> str:
        """What to print once everything is ready."""
        from app.cli.handout import welcome

        return welcome(self._values, self._data, seconds=seconds)

    def watch(self) -> int:
        """Look after the children until told to stop; return the exit status."""
        # By the clock on the wall: tokens grow old while a laptop sleeps, too.
        refresh_at = time.time() + REFRESH_SECONDS
        while True:
            try:
                event = self._events.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if self._options.with_parent and os.getppid() != self._parent:
                    return 0
                if time.time() >= refresh_at:
                    self._refresh()
                    refresh_at = time.time() + REFRESH_SECONDS
                continue
            if event.child is None:
                return 0
            if event.child.pid == event.number and not self._start_again(event.child):
                return 1

    def stop(self) -> None:
        """Stop the API and the worker of webhooks, which need Supabase, then Supabase."""
        # A second Ctrl-C doesn't interrupt the orderly stop; what hangs is killed after a while.
        self._webhooks.stop()
        self._api.stop()
        self._supabase.stop()
        self._listener.close()

    def _await_supabase(self) -> None:
        self._ready = self._wait_for(self._supabase)

    def _await_api(self) -> None:
        self._api.tell(
            {
                "SUPABASE_URL": self._ready["supabase_url"],
                "SUPABASE_PUBLISHABLE_KEY": self._ready["publishable_key"],
                # For agents, of this machine's own Supabase.
                "SUPABASE_SECRET_KEY": self._ready["secret_key"],
                # What somebody set for a hosted project doesn't hold for this one.
                "SUPABASE_PUBLIC_URL": "",
                # Receivers of one's own machine are what one tries webhooks with.
                "VERSO_WEBHOOKS_PRIVATE": "true",
                "VERSO_JWT_SECRET": "",
                "VERSO_JWT_ISSUER": "",
                "VERSO_JWT_AUDIENCE": "",
                "VERSO_PUBLIC_URL": os.environ.get("VERSO_PUBLIC_URL", self._api_url),
                "VERSO_CACHE_DIR": os.environ.get("VERSO_CACHE_DIR", str(self._data.cache)),
                "VERSO_GIT_DIR": os.environ.get("VERSO_GIT_DIR", str(self._data.repositories)),
            }
        )
        self._wait_for(self._api)

    def _start_webhooks(self) -> None:
        self._webhooks.start(self._note_end)
        self._webhooks.tell(
            {"supabase_url": self._ready["supabase_url"], "secret_key": self._ready["secret_key"]}
        )

    def _wait_for(self, child: Child) -> Any:
        try:
            ready = child.wait_until_ready(START_SECONDS, unless=self._asked_to_stop)
        except ChildError:
            if self._asked_to_stop():
                raise StoppedError from None
            raise
        if ready is None:
            raise StoppedError
        return ready

    def _asked_to_stop(self) -> bool:
        """Whether a signal came; what else happened meanwhile is kept for the watch."""
        seen = []
        while not self._events.empty():
            seen.append(self._events.get())
        for event in seen:
            self._events.put(event)
        return any(event.kind == "signal" for event in seen)

    def _demo(self, people: Mapping[str, Person]) -> tuple[str, str | None]:
        """Tell what the project lacks of the demo's story; give its slug and the document to show."""
        from app.cli.handout import find_shown
        from app.cli.seeding import Seeding
        from app.cli.story import demo_directory

        seeding = Seeding(self._api_url, people, demo_directory())
        if missing := seeding.missing():
            sys.stdout.write(f"Telling the demo's history: {missing} changes …\n")
            sys.stdout.flush()
            seeding.run(unless=self._asked_to_stop)
            if self._asked_to_stop():
                raise StoppedError
        shown = find_shown(self._api_url, project=seeding.project, token=people["owner"].access_token)
        return seeding.project, shown

    def _sign_in(self) -> Mapping[str, Person]:
        from app.cli.seeding import sign_in_all
        from app.cli.story import demo_directory, read_people

        return sign_in_all(
            self._ready["supabase_url"], self._ready["publishable_key"], read_people(demo_directory())
        )

    def _note_end(self, child: Child, pid: int) -> None:
        self._events.put(Event("ended", pid, child))

    def _refresh(self) -> None:
        """Fresh tokens into dev.json and the header files, before the old ones end."""
        from app.cli.handout import write_handout

        if not self._options.demo:
            return
        try:
            people = self._sign_in()
        except (RefusedError, OSError) as error:
            sys.stderr.write(f"The demo people couldn't be signed in again: {error}\n")
            return
        for role, person in people.items():
            self._values["people"][role]["access_token"] = person.access_token
        write_handout(self._data, self._values)

    def _start_again(self, child: Child) -> bool:
        """Start a child again that ended by itself; False when that has been tried often enough."""
        now = time.monotonic()
        self._restarts = [then for then in self._restarts if now - then < RESTART_WINDOW_SECONDS]
        words = child.last_words()
        sys.stderr.write(f"{child.name} ended unexpectedly; its log is {child.log}.\n{words}\n")
        if len(self._restarts) >= MOST_RESTARTS:
            sys.stderr.write(f"It was started again {MOST_RESTARTS} times in a minute: giving up.\n")
            return False
        self._restarts.append(now)
        child.stop()
        try:
            if child is self._supabase:
                # On the port that it had: the API and everybody's links know it by that.
                port = int(self._ready["supabase_url"].rpartition(":")[2])
                self._supabase = self._supabase_child(port)
                self._supabase.start(self._note_end)
                self._await_supabase()
            elif child is self._webhooks:
                self._start_webhooks()
            else:
                child.start(self._note_end)
                self._await_api()
        except StoppedError:
            return True
        except (ChildError, RefusedError, OSError) as error:
            sys.stderr.write(f"{child.name} couldn't be started again: {error}\n")
            return False
        sys.stderr.write(f"{child.name} runs again.\n")
        return True
