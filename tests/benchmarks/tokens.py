"""Who is calling: the verification of an access token that was seen before, against a warm read."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

from app.settings import Settings
from app.supabase.identity import Identity
from app.supabase.pool import Pool
from tests.benchmarks.bench import PROJECT, name, small
from tests.benchmarks.cases import Row, milliseconds

if TYPE_CHECKING:
    from tests.benchmarks.bench import Bench

TARGET = 1.0
MANY = 1_000


def tokens(bench: Bench, *, turns: int) -> list[Row]:
    """Percent of a warm read's time; the first verification, with its signature, beside it."""
    path = name()
    bench.put(path, small())
    reads = []
    for _ in range(turns):
        began = time.perf_counter()
        assert bench.api.get(f"/v1/projects/{PROJECT}/files/{path}").status_code == 200
        reads.append(time.perf_counter() - began)
    read = statistics.median(reads)
    first, again = asyncio.run(_verified(bench))
    return [
        Row(
            "verification of an access token that was seen before",
            f"{again * 1e6:.1f} µs ({first * 1e6:.0f} µs the first time, with its signature)",
            f"{milliseconds(read)}: a warm read of a latest version",
            100 * again / read,
            TARGET,
            unit=" %",
        )
    ]


async def _verified(bench: Bench) -> tuple[float, float]:
    """Seconds of a first verification once the keys are known, and of a later one."""
    settings = Settings.from_environment(bench.stack.env)
    pool = Pool(settings)
    identity = Identity(pool, settings)
    try:
        await identity.verify(bench.token)  # fetches the keys
        other = (await bench.stack.user())["access_token"]
        began = time.perf_counter()
        await identity.verify(other)
        first = time.perf_counter() - began
        began = time.perf_counter()
        for _ in range(MANY):
            await identity.verify(other)
        return first, (time.perf_counter() - began) / MANY
    finally:
        await pool.close()
