"""What it costs to bring a Git history in, against what its bytes alone cost."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx

from app.client.api import Api
from app.client.import_git import import_into
from app.git.read.history import History
from app.git.read.people import People
from app.git.read.repository import open_repository
from app.sources.filters import Filter
from tests.benchmarks import real
from tests.benchmarks.cases import Row
from tests.faults.service import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.bench import Bench

MIB = 1024 * 1024
AT_ONCE = 8
"""Uploads at a time of the peer: as many as the API sends."""


def git_import(bench: Bench, directory: Path, *, commits: int) -> list[Row]:
    """(m) the real changelog's 792 commits, and a uniform history whose last commits cost what the first did."""
    history = real.changelog(directory / "real")
    stream = history.git("fast-export", "--all")
    started = time.perf_counter()
    _fast_import(directory / "peer", stream)
    in_git = time.perf_counter() - started
    started = time.perf_counter()
    asyncio.run(_store_bare(bench, history.versions))
    bare = time.perf_counter() - started
    started = time.perf_counter()
    peak = _import(bench, history.repository, "real")
    ours = time.perf_counter() - started
    size = sum(map(len, history.versions)) // MIB
    uniform = directory / "uniform"
    _fast_import(uniform, _uniform(commits))
    first, last = _thirds(bench, uniform, commits)
    return [
        Row(
            f"import of a Git history: {len(history.versions)} commits, {size} MiB, with proof",
            f"{ours:.1f} s",
            f"{in_git + bare:.1f} s: git fast-import, and the same contents stored bare, {AT_ONCE} at a time",
            ours / (in_git + bare),
            10,
        ),
        Row(
            "the same: memory of the importing process",
            f"{peak / MIB:.0f} MiB",
            "",
            peak / MIB,
            250,
            unit=" MiB",
        ),
        Row(
            f"import of {commits} equal commits: the last third against the first",
            f"{last * 1000:.1f} ms a commit",
            f"{first * 1000:.1f} ms a commit",
            last / first,
            1.5,
        ),
    ]


def _fast_import(where: Path, stream: bytes) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(where)], check=True)
    subprocess.run(["git", "-C", str(where), "fast-import", "--quiet"], check=True, input=stream)


async def _store_bare(bench: Bench, contents: list[bytes]) -> None:
    headers = {"Authorization": f"Bearer {bench.token}", "Content-Type": "application/octet-stream"}
    room = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=bench.stack.supabase_url, headers=headers, timeout=120) as storage:

        async def store(sha256: str, data: bytes) -> None:
            async with room:
                url = f"/storage/v1/object/documents/{bench.project_id}/{sha256}"
                (await storage.post(url, content=data)).raise_for_status()

        by_hash = {hashlib.sha256(data).hexdigest(): data for data in contents}
        await asyncio.gather(*(store(sha256, data) for sha256, data in by_hash.items()))


def _import(bench: Bench, repository: Path, slug: str) -> int:
    """Run the command as people do; the most memory that it had, in bytes."""
    command = [sys.executable, "-m", "app.cli", "import", "git", str(repository), "-p", slug, "--create"]
    environment = os.environ | {"VERSO_API": str(bench.api.base_url).rstrip("/"), "VERSO_TOKEN": bench.token}
    process = subprocess.Popen(
        [*command, "--json"], env=environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, status
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _uniform(commits: int) -> bytes:
    """Each commit edits one of 100 documents of 4 kB."""
    lines: list[bytes] = []
    for number in range(commits):
        text = b"".join(b"%064d\n" % (number * 64 + line) for line in range(64))
        lines += [
            b"commit refs/heads/main",
            b"committer A <a@example.com> %d +0000" % (1_600_000_000 + number),
            b"data 2\nc\n",
            b"M 100644 inline docs/%d/%d.md" % (number % 10, number % 100),
            b"data %d\n%s" % (len(text), text),
        ]
    return b"\n".join(lines) + b"\n"


def _thirds(bench: Bench, repository: Path, commits: int) -> tuple[float, float]:
    """Seconds a commit in the first third and in the last."""
    times: dict[int, float] = {}

    def watch(done: int, _: int, what: str) -> None:
        if what == "commits imported":
            times[done] = time.perf_counter()

    opened = open_repository(str(repository), branch=None, scratch=repository)
    history: Any = History(opened, rules=Filter(), people=People())
    bench.api.post("/v1/projects", json={"slug": "uniform"}).raise_for_status()
    with Api(str(bench.api.base_url).rstrip("/"), bench.token) as api:
        import_into(api, "uniform", history, source="uniform", progress=watch, batch=50).run(proof="none")
    points = sorted(times)
    third = commits // 3
    low = max(point for point in points if point <= third)
    high = min(point for point in points if point >= commits - third)
    return (times[low] - times[0]) / low, (times[commits] - times[high]) / (commits - high)
