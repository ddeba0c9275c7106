"""What the process that reads a bundle and the one that started it say to each other.

A frame is eight bytes of length (big-endian) and that much MessagePack. The reader asks what a `Target` is
asked, one question at a time, and says in between how far it is; in the end it says what came of it.
"""

from __future__ import annotations

from typing import BinaryIO, Literal

import msgspec

from app.git.read.indexing import Limits
from app.sources.git.report import Report  # msgspec reads the annotations
from app.sources.git.target import TagSent

LENGTH_BYTES = 8
PIECE = 1 << 20
MOST = 64 << 20
"""The longest frame that a reader may send: a batch of commits has at most a quarter of that."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the reader is to do. Paths are on this machine."""

    act: Literal["look", "import"]
    bundle: str
    scratch: str
    """An empty directory, which whoever orders removes."""
    name: str
    """What the file is called."""
    project: str
    branch: str | None
    include: list[str]
    exclude: list[str]
    limits: Limits


class Progressed(msgspec.Struct, frozen=True, tag=True):
    """How far it is: so many of so many of what."""

    done: int
    total: int
    what: str


class AskState(msgspec.Struct, frozen=True, tag=True):
    """Where does the import stand? An `ImportState`."""


class AskCommits(msgspec.Struct, frozen=True, tag=True):
    """Which commits are imported? Their ids in order."""


class AskHistory(msgspec.Struct, frozen=True, tag=True):
    """What follows a change? `ChangesRead`."""

    after: int


class AskHeld(msgspec.Struct, frozen=True, tag=True):
    """Which of these contents are there? Their SHA-256."""

    contents: list[str]


class AskTags(msgspec.Struct, frozen=True, tag=True):
    """Which tags are there? Their names."""


class MakeTag(msgspec.Struct, frozen=True, tag=True):
    """Make a tag. None."""

    made: TagSent


class Begin(msgspec.Struct, frozen=True, tag=True):
    """Here is a batch (`Batch`): is it welcome? None; then its contents follow in pieces, then `End`."""

    batch: msgspec.Raw


class Piece(msgspec.Struct, frozen=True, tag=True):
    """A part of a content, its last one or not. Nobody answers that."""

    sha256: str
    data: bytes
    last: bool


class End(msgspec.Struct, frozen=True, tag=True):
    """That was the batch: write it. An `ImportAnswer`."""


class Outcome(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What came of it. Lists of the report are cut; the numbers beside it are of all."""

    report: Report
    authors: int
    left_out: int
    rewritten: int
    tags_made: int
    tags_left_out: int
    branch: str
    branches: list[str]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A VersoError, on its way in either direction."""

    code: str
    sentence: str
    detail: dict[str, object] = {}


class Answer(msgspec.Struct, frozen=True, tag=True):
    """The answer to a question, encoded as its own kind."""

    value: msgspec.Raw


Question = AskState | AskCommits | AskHistory | AskHeld | AskTags | MakeTag | Begin
Said = Question | Progressed | Piece | End | Outcome | Refused
"""What the reader says."""


def frame_of(value: object) -> bytes:
    """A value as a frame."""
    data = msgspec.msgpack.encode(value)
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def write_frame(sink: BinaryIO, value: object) -> None:
    """Send a value."""
    sink.write(frame_of(value))
    sink.flush()


def read_frame(source: BinaryIO) -> bytes:
    """What the next frame holds. Raises EOFError when nobody says anything any more."""
    head = source.read(LENGTH_BYTES)
    data = source.read(int.from_bytes(head, "big"))
    if not data:
        raise EOFError
    return data
