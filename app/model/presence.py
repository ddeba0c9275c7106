"""Who is looking at or editing what just now: a hint before conflicts happen, and no lock (docs/live.md)."""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from enum import StrEnum

import msgspec

from app.model.structs import Person


class PresenceState(StrEnum):
    """What somebody does with a document."""

    viewing = "viewing"
    editing = "editing"


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """One person's tab or program that is present in a project."""

    person: Person
    device: str
    """Which of the person's tabs or programs: a name that it made up."""
    document: str | None
    """The document's id; null for a path without one, and for the project as a whole."""
    path: str | None
    """Where it is now; null for the project as a whole."""
    state: PresenceState
    since: datetime
    """Since when it does this there."""
    until: datetime
    """When this ends unless it is said again."""
