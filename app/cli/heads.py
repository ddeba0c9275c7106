"""The head of a request is bounded in size and in time, before it is anyone's request.

uvicorn bounds neither: a header that never ends fills the memory, and a connection that says nothing (or a
byte a minute) stays open for ever. Bodies have limits of their own, in the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from asyncio import TimerHandle, Transport

_TOO_LARGE = b'{"type":"/problems/too_large","title":"Too large","status":431,"code":"too_large",'
_TOO_LARGE += b'"detail":"The head of the request is too large.","request_id":null}'


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with a limit of bytes and seconds for each request's line and header fields."""

    head_size = 64 * 1024
    """A token may have 16 KiB, a page's cookies as much again, a path some KiB."""
    head_seconds = 30.0

    _timer: TimerHandle | None = None
    _in_head = True
    _received = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Expect a head from now on."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._expected()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Expect the rest of a head; on a connection that is kept, this is the first that is known of it."""
        super().on_message_begin()
        if self._timer is None:
            self._expect()

    def on_headers_complete(self) -> None:
        """Refuse a head that came at once and is too large; the usual way otherwise."""
        self._expected()
        # For answers without an end: hangs up on a client that takes nothing, and throws away what is unsent.
        self.scope["verso_abort"] = self.transport.abort  # type: ignore[typeddict-unknown-key]
        if sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.url) <= self.head_size:
            super().on_headers_complete()
            return
        app, self.app = self.app, _refuse_head
        super().on_headers_complete()
        self.app = app

    def data_received(self, data: bytes) -> None:
        """Count what comes while a head is expected, and hang up when that is too much."""
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > self.head_size and not self.transport.is_closing():
            head = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
            head += b"content-type: application/problem+json\r\ncontent-length: %d\r\n\r\n" % len(_TOO_LARGE)
            self.transport.write(head + _TOO_LARGE)
            self.transport.close()

    def _expect(self) -> None:
        self._in_head, self._received = True, 0
        self._timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _expected(self) -> None:
        self._in_head = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def _refuse_head(_scope: Any, _receive: Any, send: Any) -> None:
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(_TOO_LARGE)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": _TOO_LARGE})
