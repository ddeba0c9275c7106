"""Stages cost the same however much was reported: 20,000 reports of one session beside 200 other sessions' 200,000.

The rows are made by SQL with triggers off, in the shape that reports give them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.costs.counted import pages, pages_of_write

if TYPE_CHECKING:
    from tests.schema.world import Team, World

pytestmark = pytest.mark.slow

OWN, SESSIONS, OF_EACH = 20_000, 200, 1_000
FIRST_EVENT = 1_000_000
TABLES = ("stage_events", "stage_event_versions", "stages", "events", "versions", "documents", "changes")

REPORTS = """
insert into public.events (project_id, sequence, kind, payload)
select '{project}', {first} + n, 'stage.reported', '{{}}' from generate_series(1, {count}) n;
insert into public.stage_events (id, project_id, session_id, stage, number, state, before, late, run, actor_id, actor, at,
  recorded_at, sequence, request_hash)
select gen_random_uuid(), '{project}', s.id, (array['spec', 'plan', 'tasks'])[n % 3 + 1]::public.stage, n + 10,
  'in_progress', 'in_progress', false, 'run-' || n % 500, '{editor}', 'human',
  timestamptz '2026-01-01' + n * interval '1 second', timestamptz '2026-01-01' + n * interval '1 second',
  {first} + (row_number() over ()), repeat('0', 64)
from public.sessions s cross join generate_series(1, {each}) n where s.project_id = '{project}' and s.slug like '{slugs}';
with e as materialized (
  select distinct on (session_id, stage) session_id, stage, id, at, min(at) over (partition by session_id, stage) as since
  from public.stage_events where project_id = '{project}' order by session_id, stage, at desc, number desc)
update public.stages g set state = 'in_progress', report = e.id, at = e.at, since = e.since
from e
where g.project_id = '{project}' and g.session_id = e.session_id and g.stage = e.stage;
"""
OTHERS = """
insert into public.sessions (project_id, slug, title, type, root, created_by)
select '{project}', 'other-' || n, 'x', 'exploratory', 'sessions/other-' || n, '{editor}' from generate_series(1, {sessions}) n;
insert into public.stages (project_id, session_id, stage, since, at)
select project_id, id, g, created_at, created_at from public.sessions, unnest(enum_range(null::public.stage)) g
where project_id = '{project}' and slug like 'other-%';
"""


@dataclass(frozen=True)
class Place:
    """A project with a session `s` of three reports, and maybe very many more."""

    team: Team
    report: str


async def place(world: World) -> Place:
    team = await world.team()
    # As many sessions in both, because a page of a board has so many.
    for slug in ("s", *(f"n{n}" for n in range(12))):
        await world.rpc(team.editor, "create_session", project=team.id, slug=slug)
    spec = await world.write(team.editor, team.id, "sessions/s/specs/spec.md", "what")
    for stage in ("spec", "plan", "tasks"):
        made = await world.rpc(
            team.editor, "report_stage", project=team.id, session="s", stage=stage, state="in_progress",
            run="mine", produced=[spec["hash"]],
        )  # fmt: skip
    return Place(team, made["id"])


@pytest_asyncio.fixture(scope="module")
async def small(world: World) -> Place:
    return await place(world)


@pytest_asyncio.fixture(scope="module")
async def large(world: World) -> Place:
    made = await place(world)
    names = {"project": made.team.id, "editor": made.team.editor.id, "sessions": SESSIONS}
    async with world.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(OTHERS.format(**names))
        for first, each, slugs, count in (
            (FIRST_EVENT, OWN, "s", OWN),
            (FIRST_EVENT + OWN, OF_EACH, "other-%", SESSIONS * OF_EACH),
        ):
            await conn.execute(REPORTS.format(first=first, each=each, slugs=slugs, count=count, **names))
        await conn.execute(
            "update public.projects set event_sequence = $1 where id = $2::uuid",
            FIRST_EVENT + OWN + SESSIONS * OF_EACH,
            made.team.id,
        )
    await world.sql(
        "analyze public.stage_events, public.stages, public.sessions, public.events", role="supabase_admin"
    )
    return made


READS = {
    "where stages stand": "read_stages('{project}', 's')",
    "the newest reports": "list_stage_reports('{project}', 's', page_size => 20)",
    "a stage's reports": "list_stage_reports('{project}', 's', 'feedback', page_size => 20)",
    "a run's reports": "list_stage_reports('{project}', 's', null, 'mine', page_size => 20)",
    "a run's reports of a stage": "list_stage_reports('{project}', 's', 'plan', 'mine', page_size => 20)",
    "one report": "read_stage_report('{report}')",
    "a page of the board": "list_pipelines('{project}', page_size => 10)",
    "a page of all boards": "list_all_pipelines(page_size => 10)",
}


@pytest.mark.parametrize("call", READS)
async def test_a_read_costs_the_same_however_long_the_history(world, small, large, call):
    costs = []
    for where in (small, large):
        asked = READS[call].format(project=where.team.id, report=where.report)
        costs.append(await pages(world, where.team.reader, asked, tables=TABLES))
    # A page of reports is 20 instead of three; indexes are a level higher.
    assert costs[1] <= costs[0] * 1.25 + 40, costs


@pytest.mark.parametrize(
    ("state", "at"),
    [
        ("in_progress", "null"),
        ("in_progress", "'2026-01-01T02:00:00Z'"),
        ("failed", "null"),
        ("complete", "null"),
    ],
    ids=["the same again", "late", "on", "complete"],
)
async def test_a_report_costs_the_same_however_long_the_history(world, small, large, state, at):
    costs = [
        await pages_of_write(
            world,
            where.team.editor,
            f"report_stage('{where.team.id}', 's', 'tasks', '{state}', 'r', {at})",
            tables=[each for each in TABLES if each != "changes"],  # there is but one
        )
        for where in (small, large)
    ]
    assert costs[1] <= costs[0] * 1.25 + 20, costs


MANY = """
with p as (
  insert into public.projects (slug, name, created_by)
  select 'many-' || n, 'Many', '{person}' from generate_series(1, {count}) n returning id)
insert into public.members (user_id, project_id, role, added_by) select '{person}', id, 'owner', '{person}' from p
"""


async def test_a_board_that_is_empty_costs_little_of_each_project(world):
    """A member of 2,000 projects: each is looked up, and none asks for all of them anew."""
    person, count = await world.person(), 2_000
    async with world.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(MANY.format(person=person.id, count=count))
    assert await pages(world, person, "list_all_pipelines(null, null, 'failed')", tables=TABLES) < count * 12
