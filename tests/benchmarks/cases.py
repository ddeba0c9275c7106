"""What is measured: each case a function of the bench that gives rows of the table."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.bench import PROJECT, name, small
from tests.benchmarks.interleaved import interleave
from tests.faults.memory import Watched
from tests.faults.service import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.benchmarks.bench import Bench

MIB = 1024 * 1024
CLIENTS = 16


@dataclass(frozen=True)
class Row:
    """One line of the results. `target` bounds `figure`: from above, or from below when `at_least`."""

    what: str
    ours: str
    peer: str
    figure: float
    target: float | None = None
    at_least: bool = False
    unit: str = "x"

    @property
    def reached(self) -> bool:
        if self.target is None:
            return True
        return self.figure >= self.target if self.at_least else self.figure <= self.target


def small_uploads(bench: Bench, *, turns: int) -> list[Row]:
    """(a) a small new document, against the bare upload and the rpc that writes its rows."""
    pair = interleave(
        lambda: bench.put(name(), small()), lambda: bench.put_directly(name(), small()), turns=turns
    )
    return [
        Row(
            "upload of a new 2 kB document",
            milliseconds(pair.ours),
            f"{milliseconds(pair.peer)}: storage upload + one rpc (commit_change), supabase-py",
            pair.ratio,
            1.6,
        )
    ]


def warm_reads(bench: Bench, *, turns: int) -> list[Row]:
    """(b), (c) the latest version of a document whose bytes are cached, and the answer that nothing is new."""
    path = name()
    etag = bench.put(path, small()).headers["etag"]
    where = f"/v1/projects/{PROJECT}/files/{path}"

    def rpc() -> None:
        bench.rpc("read_file", project=PROJECT, path=path)

    def read() -> None:
        assert bench.api.get(where).status_code == 200

    def revalidate() -> None:
        assert bench.api.get(where, headers={"If-None-Match": etag}).status_code == 304

    warm = interleave(read, rpc, turns=turns)
    unchanged = interleave(revalidate, rpc, turns=turns)
    peer = "one bare rpc (read_file), supabase-py"
    return [
        Row(
            "read of a latest version, warm",
            milliseconds(warm.ours),
            f"{milliseconds(warm.peer)}: {peer}",
            warm.ratio,
            2.0,
        ),
        Row(
            "304 for a latest version",
            milliseconds(unchanged.ours),
            f"{milliseconds(unchanged.peer)}: {peer}",
            unchanged.ratio,
            1.8,
        ),
    ]


def one_change(bench: Bench, *, files: int, rounds: int) -> list[Row]:
    """(d) many small files in one change, against as many changes; round by round."""
    together, apart = 0.0, 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(files):
            bench.put(name(), small())
        apart += time.perf_counter() - started
        started = time.perf_counter()
        parts = [("f", (name(), small())) for _ in range(files)]
        answer = bench.api.post(f"/v1/projects/{PROJECT}/changes", files=parts)
        assert answer.status_code == 201, answer.text
        together += time.perf_counter() - started
    each, single = together / rounds / files, apart / rounds / files
    return [
        Row(
            f"one change of {files:,} small files, per file",
            milliseconds(each),
            f"{milliseconds(single)}: {files:,} changes of one file",
            single / each,
            5.0,
            at_least=True,
            unit="x as fast",
        )
    ]


def concurrency(bench: Bench, *, requests: int, rounds: int) -> list[Row]:
    """(e) throughput of 16 clients at once against one; reads and writes, round by round."""
    return asyncio.run(_concurrency(bench, requests=requests, rounds=rounds))


async def _concurrency(bench: Bench, *, requests: int, rounds: int) -> list[Row]:
    path = name()
    bench.put(path, small())
    files = f"/v1/projects/{PROJECT}/files"
    async with bench.concurrent_api(CLIENTS) as api:

        async def read() -> None:
            assert (await api.get(f"{files}/{path}")).status_code == 200

        async def write() -> None:
            assert (await api.put(f"{files}/{name()}", content=small())).status_code == 201

        rows = []
        for what, act in (("warm reads", read), ("uploads of new 2 kB documents", write)):
            await _many(act, requests=CLIENTS * 2, clients=CLIENTS)
            many, one = 0.0, 0.0
            for _ in range(rounds):
                one += await _many(act, requests=requests, clients=1)
                many += await _many(act, requests=requests, clients=CLIENTS)
            total = requests * rounds
            rows.append(
                Row(
                    f"{what}, {CLIENTS} clients",
                    f"{total / many:,.0f}/s",
                    f"{total / one:,.0f}/s: one client",
                    one / many,
                    1.0,
                    at_least=True,
                    unit="x the throughput",
                )
            )
        return rows


async def _many(act: Callable[[], Awaitable[None]], *, requests: int, clients: int) -> float:
    """Seconds that the requests take, by so many clients."""

    async def client(count: int) -> None:
        for _ in range(count):
            await act()

    started = time.perf_counter()
    await asyncio.gather(*(client(requests // clients) for _ in range(clients)))
    return (time.perf_counter() - started) / (requests // clients * clients) * requests


def gigabyte(bench: Bench, *, size: int) -> list[Row]:
    """The growth of the API's memory while a large document goes in and comes out, and how fast it does."""
    return asyncio.run(_gigabyte(bench, size=size))


async def _gigabyte(bench: Bench, *, size: int) -> list[Row]:
    block = os.urandom(MIB)
    sent, received = hashlib.sha256(), hashlib.sha256()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(size // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            sent.update(piece)
            yield piece

    where = f"/v1/projects/{PROJECT}/files/{name()}.bin"
    async with bench.concurrent_api(1) as api:
        watched = Watched(bench.service.process)
        async with watched.during():
            started = time.perf_counter()
            answer = await api.put(where, content=pieces(), headers={"Content-Length": str(size)})
            assert answer.status_code == 201, answer.text
            stored = time.perf_counter()
            async with api.stream("GET", where) as read:
                async for piece in read.aiter_raw():
                    received.update(piece)
            ended = time.perf_counter()
    assert received.digest() == sent.digest()
    megabytes = size / 1e6
    speeds = f"in {megabytes / (stored - started):,.0f} MB/s, out {megabytes / (ended - stored):,.0f} MB/s"
    growth = watched.growth / MIB
    return [Row(f"{size // MIB:,} MiB in and out: growth of memory", speeds, "", growth, 64, unit=" MiB")]


def second_start(directory: Path) -> list[Row]:
    """(f) `verso dev` on data that is there, until everything answers."""
    seconds = [_start(directory / "dev") for _ in range(4)]
    return [
        Row(
            "second start of verso dev",
            f"first start {seconds[0]:.1f} s, with the demo's history",
            "",
            sorted(seconds[1:])[1],
            3.0,
            unit=" s",
        )
    ]


def _start(data: Path) -> float:
    command = [
        sys.executable,
        "-m",
        "app.cli",
        "dev",
        "--data",
        str(data),
        "--port",
        "0",
        "--supabase-port",
        "0",
    ]
    started = time.perf_counter()
    with (data.parent / "dev.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--with-parent"], cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True
        )
    try:
        while not (data / "dev.json").exists():
            assert process.poll() is None, (data.parent / "dev.log").read_text()
            time.sleep(0.01)
        return time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        (data / "dev.json").unlink(missing_ok=True)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
