"""What is measured of derived rows and of points in time: the share of a commit that upkeep takes, and reading."""

from __future__ import annotations

import hashlib
import time
import uuid
from itertools import islice
from typing import TYPE_CHECKING

import psutil

from tests.benchmarks.bench import PROJECT
from tests.benchmarks.cases import Row, milliseconds
from tests.benchmarks.cpu import cpu_seconds
from tests.benchmarks.histories import changelog
from tests.benchmarks.interleaved import interleave

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.benchmarks.bench import Bench

BURST = 40
"""Commits that take less time together than upkeep waits for a pause."""
PATH = "blamed.md"
SETTLED_S = 5.0
"""In which upkeep waits for a pause, half a second, and is done with a burst."""


def upkeep(bench: Bench, *, rounds: int) -> list[Row]:
    """CPU time of the API, the gateway and PostgreSQL: while versions are written, and after, when upkeep runs.

    Upkeep waits for a pause, so the two are apart; CPU time, because a busy machine doesn't change it much. Lines
    with a NUL among them are attributed and not searched, which tells the two apart.
    """
    rows = []
    for path, start, what in (
        ("log.bin", b"\0\n", "keeping who wrote the lines of an edit"),
        ("log.md", b"", "the same, and its words for search"),
    ):
        burst, commit, after = _bursts(bench, path, start, rounds=rounds)
        rows.append(
            Row(
                f"{what}, {len(burst[-1]) / 1000:.0f} kB, CPU time",
                milliseconds(after),
                f"{milliseconds(commit)}: its commit",
                after / commit * 100,
                5.0 if start else None,
                unit=" %",
            )
        )
    return rows


def _bursts(bench: Bench, path: str, start: bytes, *, rounds: int) -> tuple[list[bytes], float, float]:
    """The last burst, and the CPU seconds of a commit and of what comes after it."""
    roots = [bench.service.process, psutil.Process(bench.stack.pid)]
    texts = (start + text for text in changelog(BURST * (rounds + 1)))
    burst = list(islice(texts, BURST))
    base = _write(bench, path, burst, base=None)
    time.sleep(SETTLED_S)
    commits, after = 0.0, 0.0
    for _ in range(rounds):
        burst = list(islice(texts, BURST))
        at = [cpu_seconds(*roots)]
        time.sleep(SETTLED_S)  # what is computed while nothing is asked counts for nothing
        at.append(cpu_seconds(*roots))
        base = _write(bench, path, burst, base=base)
        at.append(cpu_seconds(*roots))
        time.sleep(SETTLED_S)
        at.append(cpu_seconds(*roots))
        commits += at[2] - at[1]
        after += at[3] - at[2] - (at[1] - at[0])
    return burst, commits / rounds / BURST, after / rounds / BURST


def _write(bench: Bench, path: str, texts: Iterable[bytes], *, base: str | None) -> str:
    for text in texts:
        condition = {"If-None-Match": "*"} if base is None else {"If-Match": base}
        answer = bench.api.put(f"/v1/projects/{PROJECT}/files/{path}", content=text, headers=condition)
        assert answer.is_success, answer.text
        base = answer.headers["etag"]
    assert base is not None
    return base


def blame_of_a_head(bench: Bench, *, turns: int) -> list[Row]:
    """Who wrote each line of a document's newest version, as it is kept, against the one call that it takes."""
    base = _write(bench, PATH, changelog(100), base=None)
    found = bench.rpc("read_file", project=PROJECT, path=PATH)
    document = found["version"]["document"]
    where = f"/v1/documents/{document}/blame"
    deadline = time.monotonic() + 60
    while bench.api.get(where).json()["source"] != "kept":
        assert time.monotonic() < deadline, base
        time.sleep(0.2)
    pair = interleave(
        lambda: bench.api.get(where).raise_for_status(),
        lambda: bench.rpc("read_blame", document=document),
        turns=turns,
    )
    return [
        Row(
            "blame of a newest version, 100 versions, one round trip",
            milliseconds(pair.ours),
            f"{milliseconds(pair.peer)}: one bare rpc (read_blame), supabase-py",
            pair.ratio,
            2.0,
        )
    ]


def points_in_time(bench: Bench, *, changes: int, turns: int) -> list[Row]:
    """A tree and an archive at change 10, of a project that has 10 changes and of one that has many."""
    projects = ["short", "long"]
    for slug, count in zip(projects, (10, changes), strict=True):
        made = bench.api.post("/v1/projects", json={"slug": slug}).raise_for_status().json()
        _fill(bench, slug, made["id"], changes=count)
    rows = []
    for what, path in (("tree", "tree?at=10"), ("archive", "archive?format=zip&at=10")):
        short, long = (f"/v1/projects/{slug}/{path}" for slug in projects)
        assert bench.api.get(short).raise_for_status().content
        pair = interleave(
            lambda: bench.api.get(long).raise_for_status(),  # noqa: B023 - called at once
            lambda: bench.api.get(short).raise_for_status(),  # noqa: B023 - called at once
            turns=turns,
        )
        rows.append(
            Row(
                f"{what} at change 10 of {changes:,}",
                milliseconds(pair.ours),
                f"{milliseconds(pair.peer)}: at change 10 of 10",
                pair.ratio,
                1.2,
            )
        )
    return rows


def _fill(bench: Bench, slug: str, project: str, *, changes: int) -> None:
    """Twenty documents, one of which is then changed again and again between two contents."""
    contents = [b"one\n", b"two\n"]
    facts = []
    for content in contents:
        sha256 = hashlib.sha256(content).hexdigest()
        bench.store(f"{project}/{sha256}", content)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        facts.append({"sha256": sha256, "size": len(content), "md5": md5, "media_type": "text/markdown"})
    items = [{"path": f"{number}.md", **facts[0]} for number in range(20)]
    base = _commit(bench, slug, items)
    for number in range(1, changes):
        base = _commit(bench, slug, [{"path": "0.md", "base": base, **facts[number % 2]}])


def _commit(bench: Bench, slug: str, items: list[dict[str, object]]) -> str:
    answer = bench.rpc(
        "commit_change", project=slug, items=items, message="", idempotency_key=uuid.uuid4().hex
    )
    return str(answer["change"]["versions"][0]["hash"])
