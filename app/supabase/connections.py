"""aiohttp's connections below httpx (docs/decisions/0009), with errors that say what happened.

The library tells most breaks as `ConnectTimeout`, and lets what is no HTTP at all pass as aiohttp's own
error. Whether a request may have arrived decides what a client is told, so each is named here as httpx
itself would have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

IDLE_SECONDS = 4.0
"""After this an idle connection isn't used again: servers close theirs after 5 (uvicorn) or more."""
PIECE = 256 * 1024
"""The most bytes of an answer that are handed on at once."""


class Connections(AiohttpTransport):
    """At most `connections` at a time to `url`, kept open; a proxy that the environment names counts.

    Raises httpx.ConnectError and ConnectTimeout when nothing was sent (a pool without room included), and
    other httpx.TransportErrors when the request may have been carried out.
    """

    def __init__(self, url: str, *, connections: int) -> None:
        super().__init__(client=self._session, proxy=_proxy_for(url))
        self._connections = connections

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections, keepalive_timeout=IDLE_SECONDS, ssl=self.ssl_context
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # True would look for proxies and a .netrc in a thread, anew for each request.
            trust_env=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        try:
            response = await super().handle_async_request(request)
        except (httpx.TransportError, aiohttp.ClientError) as error:
            raise _named(error) from error
        except ValueError as error:
            raise httpx.LocalProtocolError(f"The request cannot be sent: {error}") from error
        response.stream = _Body(response.stream)
        return response


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> None:
        if not isinstance(stream, httpx.AsyncByteStream):
            raise TypeError("An asynchronous answer has an asynchronous body.")
        stream.CHUNK_SIZE = PIECE  # type: ignore[attr-defined]
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                yield piece
        except (httpx.TransportError, aiohttp.ClientError) as error:
            raise _named(error) from error

    async def aclose(self) -> None:
        await self._stream.aclose()


def _proxy_for(url: str) -> httpx.Proxy | None:
    parts = urlsplit(url)
    proxies = getproxies()
    address = proxies.get(parts.scheme) or proxies.get("all")
    if address is None or proxy_bypass(parts.hostname or ""):
        return None
    return httpx.Proxy(address)


def _named(error: Exception) -> httpx.TransportError:
    cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__
    sentence = str(cause) or type(cause).__name__
    if isinstance(cause, aiohttp.ClientConnectorError):
        return httpx.ConnectError(sentence)
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout(sentence)
    if isinstance(cause, aiohttp.ServerTimeoutError):
        return httpx.ReadTimeout(sentence)
    if isinstance(cause, aiohttp.ClientOSError):
        return httpx.ReadError(sentence)
    return httpx.RemoteProtocolError(sentence)
