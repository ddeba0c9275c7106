"""The connections that the Supabase client's requests travel on: kept open, counted, and never shared.

An httpx transport, so that everything above it (the official client, timeouts, redirects, decoding) is as
it was. HTTP/1.1, plain or over TLS.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from app.supabase.connection import Connection

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

IDLE_SECONDS = 4.0
"""After this an idle connection isn't used again. Servers close theirs after 5 (uvicorn) or more, and one
that is closed while a request is on its way loses it."""
DEFAULT_PORTS = {"http": 80, "https": 443}


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int


class Transport(httpx.AsyncBaseTransport):
    """At most `connections` at a time; who needs one more waits for it (timeout `pool`)."""

    def __init__(self, *, connections: int) -> None:
        self._room = asyncio.Semaphore(connections)
        self._idle: dict[_Origin, deque[Connection]] = {}
        self._open: set[Connection] = set()
        self._tls: ssl.SSLContext | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request. Raises httpx.TransportError."""
        timeouts: dict[str, Any] = request.extensions.get("timeout", {})
        head, chunked = _head_of(request)
        origin = _origin_of(request.url)
        await self._enter(timeouts.get("pool"))
        connection: Connection | None = None
        try:
            connection = self._waiting(origin) or await self._connect(origin, timeouts.get("connect"))
            await connection.exchange(
                head,
                _body_of(request),
                chunked=chunked,
                bodiless=request.method == "HEAD",
                timeouts=timeouts,
            )
        except BaseException:
            self._leave(origin, connection)
            raise
        stream: httpx.AsyncByteStream
        if connection.is_complete:
            stream = httpx.ByteStream(connection.take())
            answer = httpx.Response(connection.status, headers=connection.headers, stream=stream)
            self._leave(origin, connection)
            return answer
        stream = _Body(self, origin, connection, timeouts.get("read"))
        return httpx.Response(connection.status, headers=connection.headers, stream=stream)

    async def aclose(self) -> None:
        """Close every connection."""
        for connection in list(self._open):
            connection.close()
        self._open.clear()
        self._idle.clear()

    async def _enter(self, seconds: float | None) -> None:
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(seconds):
                await self._room.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("All connections are in use.") from None

    def _waiting(self, origin: _Origin) -> Connection | None:
        """Take out the connection that was used last: few stay warm instead of all being lukewarm."""
        idle = self._idle.get(origin)
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        while idle:
            connection = idle.pop()
            if not connection.closed and connection.idle_since > oldest:
                return connection
            connection.close()
            self._open.discard(connection)
        return None

    async def _connect(self, origin: _Origin, seconds: float | None) -> Connection:
        loop = asyncio.get_running_loop()
        if origin.scheme == "https" and self._tls is None:
            self._tls = await asyncio.to_thread(httpx.create_ssl_context)
        tls = self._tls if origin.scheme == "https" else None
        try:
            async with asyncio.timeout(seconds):
                _, connection = await loop.create_connection(Connection, origin.host, origin.port, ssl=tls)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("Connecting took too long.") from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        self._open.add(connection)
        return connection

    def _leave(self, origin: _Origin, connection: Connection | None) -> None:
        """End an exchange: keep its connection for the next, or close it."""
        self._room.release()
        if connection is None:
            return
        if connection.is_reusable:
            connection.release()
            self._idle.setdefault(origin, deque()).append(connection)
        else:
            connection.close()
            self._open.discard(connection)


class _Body(httpx.AsyncByteStream):
    """An answer's body that is still arriving; closing it early gives the connection up."""

    def __init__(
        self, transport: Transport, origin: _Origin, connection: Connection, seconds: float | None
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._connection: Connection | None = connection
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._connection is None:
            raise httpx.StreamClosed
        async for piece in self._connection.pieces(self._seconds):
            yield piece

    async def aclose(self) -> None:
        """Give the connection back, or up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport._leave(self._origin, connection)  # noqa: SLF001 - they are one thing in two halves


def _origin_of(url: httpx.URL) -> _Origin:
    return _Origin(url.scheme, url.host, url.port or DEFAULT_PORTS[url.scheme])


def _head_of(request: httpx.Request) -> tuple[bytes, bool]:
    """The head as it is sent, and whether the body goes in chunks.

    Raises httpx.LocalProtocolError for what would not be one head any more.
    """
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    chunked = False
    for name, value in request.headers.raw:
        lines.append(b"%s: %s" % (name, value))
        chunked = chunked or (name.lower() == b"transfer-encoding" and value == b"chunked")
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b"\0" in head:
        raise httpx.LocalProtocolError("A header field holds a line break or NUL.")
    return head + b"\r\n\r\n", chunked


def _body_of(request: httpx.Request) -> bytes | AsyncIterator[bytes]:
    if isinstance(request.stream, httpx.ByteStream):
        return request.content
    if not isinstance(request.stream, httpx.AsyncByteStream):
        raise TypeError("An asynchronous request needs an asynchronous body.")
    return aiter(request.stream)
