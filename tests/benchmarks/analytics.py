"""Figures of a project with 1,000,000 stage events, against a look at one row by its primary key, and counting anew.

The events are loaded around the triggers, the rollups counted anew from them; both are asked for in turn in
the same run, over the same connection: by SQL under row-level security, and through the API.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.benchmarks.bench import PROJECT
from tests.benchmarks.cases import Row, milliseconds
from tests.benchmarks.interleaved import interleave

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.bench import Bench

TARGET = 5.0
DAYS = 1_000
EVENTS_A_SESSION = 28
"""Seven stages: begun, a heartbeat with a validation, a failure or another heartbeat, completed."""
PERIODS = {
    "of all time": ("2020-01-01", "2026-12-31", {}),
    # As many pieces as a year can have: its ends are in the middle of a year, of a month and of a week.
    "of a year, by stage": ("2023-06-15", "2024-06-15", {"part": "stage"}),
    "of 30 days, by stage": ("2025-05-10", "2025-06-08", {"part": "stage"}),
    "of 26 weeks, by week": ("2025-01-06", "2025-07-06", {"step": "week"}),
}
NAMES = {"part": "by", "step": "group"}


def analytics(bench: Bench, *, events: int, turns: int) -> list[Row]:
    """Load, count anew, ask: figures over several periods against one row by its key."""
    with asyncio.Runner() as runner:
        return runner.run(_loaded(bench, events=events))(runner, turns)


async def _loaded(bench: Bench, *, events: int) -> Callable[[asyncio.Runner, int], list[Row]]:
    conn = await asyncpg.connect(bench.stack.dsn("supabase_admin"))
    account = str(
        await conn.fetchval("select created_by from public.projects where id = $1", bench.project_id)
    )
    sessions = events // EVENTS_A_SESSION
    await conn.execute("set session_replication_role = replica")
    await conn.execute(_SESSIONS, bench.project_id, account, sessions)
    await conn.execute(_EVENTS, bench.project_id, account, DAYS)
    count = await conn.fetchval(
        "select count(*) from public.stage_events where project_id = $1", bench.project_id
    )
    await conn.execute("set session_replication_role = origin")
    await conn.execute("vacuum analyze public.stage_events")
    begun = time.perf_counter()
    await conn.execute("select private.rebuild_rollups($1)", uuid.UUID(bench.project_id))
    rebuilt = time.perf_counter() - begun
    await conn.execute("vacuum analyze public.analytics_counts, public.analytics_times")
    key = str(
        await conn.fetchval(
            "select id from public.stage_events where project_id = $1 limit 1", bench.project_id
        )
    )
    await conn.execute("set role authenticated")
    claims = json.dumps({"sub": account, "role": "authenticated"})
    await conn.execute("select set_config('request.jwt.claims', $1, false)", claims)

    def measured(runner: asyncio.Runner, turns: int) -> list[Row]:
        name = f"figures of {count:,} stage events"
        rows = [
            Row(
                f"{name}: counted anew",
                f"{rebuilt:.1f} s",
                "",
                count / rebuilt / 1000,
                unit=" thousand events/s",
            )
        ]
        for what, (first, last, more) in PERIODS.items():
            rows += [
                _by_sql(
                    runner,
                    conn,
                    f"{name} {what}",
                    (bench.project_id, first, last, more),
                    key=key,
                    turns=turns,
                ),
                _by_api(bench, f"{name} {what}", (first, last, more), key=key, turns=turns),
            ]
        runner.run(conn.close())
        return rows

    return measured


def _by_sql(
    runner: asyncio.Runner,
    conn: Any,
    name: str,
    asked: tuple[str, str, str, dict[str, str]],
    *,
    key: str,
    turns: int,
) -> Row:
    project, first, last, more = asked
    call = "select public.read_analytics($1, $2::text::date, $3::text::date, $4, $5)"
    arguments = (project, first, last, more.get("step"), more.get("part"))
    pair = interleave(
        lambda: runner.run(conn.fetchval(call, *arguments)),
        lambda: runner.run(
            conn.fetchval("select to_jsonb(e) from public.stage_events e where id = $1", uuid.UUID(key))
        ),
        turns=turns,
    )
    peer = f"{milliseconds(pair.peer)}: one of them by its primary key"
    return Row(f"{name}, in the database", milliseconds(pair.ours), peer, pair.ratio)


def _by_api(bench: Bench, name: str, asked: tuple[str, str, dict[str, str]], *, key: str, turns: int) -> Row:
    first, last, more = asked
    query = {"from": first, "to": last, **{NAMES[each]: value for each, value in more.items()}}

    def figures() -> None:
        answer = bench.api.get(f"/v1/projects/{PROJECT}/analytics", params=query)
        assert answer.status_code == 200, answer.text
        assert any(row["stages_completed"] for row in answer.json()["rows"])

    def one() -> None:
        answer = bench.api.get(f"/v1/stage-reports/{key}")
        assert answer.status_code == 200, answer.text

    pair = interleave(figures, one, turns=turns)
    peer = f"{milliseconds(pair.peer)}: one of them by its primary key, the same way"
    return Row(name, milliseconds(pair.ours), peer, pair.ratio, TARGET)


_SESSIONS = """
    insert into public.sessions (id, project_id, slug, title, type, root, created_by)
    select gen_random_uuid(), $1::text::uuid, 's' || n, 'S', 'exploratory', 'sessions/s' || n, $2::text::uuid
    from generate_series(1, $3::int) n
"""

# A session a moment, spread over the days; stages one after the other, each longer or shorter.
_EVENTS = """
    insert into public.stage_events (id, project_id, session_id, stage, number, state, before, late, actor_id, actor, agent,
      at, recorded_at, checks, errors, warnings, requires_input, sequence, request_hash)
    select gen_random_uuid(), $1::text::uuid, s.id, (enum_range(null::public.stage))[p + 1], p * 4 + k + 1,
      x.state::public.stage_state, x.before::public.stage_state, false, $2::text::uuid,
      case when s.n % 3 = 0 then 'human' else 'agent' end::public.actor_kind, case when s.n % 3 > 0 then 'robot' end,
      s.begun + make_interval(secs => p * (900 + s.n % 3000) + k * (60 + (s.n * 7919 + p * 31) % 1200)),
      now(), x.checks, case when x.checks is not null then s.n % 5 / 4 end, case when x.checks is not null then 1 end,
      case when x.checks is not null then 0 end,
      (s.n - 1) * 28 + p * 4 + k + 1, repeat('0', 64)
    from (select id, n, '2023-02-01'::timestamptz + make_interval(secs => (n * 53397113) % ($3::int * 86400)) as begun
          from (select id, substr(slug, 2)::bigint as n from public.sessions where project_id = $1::text::uuid and slug ~ '^s[0-9]+$') t) s
    cross join generate_series(0, 6) p
    cross join lateral (values
      (0, 'in_progress', 'pending', null), (1, 'in_progress', 'in_progress', 12),
      (2, case when s.n % 4 = 0 then 'failed' else 'in_progress' end, 'in_progress', null),
      (3, 'complete', 'in_progress', 12)) x (k, state, before, checks)
"""
