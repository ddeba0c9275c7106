"""Pages against the JSON calls behind them, and a document of many versions against one of few.

Pages are asked for as browsers ask, with the session's cookie; the calls as programs do, with a bearer token.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx

from tests.benchmarks.bench import PROJECT
from tests.benchmarks.cases import Row, milliseconds
from tests.benchmarks.histories import changelog
from tests.benchmarks.interleaved import interleave

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.bench import Bench

TARGET = 2.0
SAME = 1.3
FEW = 10
ORDINARY = 60
"""Versions of an ordinary document: its history has more than one page."""
BATCH = 100
PATHS = {"few": "few.md", "many": "many.md"}


def pages(bench: Bench, *, versions: int, turns: int) -> list[Row]:
    """Server time of pages and of what is behind them, then few versions against many."""
    document, newest = _ordinary(bench)
    calls = f"/v1/documents/{document}"
    shown = f"/p/{PROJECT}/documents/{document}"
    with httpx.Client(
        base_url=bench.service.url,
        cookies={"verso-access": bench.token},
        headers={"Accept": "text/html"},
        timeout=60,
    ) as browser:
        rows = []
        compared = f"from={newest - 1}&to={newest}"
        for what, page, call in (
            ("history", shown, f"{calls}/versions?limit=20"),
            ("diff", f"{shown}/diff?{compared}", f"{calls}/diff?{compared}"),
        ):
            pair = interleave(_asked(browser, page), _asked(bench.api, call), turns=turns)
            rows.append(
                Row(
                    f"a document's {what} page, {newest} versions",
                    milliseconds(pair.ours),
                    f"{milliseconds(pair.peer)}: the JSON call behind it",
                    pair.ratio,
                    TARGET,
                )
            )
        few, many = asyncio.run(_loaded(bench, versions=versions))
        homes = {"few": f"/p/{PROJECT}/documents/{few}", "many": f"/p/{PROJECT}/documents/{many}"}
        newer = {"few": FEW, "many": versions}
        for what, pattern in (
            ("page", "/p/{project}/files/{path}"),
            ("history page", "{home}"),
            ("diff page", "{home}/diff?from={older}&to={newer}"),
        ):
            asked = {
                which: pattern.format(
                    project=PROJECT,
                    path=PATHS[which],
                    home=homes[which],
                    older=newer[which] - 1,
                    newer=newer[which],
                )
                for which in PATHS
            }
            pair = interleave(_asked(browser, asked["many"]), _asked(browser, asked["few"]), turns=turns)
            rows.append(
                Row(
                    f"the {what} of a document with {versions:,} versions",
                    milliseconds(pair.ours),
                    f"{milliseconds(pair.peer)}: of one with {FEW}",
                    pair.ratio,
                    SAME,
                )
            )
    return rows


def _asked(client: httpx.Client, url: str) -> Callable[[], None]:
    def ask() -> None:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text

    return ask


def _ordinary(bench: Bench) -> tuple[str, int]:
    """A changelog as it grew: some hundred lines, a few of them other in each version."""
    base = None
    for text in islice(changelog(ORDINARY * 4), 0, None, 4):
        condition = {"If-None-Match": "*"} if base is None else {"If-Match": base}
        answer = bench.api.put(f"/v1/projects/{PROJECT}/files/log.md", content=text, headers=condition)
        base = answer.raise_for_status().headers["etag"]
    found = bench.rpc("read_file", project=PROJECT, path="log.md")["version"]
    return str(found["document"]), int(found["number"])


async def _loaded(bench: Bench, *, versions: int) -> tuple[str, str]:
    """Two documents whose versions have the same two contents in turn; each is a commit of its own."""
    facts = []
    for content in (b"# Notes\n\n" + b"A line.\n\n" * 40 + end for end in (b"One.\n", b"Two.\n")):
        sha256 = hashlib.sha256(content).hexdigest()
        bench.store(f"{bench.project_id}/{sha256}", content)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        facts.append({"sha256": sha256, "size": len(content), "md5": md5, "media_type": "text/markdown"})
    conn = await asyncpg.connect(bench.stack.dsn("supabase_admin"))
    account = await conn.fetchval(
        "select created_by::text from public.projects where id = $1::text::uuid", bench.project_id
    )
    claims = json.dumps({"sub": account, "role": "authenticated"})
    await conn.execute("select set_config('request.jwt.claims', $1, false)", claims)
    await conn.execute("set role authenticated")
    documents = [
        await _written(conn, PATHS[which], facts, count=count)
        for which, count in (("few", FEW), ("many", versions))
    ]
    await conn.execute("reset role")
    await conn.execute("vacuum analyze public.versions, public.changes, public.documents, public.events")
    await conn.close()
    return documents[0], documents[1]


async def _written(conn: Any, path: str, facts: list[dict[str, Any]], *, count: int) -> str:
    base, document = None, ""
    for first in range(0, count, BATCH):
        async with conn.transaction():
            for number in range(first, min(first + BATCH, count)):
                item = {"path": path, **facts[number % 2]}
                if base is not None:
                    item["base"] = base
                answer = json.loads(
                    await conn.fetchval(
                        "select public.commit_change($1, $2::jsonb, '', $3)",
                        PROJECT,
                        json.dumps([item]),
                        f"{path}-{number}",
                    )
                )
                version = answer["change"]["versions"][0]
                base, document = version["hash"], version["document"]
    return document
