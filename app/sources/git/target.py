"""What an import asks of the project that a history goes into, whoever carries that there.

`app.client.import_git` asks a service over HTTP; `worker` asks the process that started it, which is that
service itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import msgspec

from app.model import Change  # msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.model.imports import Batch, ImportAnswer, ImportState

Fetch = Callable[[Sequence[str]], AbstractContextManager[Iterator[tuple[str, int, Iterator[bytes]]]]]
"""Gives contents by their SHA-256: name, size, bytes of each, in the order asked (see `app.client.bulk`)."""


class ChangesRead(msgspec.Struct, frozen=True):
    """Some changes with their versions, oldest first; `next` is the `after` of those that follow."""

    items: list[Change]
    next: int | None


class TagSent(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that is to be made: its name, the commit that it names, and the object of an annotated one."""

    name: str
    at: str
    message: str = ""
    origin: bytes | None = None


class Target(Protocol):
    """A project. Every call blocks, and raises VersoError with the service's code and sentence."""

    @property
    def project(self) -> str:
        """The project's slug or id."""

    def state(self) -> ImportState:
        """Where the import stands."""

    def commits(self) -> list[str]:
        """The imported commits in their order."""

    def history(self, after: int) -> ChangesRead:
        """Some of the changes that follow a change; 0 for the first ones."""

    def held(self, contents: Sequence[str]) -> set[str]:
        """Those of up to 10,000 contents that the project has."""

    def send(self, batch: Batch, contents: Mapping[str, bytes]) -> ImportAnswer:
        """Make changes of a batch, with the contents by their SHA-256. All of it, or nothing."""

    def tags(self) -> set[str]:
        """The names of the project's tags."""

    def make_tag(self, tag: TagSent) -> None:
        """Make a tag. Raises VersoError `bad_tag_name`, `tag_exists` as well."""
