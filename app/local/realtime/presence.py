"""Who is tracked on one topic: a key (a person, say), and one entry for each channel that tracks under it."""

from __future__ import annotations

import secrets
from typing import Any

Metas = dict[str, dict[str, list[dict[str, Any]]]]
"""{key: {"metas": [{"phx_ref": …, …}]}}, as the protocol has it."""


class Presence:
    """The entries of one topic. An owner tracks under one key at a time."""

    def __init__(self) -> None:
        self._entries: dict[object, tuple[str, dict[str, Any]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def track(self, owner: object, key: str, told: dict[str, Any]) -> dict[str, Metas]:
        """Put an entry in, or another in its place, and return the difference {joins, leaves}."""
        before = self._entries.get(owner)
        entry = {**told, "phx_ref": secrets.token_urlsafe(9)}
        leaves: Metas = {}
        if before is not None:
            leaves = {before[0]: {"metas": [before[1]]}}
            entry["phx_ref_prev"] = before[1]["phx_ref"]
        self._entries[owner] = (key, entry)
        return {"joins": {key: {"metas": [entry]}}, "leaves": leaves}

    def untrack(self, owner: object) -> dict[str, Metas] | None:
        """Take the owner's entry out; None when there is none."""
        entry = self._entries.pop(owner, None)
        return None if entry is None else {"joins": {}, "leaves": {entry[0]: {"metas": [entry[1]]}}}

    def state(self) -> Metas:
        """Everybody."""
        found: Metas = {}
        for key, entry in self._entries.values():
            found.setdefault(key, {"metas": []})["metas"].append(entry)
        return found
