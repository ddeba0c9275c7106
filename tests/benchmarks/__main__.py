"""Measure Verso against its peers in one run: `python -m tests.benchmarks [--quick]`.

The figures that count are ratios. A full run writes them to tests/benchmarks/RESULTS.md; --quick is for
working on the code, and only prints them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import (
    analytics,
    cases,
    client,
    derived,
    events_cost,
    feed,
    importing,
    pages,
    policies,
    texts,
    tokens,
)
from tests.benchmarks.bench import benches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.bench import Bench
    from tests.benchmarks.cases import Row

RESULTS = Path(__file__).with_name("RESULTS.md")
MIB = 1024 * 1024


def main() -> int:
    """Run, print the table, and say by the exit status whether every target was reached."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    options.add_argument("--quick", action="store_true", help="a tenth of the work; writes nothing")
    options.add_argument("--only", help="only cases whose name holds this; writes nothing")
    options.add_argument("--versions", type=int, help="so many in the case policies, however long it takes")
    chosen = options.parse_args()
    rows: list[Row] = []
    lines = [_row("what", "Verso", "peer", "figure", "target"), "|---|---|---|---|---|"]
    sys.stdout.write("\n".join(lines) + "\n")
    with tempfile.TemporaryDirectory(prefix="verso-bench-") as directory:
        for row in _measured(Path(directory), chosen):
            rows.append(row)
            lines.append(_line(row))
            sys.stdout.write(lines[-1] + "\n")
            sys.stdout.flush()
    if not chosen.quick and not chosen.only:
        RESULTS.write_text(_page(lines, rows))
    return 0 if all(row.reached for row in rows) else 1


def _measured(directory: Path, chosen: argparse.Namespace) -> Iterator[Row]:
    quick, only = chosen.quick, chosen.only or ""
    turns = 60 if quick else 400
    files, rounds = (200, 1) if quick else (1000, 3)
    measured: list[tuple[str, Callable[[Bench], list[Row]]]] = [
        ("small_uploads", lambda bench: cases.small_uploads(bench, turns=turns)),
        ("warm_reads", lambda bench: cases.warm_reads(bench, turns=turns)),
        ("tokens", lambda bench: tokens.tokens(bench, turns=turns)),
        ("one_change", lambda bench: cases.one_change(bench, files=files, rounds=rounds)),
        ("concurrency", lambda bench: cases.concurrency(bench, requests=turns, rounds=rounds + 1)),
        ("git_import", lambda bench: importing.git_import(bench, directory, commits=150 if quick else 900)),
        (
            "folder",
            lambda bench: client.folder(
                bench, directory, files=1000 if quick else 10_000, rounds=rounds * 10
            ),
        ),
        ("gigabyte", lambda bench: cases.gigabyte(bench, size=128 * MIB if quick else 1024 * MIB)),
        ("upkeep", lambda bench: derived.upkeep(bench, rounds=rounds)),
        (
            "analytics",
            lambda bench: analytics.analytics(
                bench, events=100_000 if quick else 1_000_000, turns=turns // 4
            ),
        ),
        (
            "pages",
            lambda bench: pages.pages(bench, versions=1_000 if quick else 10_000, turns=turns // 2),
        ),
        ("blame_of_a_head", lambda bench: derived.blame_of_a_head(bench, turns=turns // 2)),
        (
            "points_in_time",
            lambda bench: derived.points_in_time(bench, changes=200 if quick else 1_500, turns=turns // 2),
        ),
    ]
    alone: list[tuple[str, Callable[[], list[Row]]]] = [
        ("second_start", lambda: cases.second_start(directory)),
        ("diffs", lambda: texts.diffs(directory, turns=turns)),
        ("words", lambda: texts.words(directory, turns=turns)),
        (
            "policies",
            lambda: policies.policies(
                directory, seconds=6 if quick else 60, turns=turns // 2, versions=chosen.versions
            ),
        ),
        ("feed", lambda: feed.feed(directory, rounds=5 if quick else 40)),
        ("events_cost", lambda: events_cost.events_cost(directory, turns=turns)),
        ("rebuild", lambda: texts.rebuild(directory, turns=2 if quick else 5)),
    ]
    for name, case in measured:
        if only in name:
            with benches(Path(tempfile.mkdtemp(dir=directory))) as bench:
                yield from case(bench)
    for name, measure in alone:
        if only in name:
            yield from measure()


def _line(row: Row) -> str:
    target = "" if row.target is None else f"{'≥' if row.at_least else '≤'} {row.target:g}{row.unit}"
    verdict = "" if row.reached else ", missed"
    figure = f"{row.figure:.2f}" if row.unit.startswith("x") else f"{row.figure:.1f}"
    return _row(row.what, row.ours, row.peer, f"{figure}{row.unit}", f"{target}{verdict}")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _page(lines: list[str], rows: list[Row]) -> str:
    reached = sum(row.reached for row in rows)
    table = "\n".join(lines)
    return f"""# Measured

By `make bench` on {dt.datetime.now(dt.UTC):%d %B %Y}: {platform.system()} on {platform.machine()}, \
{os.cpu_count()} cores, Python {platform.python_version()}; the embedded Supabase, the API and the clients all on
this one machine. Both ways of a row were called in turn, medians compared; the ratios hold elsewhere, the
milliseconds don't. {reached} of {len(rows)} targets reached.

{table}
"""


if __name__ == "__main__":
    sys.exit(main())
