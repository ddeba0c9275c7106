"""The shared connections to Supabase, and one call: `rpc`.

One httpx client serves PostgREST, Storage and Auth for the whole process. A user's token is never put
into anything shared: `schema("public")` makes a client of its own for each token, and `auth()` is called on
that one, once (never on `client.postgrest`, whose headers every request shares).
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import OrderedDict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import msgspec
from postgrest.exceptions import APIError
from storage3 import AsyncStorageClient
from supabase import AsyncClient, AsyncClientOptions

from app.supabase import faults
from app.supabase.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgrest import AsyncPostgrestClient
    from storage3._async.file_api import AsyncBucketProxy

    from app.settings import Settings

T = TypeVar("T")

BUCKET = "documents"
REMEMBERED_CLIENTS = 1_000
RETRY_DELAYS = (0.1, 0.4, 1.0)
"""Seconds before each further try: together long enough for a database to restart."""
_READING = re.compile(
    r"(compare|count|find|list|locate|plan|prepare|preview|read)_|(me|schema_version|search|version_answer)\Z"
)


def key_of(given: str | None) -> str:
    """The idempotency key of a write: the client's, or one of our own, so that it can be sent again."""
    return given or f"auto-{secrets.token_hex(16)}"


_STATUS: ContextVar[int] = ContextVar("status", default=0)
"""Of the last answer that this task got: the client library leaves it out of errors that came as JSON."""


def writes(function: str) -> bool:
    """Whether a SQL function may change something, by its name; tests/schema holds the two together."""
    return _READING.match(function) is None


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep none."""


class _Client(httpx.AsyncClient):
    """A client that keeps no cookies: it is everybody's, and what came for one must not go out for another.

    Looking for them in every answer was 8 % of the service's CPU time besides.
    """

    @property
    def cookies(self) -> httpx.Cookies:
        return _NoCookies()

    @cookies.setter
    def cookies(self, _: object) -> None:
        raise AttributeError("This client keeps no cookies.")


class Pool:
    """Connections to one Supabase project, shared by all requests of the process.

    `observe` is called with `rest`, `storage` or `auth` for every HTTP request that goes out.
    """

    def __init__(self, settings: Settings, *, observe: Callable[[str], None] = lambda _: None) -> None:
        self.url = settings.supabase_url.rstrip("/")
        self.key = settings.supabase_publishable_key
        self._observe = observe
        self.http = _Client(
            timeout=httpx.Timeout(
                settings.request_timeout, read=settings.request_timeout, pool=settings.request_timeout
            ),
            transport=Connections(self.url, connections=settings.supabase_connections),
            event_hooks={"request": [self._count], "response": [self._note]},
        )
        self._clients: OrderedDict[str | None, AsyncPostgrestClient] = OrderedDict()
        self.transfer_seconds = settings.transfer_timeout
        self.transfer_timeout = httpx.Timeout(settings.transfer_timeout)
        self._client = AsyncClient(
            self.url,
            self.key,
            AsyncClientOptions(
                httpx_client=self.http,
                auto_refresh_token=False,
                persist_session=False,
                # Its own retries sleep 1, 2 and 4 seconds and cover reads only; ours are below.
                postgrest_client_retry=False,
            ),
        )

    async def _count(self, request: httpx.Request) -> None:
        self._observe(request.url.path.strip("/").split("/", 1)[0])

    async def _note(self, response: httpx.Response) -> None:
        _STATUS.set(response.status_code)

    async def rpc(
        self, token: str | None, function: str, arguments: dict[str, Any], *, repeatable: bool = True
    ) -> Any:
        """Call a SQL function as the token's owner (anonymously without one) and return its JSON.

        `repeatable` calls (reads, and writes that are the same twice) are tried again when the connection
        breaks or the database is restarting. Raises VersoError; when any try may have been carried out, it
        says that nobody knows.
        """
        delays = iter(RETRY_DELAYS if repeatable else ())
        may_write = writes(function)
        doubt = False
        while True:
            try:
                return (await self._rows_of(token).rpc(function, arguments).execute()).data
            except APIError as error:
                if error.code is None and _STATUS.get() >= httpx.codes.INTERNAL_SERVER_ERROR:
                    error.code = str(_STATUS.get())  # of a gateway, which knows no codes
                doubt = doubt or (may_write and faults.may_have_passed(error))
                delay = next(delays, None) if faults.is_transient(error) else None
                if delay is None:
                    raise faults.from_rows(error, doubt=doubt) from error
            except httpx.TransportError as error:
                doubt = doubt or (may_write and not faults.never_sent(error))
                # A silence has cost its full time already.
                delay = None if isinstance(error, httpx.TimeoutException) else next(delays, None)
                if delay is None:
                    raise faults.from_transport(error, what="supabase", doubt=doubt) from error
            await asyncio.sleep(delay)

    async def call(
        self, kind: type[T], token: str | None, function: str, /, *, repeatable: bool = True, **arguments: Any
    ) -> T:
        """As `rpc`, with its answer as a kind; arguments that are None are left to their defaults."""
        given = {name: value for name, value in arguments.items() if value is not None}
        answer = await self.rpc(token, function, given, repeatable=repeatable)
        return msgspec.convert(answer, kind, strict=False)

    def _rows_of(self, token: str | None) -> AsyncPostgrestClient:
        """The client of one token's owner. Its headers never change after this."""
        client = self._clients.get(token)
        if client is None:
            client = self._client.schema("public")
            if token is not None:
                client.auth(token)
            self._clients[token] = client
            if len(self._clients) > REMEMBERED_CLIENTS:
                self._clients.popitem(last=False)
        return client

    def bucket(self, token: str) -> AsyncBucketProxy:
        """The documents bucket, as the token's owner."""
        return AsyncStorageClient(
            f"{self.url}/storage/v1/", self.headers(token), http_client=self.http
        ).from_(BUCKET)

    def headers(self, token: str) -> dict[str, str]:
        """What a request in the token owner's name carries."""
        return {"apikey": self.key, "Authorization": f"Bearer {token}"}

    async def close(self) -> None:
        """Close every connection."""
        await self.http.aclose()
