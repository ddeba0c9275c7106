"""An operator's own connection to a Supabase project, with the secret key: only to put a bundle back.

The key is given for one run and kept nowhere. The API never has it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx

from app.client.bundle.container import PIECE
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "documents"
TRIES = 4
_SILENCE_SECONDS = 120.0
_PASSING = frozenset({408, 429, 502, 503, 504})
_CONFLICT = 409


class Operator:
    """One Supabase project under its secret key. A context manager; its methods may run in several threads.

    Every method raises VersoError: the database's refusals with their code, `supabase_unreachable`,
    `supabase_refused`, `secret_key_refused`.
    """

    def __init__(self, url: str, secret_key: str) -> None:
        self.url = url.rstrip("/")
        # As the official clients do: legacy keys are tokens, the newer ones the gateway exchanges for one.
        headers = {"apikey": secret_key, "Authorization": f"Bearer {secret_key}"}
        loopback = (urlsplit(url).hostname or "") in {"localhost", "127.0.0.1", "::1"}
        self._http = httpx.Client(
            headers=headers, timeout=httpx.Timeout(_SILENCE_SECONDS, connect=10), trust_env=not loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, function: str, *, once: bool = False, **arguments: Any) -> Any:
        """Call a SQL function. `once` ones are not tried again when their answer was lost."""
        response = self._send("POST", f"/rest/v1/rpc/{function}", once=once, json=arguments)
        if not response.is_success:
            raise _refusal(response)
        return response.json()

    def project(self, project: str) -> dict[str, Any] | None:
        """How far a project is there, or None when it isn't."""
        query = f"id=eq.{project}&select=change_sequence,change_hash,event_sequence"
        response = self._send("GET", f"/rest/v1/projects?{query}")
        if not response.is_success:
            raise _refusal(response)
        rows = response.json()
        return rows[0] if rows else None

    def store(self, project: str, sha256: str, size: int, file: IO[bytes]) -> str:
        """See to it that storage holds these bytes, read them back, and say under which name."""
        name = f"{project}/{sha256}"
        is_new = self._put(name, size, file)
        if not is_new and not self._holds(name, sha256, size):
            # An editor left other bytes under that name: the honest ones go in as a further copy.
            name = f"{name}.{secrets.token_hex(16)}"
            is_new = self._put(name, size, file)
        if is_new and not self._holds(name, sha256, size):
            raise VersoError(
                "content_altered",
                "Storage gives back other bytes than were stored. Nothing was written to the project.",
                object=name,
            )
        return name

    def _put(self, name: str, size: int, file: IO[bytes]) -> bool:
        """Upload; False when there is an object of that name."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            "Cache-Control": "max-age=3600",
            "x-upsert": "false",
        }
        path = f"/storage/v1/object/{BUCKET}/{name}"
        for tries_left in reversed(range(TRIES)):
            file.seek(0)
            try:
                response = self._http.post(self.url + path, headers=headers, content=_pieces(file))
            except httpx.TransportError as error:
                if not tries_left:
                    raise _unreachable(self.url, error) from error
            else:
                if response.is_success:
                    return True
                status = _storage_status(response)
                if status == _CONFLICT:
                    return False
                if not tries_left or status not in _PASSING:
                    raise _refusal(response)
            time.sleep(0.5 * (TRIES - tries_left))
        raise AssertionError("unreachable")

    def _holds(self, name: str, sha256: str, size: int) -> bool:
        digest, count = hashlib.sha256(), 0
        url = f"{self.url}/storage/v1/object/authenticated/{BUCKET}/{name}"
        try:
            with self._http.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
                if not response.is_success:
                    return False
                for piece in response.iter_raw():
                    digest.update(piece)
                    count += len(piece)
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error
        return count == size and digest.hexdigest() == sha256

    def _send(self, method: str, path: str, *, once: bool = False, json: Any = None) -> httpx.Response:
        for tries_left in reversed(range(TRIES)):
            try:
                response = self._http.request(method, self.url + path, json=json)
            except httpx.TransportError as error:
                if not tries_left or (once and not isinstance(error, httpx.ConnectError)):
                    raise _unreachable(self.url, error) from error
            else:
                if response.status_code not in _PASSING or once or not tries_left:
                    return response
            time.sleep(0.5 * (TRIES - tries_left))
        raise AssertionError("unreachable")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _storage_status(response: httpx.Response) -> int:
    """Storage's own status: older servers say 400 and put the real one into the body."""
    try:
        return int(response.json().get("statusCode", response.status_code))
    except (ValueError, AttributeError):
        return response.status_code


def _refusal(response: httpx.Response) -> VersoError:
    try:
        body = response.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    if str(body.get("code", "")).startswith("PT"):
        return VersoError(
            str(body["message"]), str(body.get("hint") or body["message"]), status=response.status_code
        )
    if response.status_code in {401, 403} or body.get("code") == "42501":
        return VersoError(
            "secret_key_refused",
            "Supabase doesn't take that key for this. Putting a bundle back needs the project's secret key "
            "(or the legacy service_role key), as SUPABASE_SECRET_KEY.",
        )
    told = str(body.get("message") or response.text[:200])
    return VersoError(
        "supabase_refused",
        f"Supabase answered {response.status_code}: {told}. Nothing was written to the project. "
        "`verso doctor` says whether its schema is this version's.",
        status=response.status_code,
    )


def _unreachable(url: str, error: httpx.TransportError) -> VersoError:
    return VersoError(
        "supabase_unreachable",
        f"{url} can't be reached ({str(error) or type(error).__name__}). "
        "Run the same command again: it goes on.",
    )
