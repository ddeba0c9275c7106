"""What the OpenAPI document says of presence, beside `described.py` and `examples.py`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.api import examples
from app.api.described import Operation
from app.api.presence import PresenceList
from app.model.presence import Presence, PresenceState

OPERATIONS: dict[str, Operation] = {
    "list_presence": Operation(refuses=("bad_value",)),
    "set_presence": Operation(
        refuses=("bad_value", "bad_path", "document_not_found", "role_too_low", "presence_full")
    ),
}
"""By operationId."""

_AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_presence = Presence(
    person=examples.person,
    device="tab-1f6a",
    document=examples.DOCUMENT,
    path=examples.PATH,
    state=PresenceState.editing,
    since=_AT,
    until=_AT + timedelta(seconds=45),
)

SCHEMAS: dict[str, Any] = {
    "Presence": _presence,
    "PresenceList": PresenceList(items=[_presence]),
    "NewPresence": {"device": "tab-1f6a", "state": "editing", "path": examples.PATH},
}
"""One example of each schema, by its name in the OpenAPI document."""
