"""One HTTP/1.1 connection (RFC 9112) on the event loop, with httptools' parser: one exchange at a time.

httpx's own transport (httpcore, h11, anyio) took more than half of the service's CPU time; this one takes
about a fifth of that (measured, decisions in docs/). It also hears an answer that comes before the body is
sent: storage refuses an upload early and reads no further, and a client that goes on sending hangs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import httptools
import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BATCH = 64 * 1024
"""A body is sent in pieces of about this size; a small one goes out together with its head."""
HIGH_WATER = 512 * 1024
"""Bytes of an answer that may wait here for their reader."""
HEAD_LIMIT = 64 * 1024
_INFORMATIONAL = range(100, 200)


class Connection(asyncio.Protocol):
    """A connection that is open until `closed`; after `is_reusable` it takes the next exchange."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._lost: Exception | None = None
        self._may_write = True
        self._reading = True
        self._busy = False
        self._sent = False
        self._begin()
        self.closed = False
        self.idle_since = 0.0

    def _begin(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._has_head = False
        self._complete = False
        self._keeps_alive = False
        self._to_the_end = False

    # What the event loop says ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, which is a stream's."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses

    def data_received(self, data: bytes) -> None:
        """Parse what came; what nobody asked for ends the connection."""
        if not self._busy or self._complete:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(f"The answer is not HTTP: {error}"))
        if self._waiting > HIGH_WATER and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange under way: well, when the answer lasts until the connection's end."""
        self.closed = True
        if self._to_the_end and exc is None:
            self._complete = True
        elif self._lost is None:
            self._lost = (
                httpx.ReadError(str(exc) or type(exc).__name__)
                if exc is not None
                else httpx.RemoteProtocolError("The server disconnected before its answer was complete.")
            )
        self._wake()

    def pause_writing(self) -> None:
        """Stop sending: the other side reads slower."""
        self._may_write = False

    def resume_writing(self) -> None:
        """Go on sending."""
        self._may_write = True
        self._wake()

    # What the parser says --------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a field of the answer's head."""
        self._head_size += len(name) + len(value)
        if self._head_size > HEAD_LIMIT:
            self._fail(httpx.RemoteProtocolError("The head of the answer is too long."))
            return
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take in the status; an informational answer is not the answer."""
        self.status = self._parser.get_status_code()
        if self.status in _INFORMATIONAL:
            return
        names = {name.lower() for name, _ in self.headers}
        self._keeps_alive = self._parser.should_keep_alive()
        self._to_the_end = not names & {b"content-length", b"transfer-encoding"}
        self._has_head = True

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the answer's body until it is read."""
        self._pieces.append(data)
        self._waiting += len(data)

    def on_message_complete(self) -> None:
        """Note the answer's end; after an informational one the answer is still to come."""
        if self.status in _INFORMATIONAL:
            self.headers = []
            return
        self._complete = True

    # What the transport asks -----------------------------------------------------------------------

    async def exchange(
        self,
        head: bytes,
        body: bytes | AsyncIterator[bytes],
        *,
        chunked: bool,
        bodiless: bool,
        timeouts: dict[str, Any],
    ) -> None:
        """Send a request and wait for the head of its answer.

        `bodiless` answers have no body whatever their head says (HEAD). Raises httpx.TransportError; the
        connection is closed then, and when the caller is cancelled.
        """
        self._begin()
        self._busy = True
        self._sent = False
        try:
            if isinstance(body, bytes):
                self._write([head, body])
                self._sent = True
            else:
                await self._send(head, body, chunked=chunked, seconds=timeouts.get("write"))
            while not self._has_head:
                self._check()
                await self._wait(timeouts.get("read"), httpx.ReadTimeout("No answer came in time."))
            if bodiless:
                self._complete, self._keeps_alive = True, False
        except BaseException:
            self.close()
            raise

    async def _send(
        self, head: bytes, body: AsyncIterator[bytes], *, chunked: bool, seconds: float | None
    ) -> None:
        batch, size = [head], len(head)
        async for piece in body:
            if not piece:
                continue
            batch += [b"%x\r\n" % len(piece), piece, b"\r\n"] if chunked else [piece]
            size += len(piece)
            if size >= BATCH:
                self._write(batch)
                batch, size = [], 0
                while not self._may_write and not self._has_head:
                    self._check()
                    await self._wait(seconds, httpx.WriteTimeout("The server stopped reading."))
                if self._has_head:
                    return  # it has answered already, and reads no further: this connection is spent
        if chunked:
            batch.append(b"0\r\n\r\n")
        self._write(batch)
        self._sent = True

    def _write(self, batch: list[bytes]) -> None:
        # A server that has answered and closed before the end of the body has still answered.
        if self._has_head:
            return
        self._check()
        if self._transport is None:
            raise httpx.WriteError("The connection is closed.")
        self._transport.write(b"".join(batch) if len(batch) > 1 else batch[0])

    @property
    def is_complete(self) -> bool:
        """Whether all of the answer has arrived."""
        return self._complete

    @property
    def is_reusable(self) -> bool:
        """Whether the exchange is over and left the connection fit for another."""
        return (
            self._complete and self._sent and self._keeps_alive and not self.closed and not self._to_the_end
        )

    def take(self) -> bytes:
        """What of the answer's body has arrived since the last time."""
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        self._waiting = 0
        if not self._reading and self._transport is not None and not self.closed:
            self._reading = True
            self._transport.resume_reading()
        return data

    async def pieces(self, seconds: float | None) -> AsyncIterator[bytes]:
        """The answer's body as it arrives. Raises httpx.TransportError when it breaks off or stands still."""
        while True:
            if self._pieces:
                yield self.take()
            elif self._complete:
                return
            else:
                self._check()
                await self._wait(seconds, httpx.ReadTimeout("The answer stood still."))

    def release(self) -> None:
        """Note that the exchange is over."""
        self._busy = False
        self.idle_since = self._loop.time()

    def close(self) -> None:
        """Drop the connection at once."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    # Waiting ---------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._lost is not None:
            raise self._lost
        if self.closed:
            raise httpx.ReadError("The connection is closed.")

    def _fail(self, error: Exception) -> None:
        self._lost = self._lost or error
        self.close()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, seconds: float | None, silence: httpx.TimeoutException) -> None:
        """Wait until something happens; raise `silence` when nothing does for that long."""
        self._waiter = waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, _expire, waiter, silence)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()


def _expire(waiter: asyncio.Future[None], silence: httpx.TimeoutException) -> None:
    if not waiter.done():
        waiter.set_exception(silence)
