"""JSON over HTTP to what runs on this machine, with the standard library alone.

`verso dev` signs its people in at every start; loading an HTTP client for that would cost a third of the
start.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_SECONDS = 30.0


class RefusedError(Exception):
    """An answer that isn't 2xx; the message says what was asked and what was answered."""

    def __init__(self, asked: str, answer: Answer) -> None:
        super().__init__(
            f"{asked} was answered {answer.status}: {answer.body.decode(errors='replace')[:2000]}"
        )
        self.status = answer.status
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Site:
    """One server at a loopback URL, over one kept-alive connection. Not for use by two threads at once."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self,
        method: str,
        target: str,
        *,
        value: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request, `value` as JSON, and give the answer.

        Raises RefusedError unless it is 2xx, and OSError.
        """
        sent = dict(headers or {})
        if value is not None:
            body = json.dumps(value).encode()
            sent["Content-Type"] = "application/json"
        self._connection.request(method, target, body=body, headers=sent)
        response = self._connection.getresponse()
        answer = Answer(
            response.status,
            {name.lower(): text for name, text in response.getheaders()},
            response.read(),
        )
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - what HTTP calls success
            raise RefusedError(f"{method} {target}", answer)
        return answer
