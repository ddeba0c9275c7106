"""Two ways to do a thing, measured turn by turn, so that a machine that grows slow slows both."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 10


@dataclass(frozen=True)
class Pair:
    """Medians of both ways, in seconds."""

    ours: float
    peer: float

    @property
    def ratio(self) -> float:
        return self.ours / self.peer


def interleave(
    ours: Callable[[], object], peer: Callable[[], object], *, turns: int, warm_up: int = WARM_UP
) -> Pair:
    """Call both in turn, the first of each turn changing; the median of each after some warming up."""
    taken: dict[Callable[[], object], list[float]] = {ours: [], peer: []}
    for turn in range(turns + warm_up):
        gc.collect(0)
        for way in (ours, peer) if turn % 2 else (peer, ours):
            started = time.perf_counter()
            way()
            taken[way].append(time.perf_counter() - started)
    return Pair(statistics.median(taken[ours][warm_up:]), statistics.median(taken[peer][warm_up:]))
