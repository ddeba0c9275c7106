"""A request as the handlers see it, and the answer they give."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from app.local.rest.errors import bad_response_headers, bad_response_status
from app.local.rest.media import Media, negotiate
from app.local.rest.preferences import NONE, Preferences, parse_preferences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.local.caller import Caller
    from app.local.database import Database

_Headers = list[dict[str, str]]
_STATUS = re.compile("[2-5][0-9][0-9]")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `name` is a table's or a function's, `path` what PostgREST itself would see."""

    method: str
    name: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    caller: Caller
    database: Database
    max_rows: int

    @property
    def media(self) -> Media:
        """What form the answer takes. Raises RestError PGRST107."""
        return negotiate(self.headers.get("accept") or "*/*")

    @property
    def preferences(self) -> Preferences:
        """What is preferred. Raises RestError PGRST122."""
        said = self.headers.get("prefer")
        return parse_preferences(said) if said else NONE

    @property
    def headers_json(self) -> str:
        """The headers as `current_setting('request.headers')` shows them, without cookies."""
        return msgspec.json.encode(
            {name: value for name, value in self.headers.items() if name != "cookie"}
        ).decode()

    def settings(self, *, preferences: Preferences, timeout: str | None = None) -> dict[str, str]:
        """The settings that a transaction of this request carries besides its claims."""
        carried = {
            "request.method": self.method,
            "request.path": self.path,
            "request.headers": self.headers_json,
        }
        if preferences.timezone:
            carried["timezone"] = preferences.timezone
        if timeout:
            carried["statement_timeout"] = timeout
        return carried


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in lower case) and body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def overridden(answer: Answer, row: Mapping[str, Any]) -> Answer:
    """Let a function's `response.status` and `response.headers` settings have the last word.

    Raises RestError PGRST111 or PGRST112 when they aren't what they must be.
    """
    status, headers = row["status"], row["headers"]
    if status is None and headers is None:
        return answer
    code = answer.status
    if status is not None:
        if not _STATUS.fullmatch(status):
            raise bad_response_status()
        code = int(status)
    merged = dict(answer.headers)
    if headers is not None:
        try:
            said = msgspec.json.decode(headers, type=_Headers)
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise bad_response_headers() from None
        for one in said:
            if len(one) != 1:
                raise bad_response_headers()
            merged.update((name.lower(), value) for name, value in one.items())
    return Answer(code, merged, answer.body)
