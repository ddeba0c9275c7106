"""The message of a change that a page makes: what somebody typed, or else what the page proposes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.api.bodies import check_message
from app.web.shown import name as name_of

if TYPE_CHECKING:
    from app.web.visiting import Visitor


def message_of(visitor: Visitor, typed: str, *, proposed: str) -> str:
    """The message as it is kept. Raises VersoError `message_too_long`."""
    return check_message(typed.strip() or proposed, visitor.services.settings)


def saved(path: str, *, is_new: bool) -> str:
    """What a text field proposes."""
    return f"{'Add' if is_new else 'Edit'} {name_of(path)}"


def uploaded(paths: list[str]) -> str:
    """What an upload proposes."""
    return f"Upload {name_of(paths[0])}" if len(paths) == 1 else f"Upload {len(paths)} documents"


def imported(name: str) -> str:
    """What an import of an archive proposes."""
    return f"Import {name[:200]}"


def moved(path: str, to: str) -> str:
    """What a move proposes."""
    return f"Move {path} to {to}"


def deleted(path: str) -> str:
    """What a deletion proposes."""
    return f"Delete {name_of(path)}"


def restored(path: str, number: int | None) -> str:
    """What a restore proposes; `number` is None for what was deleted and comes back."""
    return f"Bring back {name_of(path)}" if number is None else f"Restore version {number} of {name_of(path)}"
