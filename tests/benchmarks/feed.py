"""One change to a thousand subscribers: how fast it goes out, and how soon it is with the last of them.

The peer is a bare stream of Litestar under the same server, with the same bytes (`feed_peer.py`): no access,
no filter, no order, no bounds, nothing kept.
"""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

import httpx
import psutil
import uvloop

from tests.benchmarks.bench import name, small
from tests.benchmarks.cases import Row, milliseconds
from tests.faults.service import REPOSITORY, Service
from tests.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

SUBSCRIBERS = 1_000
DELIVERIES = 20_000
"""Deliveries a second that are wanted."""
SOON_SECONDS = 1.0


def feed(directory: Path, *, rounds: int) -> list[Row]:
    """Changes one at a time, and the same bytes through the peer, in turn."""
    with Stack(directory / "feed", fresh=True) as stack:
        settings = {**stack.env, "VERSO_EVENT_STREAMS_PER_ACCOUNT": str(2 * SUBSCRIBERS)}
        with Service(settings, log=directory / "feed.log") as service, _Peer() as peer:
            token = asyncio.run(stack.user())["access_token"]
            return uvloop.run(_measured(service, peer, token, rounds=rounds))


async def _measured(service: Service, peer: _Peer, token: str, *, rounds: int) -> list[Row]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=service.url, headers=headers, timeout=60) as api,
        httpx.AsyncClient(base_url=peer.url, timeout=60) as other,
    ):
        project = (await api.post("/v1/projects", json={"slug": "feed"})).raise_for_status().json()["id"]
        where = f"/v1/projects/{project}"
        ours = await _crowd(service.port, f"{where}/events", f"Authorization: Bearer {token}\r\n")
        theirs = await _crowd(peer.port, "/events", "")
        out: list[float] = []
        bare: list[float] = []
        soon: list[float] = []
        before = service.process.memory_info().rss
        for turn in range(rounds + 3):
            told = ours.expect()
            await api.put(f"{where}/files/{name()}", content=small())
            written = time.perf_counter()
            first, last, frame = await asyncio.wait_for(told, 60)
            bare_told = theirs.expect()
            await other.post("/events", content=frame)
            bare_first, bare_last, _ = await asyncio.wait_for(bare_told, 60)
            if turn >= 3:
                out.append(last - first)
                bare.append(bare_last - bare_first)
                soon.append(last - written)
        grown = service.process.memory_info().rss - before
        ours.close()
        theirs.close()
    rate, bare_rate = ((SUBSCRIBERS - 1) / statistics.median(each) for each in (out, bare))
    return [
        Row(
            f"one change to {SUBSCRIBERS:,} subscribers",
            f"{rate:,.0f} deliveries/s, memory {grown / 2**20:+.1f} MiB over {rounds} changes",
            f"{bare_rate:,.0f}/s: bare Litestar streams, the same bytes",
            rate,
            DELIVERIES,
            at_least=True,
            unit="/s",
        ),
        Row(
            f"one change, from its answer to the last of {SUBSCRIBERS:,} subscribers",
            milliseconds(statistics.median(soon)),
            f"{milliseconds(max(soon))}: the slowest of {rounds}",
            max(soon),
            SOON_SECONDS,
            unit=" s",
        ),
    ]


class _Crowd:
    """Many connections that listen; each counts as told when its next whole frame is there."""

    def __init__(self) -> None:
        self.transports: list[asyncio.Transport] = []
        self._waiting = 0
        self._first = 0.0
        self._told: asyncio.Future[tuple[float, float, bytes]] | None = None

    def expect(self) -> asyncio.Future[tuple[float, float, bytes]]:
        """When the first and the last one were told next, and what."""
        self._waiting = len(self.transports)
        self._told = asyncio.get_running_loop().create_future()
        return self._told

    def tell(self, frame: bytes) -> None:
        now = time.perf_counter()
        if self._told is None or self._told.done():
            return
        if self._waiting == len(self.transports):
            self._first = now
        self._waiting -= 1
        if self._waiting == 0:
            self._told.set_result((self._first, now, frame))

    def close(self) -> None:
        for transport in self.transports:
            transport.abort()


class _Listener(asyncio.Protocol):
    """Reads chunks of HTTP, of which each is a whole frame or more; comments don't count."""

    def __init__(self, crowd: _Crowd, ready: asyncio.Future[None]) -> None:
        self._crowd = crowd
        self._ready = ready
        self._held = b""

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self._held.endswith(b"\n\n\r\n"):
            return
        held, self._held = self._held, b""
        if not self._ready.done():
            if b"event: ready" in held:
                self._ready.set_result(None)
        elif b"event: " in held:
            self._crowd.tell(held[held.index(b"\r\n") + 2 : -2])


async def _crowd(port: int, path: str, fields: str) -> _Crowd:
    crowd = _Crowd()
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{fields}\r\n".encode()
    for at in range(0, SUBSCRIBERS, 50):
        readies = []
        for _ in range(min(50, SUBSCRIBERS - at)):
            ready = loop.create_future()
            made: Any = await loop.create_connection(
                lambda ready=ready: _Listener(crowd, ready), "127.0.0.1", port
            )
            made[0].write(request)
            crowd.transports.append(made[0])
            readies.append(ready)
        await asyncio.wait_for(asyncio.gather(*readies), 60)
    return crowd


class _Peer:
    """The peer in a process of its own, with the server's options that Verso has."""

    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "uvicorn", "--factory", "tests.benchmarks.feed_peer:create_app"]
        command += ["--port", str(self.port), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        self._process = subprocess.Popen([*command, "--log-level", "error"], cwd=REPOSITORY)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        psutil.Process(self._process.pid).kill()
        self._process.wait(10)


if __name__ == "__main__":
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as here:
        for row in feed(Path(here), rounds=20):
            sys.stdout.write(json.dumps(row.__dict__) + "\n")
