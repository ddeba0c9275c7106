"""One request and its answer, as plain values between the ASGI server and the handlers."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from app.local.storage import faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

BODY_LIMIT = 1024 * 1024
"""Bytes of a JSON body; the real server's framework has the same limit."""
INLINE_BYTES = 64 * 1024
"""What is read from disk on the event loop: reading this much costs less than waking a thread."""
CHUNK_BYTES = 1024 * 1024

JSON = (b"content-type", b"application/json; charset=utf-8")
Headers = list[tuple[bytes, bytes]]


class ClientGone(Exception):  # noqa: N818 - nobody is left to tell of an error
    """The client disconnected before its body was complete."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A stretch of an open file, which is closed after it was sent."""

    descriptor: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; `file` is sent instead of `body`."""

    status: int
    headers: Headers
    body: bytes = b""
    file: FilePart | None = None


def json_answer(value: Any, status: int = 200) -> Answer:
    """An answer with `value` as JSON; bytes are JSON already."""
    return Answer(status, [JSON], value if isinstance(value, bytes) else msgspec.json.encode(value))


class Request:
    """A request, read as lazily as its handlers need."""

    __slots__ = ("_receive", "_scope", "headers", "method", "path")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["path"][len(scope.get("root_path", "")) :]
        """The decoded path below /storage/v1, with its leading slash."""
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of repeated ones the last."""
        return dict(parse_qsl(self._scope["query_string"].decode("latin-1"), keep_blank_values=True))

    @property
    def declared_length(self) -> int | None:
        """The Content-Length, if there is one."""
        declared = self.headers.get("content-length", "")
        return int(declared) if declared.isascii() and declared.isdigit() else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. Raises ClientGone when it breaks off."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if chunk := message.get("body"):
                yield chunk
            if not message.get("more_body"):
                return

    async def body(self) -> bytes:
        """The whole body. Only for bodies whose declared length is small."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises
        ------
            StorageFault: 400 when it isn't one, 413 when it is too long.

        """
        received = bytearray()
        async for chunk in self.chunks():
            received += chunk
            if len(received) > BODY_LIMIT:
                raise faults.StorageFault(
                    413, "Error", "Request body is too large", code="InvalidRequest", http=413
                )
        try:
            value = msgspec.json.decode(received)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise faults.invalid_request("Body is not valid JSON") from error
        if not isinstance(value, dict):
            raise faults.invalid_request("body must be object")
        return value

    async def gone(self) -> None:
        """Return when the client has disconnected."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def reply(answer: Answer, request: Request, send: Send) -> None:
    """Send an answer; a HEAD request gets its headers only."""
    headers = list(answer.headers)
    if answer.file is None:
        body = b"" if request.method == "HEAD" else answer.body
        if not any(name == b"content-length" for name, _ in headers) and answer.status != 304:  # noqa: PLR2004
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    try:
        headers.append((b"content-length", str(answer.file.length).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await _send_file(answer.file, request, send)
    finally:
        os.close(answer.file.descriptor)


async def _send_file(part: FilePart, request: Request, send: Send) -> None:
    """Send a stretch of a file: a small one at once, a large one read by threads, one chunk ahead.

    The server's `send` says nothing when the client has gone, so that is watched: a download that nobody
    reads must not go on reading the disk.
    """
    if part.length <= INLINE_BYTES:
        await send({"type": "http.response.body", "body": os.pread(part.descriptor, part.length, part.start)})
        return
    loop = asyncio.get_running_loop()
    end = part.start + part.length
    position = part.start
    gone = asyncio.create_task(request.gone())
    reading = loop.run_in_executor(None, _pread, part.descriptor, position, end)
    try:
        while position < end and not gone.done():
            chunk = await asyncio.shield(reading)  # cancelled, the thread would still read
            position += len(chunk)
            if position < end and chunk:
                reading = loop.run_in_executor(None, _pread, part.descriptor, position, end)
            await send({"type": "http.response.body", "body": chunk, "more_body": position < end})
            if not chunk:  # the file was cut from outside: ending early breaks the connection, as it must
                return
    finally:
        gone.cancel()
        # The thread must be done with the descriptor before it is closed: its number may be used again.
        if not reading.done():
            await asyncio.wait([reading])


def _pread(descriptor: int, position: int, end: int) -> bytes:
    return os.pread(descriptor, min(CHUNK_BYTES, end - position), position)
