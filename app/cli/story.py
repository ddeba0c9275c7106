"""The demo's story: its people, sessions and changes, as fixtures/demo tells them.

Here the story is read and each document's text is worked out; `seeding` tells it to the API.
"""

from __future__ import annotations

from collections.abc import Mapping  # msgspec reads the annotation
from typing import TYPE_CHECKING

import msgspec

from app.settings import data_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROLES = ("owner", "editor", "reviewer", "reader", "outsider")


class StoryError(Exception):
    """The story contradicts itself; the message says where."""


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A demo person."""

    name: str
    handle: str
    email: str
    password: str


class DemoProject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The project."""

    slug: str
    name: str
    description: str


class DemoSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session of the project."""

    slug: str
    title: str
    type: str
    status: str
    parent: str | None = None


class DemoReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was reported of a stage, so many hours before the demo began."""

    session: str
    stage: str
    state: str
    author: str
    hours_ago: float
    run: str | None = None
    validation: Mapping[str, int] | None = None


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One passage of a document replaced by another."""

    path: str
    old: str
    new: str


class Move(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"source": "from", "target": "to"}
):
    """A document that gets another path."""

    source: str
    target: str


class Restore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document that gets the content of an earlier version again."""

    path: str
    version: int


class DemoChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One atomic change."""

    author: str
    message: str
    add: list[str] = []
    edit: list[Edit] = []
    move: list[Move] = []
    delete: list[str] = []
    restore: list[Restore] = []


class Story(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole history of the demo project."""

    project: DemoProject
    sessions: list[DemoSession]
    reports: list[DemoReport]
    """In the order in which they were made."""
    files: dict[str, str]
    """Where the texts of some paths are, which not every file system can hold."""
    changes: list[DemoChange]


class Told(msgspec.Struct, frozen=True):
    """A change with the texts that it writes, by path."""

    change: DemoChange
    texts: Mapping[str, str]


def demo_directory() -> Path:
    """Where the demo's files are, in a checkout or an installed wheel."""
    return data_directory("fixtures") / "demo"


def read_people(directory: Path) -> dict[str, Account]:
    """The demo's people by role."""
    people = msgspec.toml.decode((directory / "people.toml").read_bytes(), type=dict[str, Account])
    return {role: people[role] for role in ROLES}


def read_story(directory: Path) -> Story:
    """The project, its sessions and its changes in order."""
    return msgspec.toml.decode((directory / "history.toml").read_bytes(), type=Story)


def tell(story: Story, directory: Path) -> list[Told]:
    """Each change with the texts that it writes. Raises StoryError when one doesn't fit what is there."""
    history: dict[str, list[str]] = {}
    told = []

    def first_text(path: str) -> str:
        return (directory / "documents" / story.files.get(path, path)).read_text(encoding="utf-8")

    for number, change in enumerate(story.changes, 1):
        try:
            told.append(Told(change, _texts(change, history, first_text)))
        except (KeyError, IndexError, OSError, StoryError) as error:
            raise StoryError(
                f"Change {number} of the demo ({change.message!r}) doesn't fit: {error}"
            ) from error
    return told


def _texts(
    change: DemoChange, history: dict[str, list[str]], first_text: Callable[[str], str]
) -> dict[str, str]:
    """What a change writes; `history` has each path's texts so far and is carried on."""
    texts = {path: first_text(path) for path in change.add}
    for edit in change.edit:
        before = texts.get(edit.path) or history[edit.path][-1]
        if before.count(edit.old) != 1:
            raise StoryError(f"{edit.old!r} occurs {before.count(edit.old)} times in {edit.path}")
        texts[edit.path] = before.replace(edit.old, edit.new)
    for path, text in texts.items():
        history.setdefault(path, []).append(text)
    for restore in change.restore:
        history[restore.path].append(history[restore.path][restore.version - 1])
    for path in change.delete:
        # A delete is a version too: it counts when a restore names a number.
        history[path].append("")
    for move in change.move:
        history[move.target] = [*history.pop(move.source), ""]
        history[move.target][-1] = history[move.target][-2]
    return texts
