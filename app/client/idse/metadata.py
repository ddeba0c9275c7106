"""What an IDSE tree says of its sessions and people. Many hands wrote it, so it is read with patience.

Whatever isn't understood is noted and left; the files themselves are imported as documents all the same.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any

import msgspec

from app.client.idse.layout import STAGE_FOLDERS
from app.errors import VersoError
from app.model import SessionStatus, SessionType, Stage

STATE_FILE = "session_state.json"
OWNER_FILE = ".owner"
COLLABORATORS_FILE = ".collaborators"
LONGEST = 1024 * 1024
"""Bytes of a metadata file that are read."""
MAX_TITLE = 200

_TYPE = ("type", "session_type", "kind")
_TITLE = ("title", "session_name", "name", "display_name")
_STATUS = ("status", "session_status", "state")
_PARENT = (
    "parent",
    "parent_session",
    "parent_session_id",
    "parent_blueprint",
    "blueprint",
    "blueprint_session",
)
_STAGES = ("stages", "stage_states", "pipeline")
_NAME = ("slug", "session", "session_id", "id", "name", "handle", "user", "username", "email")
_STATUS_WORDS = {
    "active": SessionStatus.in_progress,
    "open": SessionStatus.in_progress,
    "started": SessionStatus.in_progress,
    "in_review": SessionStatus.review,
    "completed": SessionStatus.complete,
    "done": SessionStatus.complete,
    "closed": SessionStatus.complete,
    "pending": SessionStatus.draft,
    "new": SessionStatus.draft,
}
_STAGE_STATES = {
    "pending": "pending", "not_started": "pending", "todo": "pending", "draft": "pending",
    "in_progress": "in_progress", "active": "in_progress", "started": "in_progress", "review": "in_progress",
    "complete": "complete", "completed": "complete", "done": "complete", "approved": "complete",
    "failed": "failed", "error": "failed", "skipped": "skipped",
}  # fmt: skip
_STAGE_WORDS = {**{stage.value: stage for stage in Stage}, **STAGE_FOLDERS, "task": Stage.tasks}


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """What a session_state.json says, as far as it was understood."""

    title: str | None = None
    type: SessionType | None = None
    status: SessionStatus | None = None
    parent: str | None = None
    """The name of the blueprint session, as it is written there."""
    stages: dict[str, str] = {}
    """Each stage with its state."""
    notes: list[str] = []
    """What wasn't understood."""


def read_state(data: bytes) -> SessionState:
    """A session_state.json. Never raises for what it says: that is in the notes."""
    try:
        found = msgspec.json.decode(data.removeprefix(BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return SessionState(notes=[f"{STATE_FILE} is no JSON ({error})"])
    if not isinstance(found, dict):
        return SessionState(notes=[f"{STATE_FILE} is no object"])
    # Some programs wrap it: {"session": {…}}.
    inner = found.get("session")
    fields = {**found, **inner} if isinstance(inner, dict) else found
    notes: list[str] = []
    return SessionState(
        title=_title(_text(fields, _TITLE)),
        type=_type(_text(fields, _TYPE), notes),
        status=_status(_text(fields, _STATUS), notes),
        parent=_parent(fields),
        stages=_stages(fields, notes),
        notes=notes,
    )


def read_names(data: bytes) -> list[str]:
    """The people that a .owner or .collaborators names: JSON, or one a line; # begins a remark."""
    text = data.decode("utf-8-sig", "replace").strip()
    if text[:1] in {"{", "[", '"'}:
        try:
            return _names(msgspec.json.decode(text))
        except (msgspec.DecodeError, RecursionError):
            return []
    names = []
    for line in text.splitlines():
        name = line.partition("#")[0].strip().removeprefix("- ").strip()
        key, colon, value = name.partition(":")
        if colon and key.strip().lower() in {"owner", "name", "user", "collaborator", "email"}:
            name = value.strip()
        if name:
            names.append(name.removeprefix("@"))
    return names


def read_people(text: str) -> dict[str, str]:
    """A file of `name = handle` lines: whose name is which account. Raises VersoError `bad_people_file`."""
    people = {}
    for number, line in enumerate(text.splitlines(), 1):
        told = line.partition("#")[0].strip()
        if not told:
            continue
        name, equals, handle = told.rpartition("=")
        if not equals or not name.strip() or not handle.strip():
            raise VersoError("bad_people_file", f"Line {number} is not `name = handle`: {line[:200]!r}.")
        people[name.strip().casefold()] = handle.strip().removeprefix("@")
    return people


def _text(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def _word(text: str) -> str:
    return text.strip().lower().replace("-", "_").replace(" ", "_")


def _title(text: str | None) -> str | None:
    if text is None:
        return None
    printable = "".join(each if each.isprintable() else " " for each in text)
    return printable.strip()[:MAX_TITLE].strip() or None


def _type(text: str | None, notes: list[str]) -> SessionType | None:
    if text is None:
        return None
    try:
        return SessionType(_word(text))
    except ValueError:
        notes.append(f"the type {text[:100]!r} is none of {', '.join(SessionType)}")
        return None


def _status(text: str | None, notes: list[str]) -> SessionStatus | None:
    if text is None:
        return None
    word = _word(text)
    if word in _STATUS_WORDS:
        return _STATUS_WORDS[word]
    try:
        return SessionStatus(word)
    except ValueError:
        notes.append(f"the status {text[:100]!r} is none of {', '.join(SessionStatus)}")
        return None


def _parent(fields: dict[str, Any]) -> str | None:
    found = _text(fields, _PARENT)
    if found is None:
        for name in _PARENT:
            if isinstance(fields.get(name), dict):
                return _text(fields[name], _NAME)
    return found


def _stages(fields: dict[str, Any], notes: list[str]) -> dict[str, str]:
    found: Any = next((fields[name] for name in _STAGES if isinstance(fields.get(name), dict | list)), {})
    pairs: list[tuple[Any, Any]] = list(found.items()) if isinstance(found, dict) else []
    if isinstance(found, list):
        pairs = [(_text(each, ("stage", "name", "id")), each) for each in found if isinstance(each, dict)]
    stages = {}
    for name, told in pairs:
        state = _text(told, ("state", "status")) if isinstance(told, dict) else told
        stage = _STAGE_WORDS.get(_word(name)) if isinstance(name, str) else None
        known = _STAGE_STATES.get(_word(state)) if isinstance(state, str) else None
        if stage is None or known is None:
            notes.append(
                f"the stage {str(name)[:100]!r} with the state {str(state)[:100]!r} is not understood"
            )
        else:
            stages[stage.value] = known
    return stages


def _names(found: Any) -> list[str]:
    if isinstance(found, str):
        return [found.strip().removeprefix("@")] if found.strip() else []
    if isinstance(found, list):
        return [name for each in found for name in _names(each)]
    if isinstance(found, dict):
        for key in ("owner", "owners", "collaborators", "members", "users"):
            if key in found:
                return _names(found[key])
        name = _text(found, ("handle", "username", "user", "name", "email", "id"))
        return [name.removeprefix("@")] if name else []
    return []
