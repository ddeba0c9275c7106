"""Planned commits gathered to batches, read ahead in a thread of their own while one is on its way."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Self

import msgspec

from app.errors import VersoError
from app.git.read.history import PlannedChange  # msgspec reads the annotation
from app.model.imports import Commit
from app.sources.git.wire import commit_sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.git.read.contents import Contents

MOST_COMMITS = 100
MOST_ITEMS = 2_000
"""A hosted project stops a statement after 8 s; 1,000 items take half a second on a small machine."""
MOST_ITEMS_OF_ONE = 10_000
"""The ledger's limit for one change."""
MOST_BYTES = 12 * 1024 * 1024
"""Contents of one batch, unless one commit alone has more. Three batches are in memory at a time at most."""
MOST_JSON_BYTES = 3 * 1024 * 1024
"""About how much of one batch is JSON (commits and items), unless one commit alone is more."""
_ITEM_BYTES = 300
_POLL_SECONDS = 0.2


class Gathered(msgspec.Struct, kw_only=True):
    """Some commits in their order, with the contents that none before them had."""

    planned: list[PlannedChange] = []
    commits: list[Commit] = []
    contents: dict[str, bytes] = {}
    items: int = 0
    size: int = 0
    json_size: int = 0


def gather(
    planned: Iterator[PlannedChange], contents: Contents, *, most_commits: int = MOST_COMMITS
) -> Iterator[Gathered]:
    """Batches of planned commits. Each content comes in the batch that needs it first. Raises VersoError."""
    batch = Gathered()
    sent: set[bytes] = set()
    for each in map(check, planned):
        if batch.commits and (
            len(batch.commits) >= most_commits
            or batch.items + len(each.items) > MOST_ITEMS
            or batch.size >= MOST_BYTES
            or batch.json_size + _json_size(each) > MOST_JSON_BYTES
        ):
            yield batch
            batch = Gathered()
        batch.planned.append(each)
        batch.commits.append(commit_sent(each, contents))
        batch.items += len(each.items)
        batch.json_size += _json_size(each)
        for item in each.items:
            if item.content is None:
                continue
            known = contents.look(item.content.mode, item.content.oid)
            if known.sha256 not in sent:
                sent.add(known.sha256)
                batch.contents[known.sha256.hex()] = contents.read(item.content.mode, item.content.oid)
                batch.size += known.size
    if batch.commits:
        yield batch


class ReadAhead:
    """Batches made in a thread: the next one while the last one is used. A context manager; iterate once.

    What making them raises is raised where they are used.
    """

    def __init__(self, make: Callable[[], Iterator[Gathered]]) -> None:
        self._make = make
        self._made: queue.Queue[Gathered | BaseException | None] = queue.Queue(maxsize=1)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="verso-read-ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Gathered]:
        while (value := self._made.get()) is not None:
            if isinstance(value, BaseException):
                raise value
            yield value

    def _work(self) -> None:
        try:
            for batch in self._make():
                self._put(batch)
                if self._stopped.is_set():
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the batches are used
            self._put(error)

    def _put(self, value: Gathered | BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                self._made.put(value, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return


def _json_size(planned: PlannedChange) -> int:
    """About how many bytes a commit is in JSON: its object in base64, its message once more, its items."""
    paths = sum(len(item.path) for item in planned.items)
    return 2 * len(planned.commit.raw) + _ITEM_BYTES * len(planned.items) + 2 * paths


def check(planned: PlannedChange) -> PlannedChange:
    """A planned commit that one change can take. Raises VersoError `commit_too_large`."""
    commit = planned.commit
    if len(planned.items) > MOST_ITEMS_OF_ONE:
        raise VersoError(
            "commit_too_large",
            f"Commit {commit.id} changes {len(planned.items):,} paths at once; one change takes at most "
            f"{MOST_ITEMS_OF_ONE:,}. Leave some of them out with --exclude.",
            commit=commit.id,
        )
    return planned
