"""What following costs those who write: a commit with its event, broadcast and rollups, against one without.

Two databases in one run, called in turn: Verso's, and one whose event is not written and whose triggers that
tell or count are gone. Only `commit_change` itself is timed, in the database, where all of this happens: in
front of it are storage and two more processes, which would hide it.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx

from tests.benchmarks.cases import Row, milliseconds
from tests.benchmarks.interleaved import interleave
from tests.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

TARGET = 1.25
TELLING = """
    select format('drop trigger %I on public.%I', t.tgname, c.relname)
    from pg_trigger t
    join pg_proc f on f.oid = t.tgfoid
    join pg_class c on c.oid = t.tgrelid
    where not t.tgisinternal and c.relnamespace = 'public'::regnamespace
      and (c.relname = 'events' and f.proname <> 'refuse_rewrite' or f.proname like 'roll\\_up%')
"""
SILENT = """
    create or replace function private.add_event(
      project uuid, kind text, payload jsonb default '{}', change_sequence bigint default null)
    returns void language plpgsql security definer set search_path = '' as $$ begin end $$
"""


def events_cost(directory: Path, *, turns: int) -> list[Row]:
    """Commits of one edit and of twenty, in the database with everything and in the one without."""
    with (
        Stack(directory / "telling", fresh=True) as telling,
        Stack(directory / "silent", fresh=True) as silent,
        asyncio.Runner() as runner,
    ):
        dropped = runner.run(_silence(silent))
        assert any("public.events" in each for each in dropped), dropped
        assert any("roll_up" in each for each in dropped), dropped
        ours, bare = (runner.run(_Writer.at(stack)) for stack in (telling, silent))
        rows = []
        for count in (1, 20):
            pair = interleave(
                lambda count=count: runner.run(ours.commit(count)),
                lambda count=count: runner.run(bare.commit(count)),
                turns=turns,
            )
            rows.append(
                Row(
                    f"commit of {count} edit{'s' if count > 1 else ''} with event, broadcast and rollups",
                    milliseconds(pair.ours),
                    f"{milliseconds(pair.peer)}: commit_change without them, in the database",
                    pair.ratio,
                    TARGET,
                )
            )
        return rows


async def _silence(stack: Stack) -> list[str]:
    conn = await asyncpg.connect(stack.dsn("supabase_admin"))
    try:
        dropped = [row[0] for row in await conn.fetch(TELLING)]
        for statement in dropped:
            await conn.execute(statement)
        await conn.execute(SILENT)
        return dropped
    finally:
        await conn.close()


class _Writer:
    """An editor in the database, whose documents go to and fro between two contents that are stored."""

    def __init__(self, conn: Any, project: str, documents: list[dict[str, Any]]) -> None:
        self._conn = conn
        self._project = project
        self._documents = documents
        self._turn = 0

    @classmethod
    async def at(cls, stack: Stack) -> _Writer:
        session = await stack.user()
        conn = await asyncpg.connect(stack.dsn("supabase_admin"))
        claims = {"sub": session["user"]["id"], "role": "authenticated"}
        await conn.execute("select set_config('request.jwt.claims', $1, false)", json.dumps(claims))
        await conn.execute("set role authenticated")
        made = json.loads(await conn.fetchval("select public.create_project('cost')"))
        texts = [os.urandom(1024).hex().encode() for _ in range(2)]
        for text in texts:
            await _store(stack, session["access_token"], made["id"], text)
        writer = cls(conn, made["id"], [])
        items = [{"path": f"docs/{n}.md", **_content(texts[0])} for n in range(20)]
        change = await writer._commit(items)
        writer._documents = [
            {
                "document": each["document"],
                "base": each["hash"],
                "contents": [_content(text) for text in texts],
            }
            for each in change["versions"]
        ]
        return writer

    async def commit(self, count: int) -> None:
        """A change of so many edits."""
        self._turn += 1
        chosen = self._documents[:count]
        for each in chosen:
            each["n"] = 1 - each.get("n", 0)
        items = [
            {"document": each["document"], "base": each["base"], **each["contents"][each["n"]]}
            for each in chosen
        ]
        change = await self._commit(items)
        for each, version in zip(chosen, change["versions"], strict=True):
            each["base"] = version["hash"]

    async def _commit(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        answer = await self._conn.fetchval(
            "select public.commit_change($1, $2::jsonb, 'm', $3)",
            self._project,
            json.dumps(items),
            uuid.uuid4().hex,
        )
        return dict(json.loads(answer)["change"])


def _content(text: bytes) -> dict[str, Any]:
    return {
        "sha256": sha256(text).hexdigest(),
        "size": len(text),
        "md5": md5(text, usedforsecurity=False).hexdigest(),
        "media_type": "text/markdown",
    }


async def _store(stack: Stack, token: str, project: str, text: bytes) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{stack.supabase_url}/storage/v1/object/documents/{project}/{sha256(text).hexdigest()}",
            content=text,
            headers={"Authorization": f"Bearer {token}", "apikey": stack.publishable_key},
        )
        answer.raise_for_status()
