"""A proxy that breaks things, between the API and its Supabase.

Every request has a connection to itself on both sides, and passes unless a rule meets it. A rule's fault is
an async function of the exchange; those below are the ones that networks, proxies and servers commit.

proxy.rule("POST", "/storage/v1/object/", answer(500))
proxy.rule("POST", "/rpc/commit_change", (held := Hold()).before, times=1)
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

PIECE = 64 * 1024
_CLOSED = (ConnectionError, asyncio.IncompleteReadError, TimeoutError, OSError)


@dataclass
class Rule:
    """Which requests a fault meets: after the first `skip`, and `times` of them at most."""

    method: str
    path: re.Pattern[str]
    fault: Fault
    times: int | None
    skip: int = 0
    met: int = 0

    def takes(self, method: str, path: str) -> bool:
        if self.method not in {method, "*"} or not self.path.search(path):
            return False
        self.met += 1
        return self.met > self.skip and (self.times is None or self.met <= self.skip + self.times)


@dataclass
class Exchange:
    """One request on its way. Faults read, change, forward and answer it as they like."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    upstream: tuple[str, int]

    @property
    def length(self) -> int | None:
        return next((int(value) for name, value in self.headers if name == "content-length"), None)

    async def body(self) -> bytes:
        """The request's body, read whole."""
        if self.length is not None:
            return await self.reader.readexactly(self.length)
        if any(name == "transfer-encoding" for name, _ in self.headers):
            return b"".join([piece async for piece in _chunked(self.reader)])
        return b""

    async def open(self, *, length: int | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the server with the request's head sent; the body is the caller's to send."""
        reader, writer = await asyncio.open_connection(*self.upstream)
        kept = [
            each
            for each in self.headers
            if each[0] not in {"content-length", "transfer-encoding", "connection"}
        ]
        if length is not None:
            kept.append(("content-length", str(length)))
        head = "".join(f"{name}: {value}\r\n" for name, value in [*kept, ("connection", "close")])
        writer.write(f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        return reader, writer

    async def ask(self, body: bytes) -> bytes:
        """Send the request with this body; the whole answer, as it came over the wire."""
        reader, writer = await self.open(length=len(body) if body or self.length is not None else None)
        try:
            writer.write(body)
            await writer.drain()
            return await reader.read()
        finally:
            _close(writer)

    async def send(self, answer: bytes) -> None:
        """Answer with these bytes."""
        self.writer.write(answer)
        await self.writer.drain()

    async def send_problem(self, status: int, body: bytes) -> None:
        await self.send(
            f"HTTP/1.1 {status} Broken\r\ncontent-length: {len(body)}\r\ncontent-type: application/json\r\n"
            "connection: close\r\n\r\n".encode()
            + body
        )

    def reset(self) -> None:
        """Break the connection to the API, as a crash or a firewall does."""
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the API has hung up."""
        while await self.reader.read(PIECE):
            pass


Fault = Callable[[Exchange], Awaitable[None]]


async def forward(exchange: Exchange) -> None:
    """No fault: stream the body in and the answer out, with flat memory."""
    length = exchange.length
    if length is None:
        await exchange.send(await exchange.ask(await exchange.body()))
        return
    reader, writer = await exchange.open(length=length)
    try:
        answering = asyncio.create_task(_pour(reader, exchange.writer))
        while length and (piece := await exchange.reader.read(min(PIECE, length))):
            length -= len(piece)
            writer.write(piece)
            await writer.drain()
        if not length:
            await answering
        answering.cancel()
    finally:
        _close(writer)


def answer(status: int, body: bytes = b'{"message":"broken by a test"}') -> Fault:
    """Take the request in and answer with an error of its own."""

    async def fault(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.send_problem(status, body)

    return fault


async def hang(exchange: Exchange) -> None:
    """Say nothing until the other side gives up."""
    await exchange.gone()


def delay(seconds: float) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await forward(exchange)

    return fault


def reset_request(after: int) -> Fault:
    """Let that many bytes of the body through, then break both connections."""

    async def fault(exchange: Exchange) -> None:
        _, writer = await exchange.open(length=exchange.length)
        writer.write(await exchange.reader.readexactly(after))
        await writer.drain()
        writer.transport.abort()
        exchange.reset()

    return fault


def reset_response(after: int) -> Fault:
    """Send the head and that many bytes of the answer's body, then break the connection."""

    async def fault(exchange: Exchange) -> None:
        head, _, body = (await exchange.ask(await exchange.body())).partition(b"\r\n\r\n")
        await exchange.send(head + b"\r\n\r\n" + body[:after])
        exchange.reset()

    return fault


async def drop_response(exchange: Exchange) -> None:
    """Let the server do it, and never tell."""
    await exchange.ask(await exchange.body())
    exchange.reset()


async def duplicate(exchange: Exchange) -> None:
    """Send it twice at the same time, as a retrying proxy would; hand on the answer that came first."""
    body = await exchange.body()
    asked = [asyncio.create_task(exchange.ask(body)) for _ in range(2)]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait(asked)
    await exchange.send(done.pop().result())


def edit_request(edit: Callable[[bytes], bytes]) -> Fault:
    """Change the body on its way in; the length said is that of what is sent."""

    async def fault(exchange: Exchange) -> None:
        body = await exchange.body()
        changed = edit(body)
        assert changed != body, "the edit found nothing to change"
        await exchange.send(await exchange.ask(changed))

    return fault


def edit_response(edit: Callable[[bytes], bytes]) -> Fault:
    """Change the body on its way out; the length said is that of what is sent."""

    async def fault(exchange: Exchange) -> None:
        head, _, body = (await exchange.ask(await exchange.body())).partition(b"\r\n\r\n")
        changed = edit(body)
        assert changed != body, "the edit found nothing to change"
        head = re.sub(rb"(?i)content-length: \d+", b"content-length: %d" % len(changed), head)
        await exchange.send(head + b"\r\n\r\n" + changed)

    return fault


@dataclass
class Hold:
    """Stops a request before it reaches the server, or its answer after the server has done it."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def before(self, exchange: Exchange) -> None:
        self.reached.set()
        await self.release.wait()
        await forward(exchange)

    async def after(self, exchange: Exchange) -> None:
        told = await exchange.ask(await exchange.body())
        self.reached.set()
        await self.release.wait()
        await exchange.send(told)


class Proxy:
    """Listens on a free port for one server; rules are asked in the order in which they were made."""

    def __init__(self, upstream: str) -> None:
        address = urlsplit(upstream)
        self._upstream = (str(address.hostname), int(address.port or 80))
        self._rules: list[Rule] = []
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.seen: list[tuple[str, str]] = []
        """Method and path of every request since `clear`."""

    @property
    def url(self) -> str:
        assert self._server is not None
        return "http://{}:{}".format(*self._server.sockets[0].getsockname())

    def rule(self, method: str, path: str, fault: Fault, *, times: int | None = None, skip: int = 0) -> Rule:
        """Break requests of that method (* for any) whose path matches the regular expression."""
        rule = Rule(method, re.compile(path), fault, times=times, skip=skip)
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Break nothing from now on."""
        self._rules.clear()
        self.seen.clear()

    def count(self, method: str, path: str) -> int:
        return sum(each == method and re.search(path, where) is not None for each, where in self.seen)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1024 * 1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with contextlib.suppress(*_CLOSED, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._running.discard(task)
            _close(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        pairs = [line.partition(":") for line in lines if line]
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        self.seen.append((method, path))
        fault = next((rule.fault for rule in list(self._rules) if rule.takes(method, path)), forward)
        await fault(Exchange(method, path, headers, reader, writer, self._upstream))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()


async def _chunked(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readline()
    await reader.readline()


def _close(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()
