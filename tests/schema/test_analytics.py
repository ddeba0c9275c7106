"""The rollups are what a count by hand gives, after anything, in any order, by many at once. On PostgreSQL 18 and 15."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.schema.counting import STAGES, Tally, at_level, bucket, counted, kept, read_history
from tests.schema.world import put, refused

if TYPE_CHECKING:
    from tests.schema.world import Person, Team, World

PATHS = (
    "notes.md",
    "sessions/one/specs/spec.md",
    "sessions/one/plans/plan.md",
    "sessions/one/other.md",
    "sessions/one/inner/tasks/tasks.md",
    "sessions/two/specs/spec.md",
    "sessions/late/specs/spec.md",
    "sessions/late/feedback/feedback.md",
)
STATES = ("pending", "in_progress", "in_progress", "complete", "complete", "failed", "skipped")
CONTENTS = tuple(f"content {n}\n" for n in range(5))


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


async def agree(world: World, project: str) -> Tally:
    """Assert that each level is what was counted by hand, and that counting anew changes nothing."""
    by_hand = counted(await read_history(world, project))
    for again in (False, True):
        if again:
            await world.sql("select private.rebuild_rollups($1::text::uuid)", project)
        for level in ("day", "week", "month", "year"):
            held, expected = await kept(world, project, level), at_level(by_hand, level)
            assert held.counts == +expected.counts, (level, again)
            assert held.histograms == expected.histograms, (level, again)
            assert held.contested == by_hand.contested, again
    return by_hand


async def report(world: World, by: Person, team: Team, what: str, **more: Any) -> Any:
    """One report; `what` is its session, stage and state."""
    session, stage, state = what.split()
    said = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in more.items()}
    return await world.rpc(
        by, "report_stage", project=team.id, session=session, stage=stage, state=state, **said
    )


class Life:
    """People and agents who do what comes to their minds."""

    def __init__(self, world: World, team: Team, agent: Person, dice: random.Random) -> None:
        self.world, self.team, self.agent, self.dice = world, team, agent, dice
        self.refusals = 0

    async def turn(self) -> None:
        act = self.dice.choices(
            (self.report, self.march, self.write, self.remark, self.restore, self.start), (12, 2, 5, 3, 1, 1)
        )
        try:
            await act[0]()
        except asyncpg.PostgresError as error:
            if not error.sqlstate.startswith("PT"):
                raise
            self.refusals += 1

    def moment(self) -> datetime | None:
        """Now, shortly ago, or long ago: reports come late."""
        ago = self.dice.choice((None, None, 0.0, 0.05, 1.0, 3600.0, 86400.0 * self.dice.randint(1, 400)))
        return None if ago is None else datetime.now(UTC) - timedelta(seconds=ago)

    async def report(self) -> None:
        dice, more = self.dice, {}
        by = dice.choice((self.team.owner, self.team.editor, self.agent, self.agent))
        at = self.moment()
        if at is not None:
            more["at"] = at
        if dice.random() < 0.3:
            more["finished_at"] = (at or datetime.now(UTC)) - timedelta(seconds=dice.choice((0, 1, 500)))
            more["started_at"] = more["finished_at"] - timedelta(seconds=dice.choice((0, 0.03, 70, 90_000)))
        if dice.random() < 0.4:
            more |= {
                "checks": 9,
                "errors": dice.choice((0, 0, 2)),
                "warnings": 1,
                "requires_input": dice.choice((0, 0, 1)),
            }
        if by is self.team.owner and dice.random() < 0.5:
            more["imported"] = True
        # One session finishes now and then, so most reports are of it.
        session, stage = dice.choice(("one", "one", "one", "two", "late", "inner")), dice.choice(STAGES)
        state = dice.choice(STATES)
        if dice.random() < 0.8:  # mostly what may follow
            allowed = await self.world.one(
                """select private.states_after(private.stage_state_at(s.project_id, s.id, $2::text::public.stage, $3))::text[]
                   from public.sessions s where s.project_id = $1 and s.slug = $4""",
                self.team.id,
                stage,
                at or datetime.now(UTC),
                session,
            )
            state = dice.choice(allowed or STATES)
        await report(self.world, by, self.team, f"{session} {stage} {state}", **more)

    async def march(self) -> None:
        """A session that goes straight through, or nearly, some days of the past."""
        session = self.dice.choice(("one", "two", "late"))
        at = datetime.now(UTC) - timedelta(days=self.dice.randint(1, 60))
        for stage in self.dice.sample(STAGES, 7) if self.dice.random() < 0.2 else STAGES:
            for state in ("skipped",) if self.dice.random() < 0.1 else ("in_progress", "complete"):
                at += timedelta(seconds=self.dice.choice((0, 0.5, 100, 4000)))
                try:
                    await report(
                        self.world,
                        self.agent,
                        self.team,
                        f"{session} {stage} {state}",
                        at=min(at, datetime.now(UTC)),
                    )
                except asyncpg.PostgresError as error:
                    if not error.sqlstate.startswith("PT"):
                        raise

    async def head(self) -> Any:
        rows = await self.world.sql(
            "select id, path, head, live, head_number from public.documents where project_id = $1",
            self.team.id,
        )
        return self.dice.choice(rows) if rows else None

    async def write(self) -> None:
        by = self.dice.choice((self.team.owner, self.team.editor, self.agent))
        items = []
        for path in self.dice.sample(PATHS, self.dice.choice((1, 1, 2))):
            rows = await self.world.sql(
                "select id, head, live, head_number from public.documents where project_id = $1 and path = $2",
                self.team.id,
                path,
            )
            base = rows[0]["head"] if rows else None
            item = put(path, self.dice.choice(CONTENTS), base=base)
            if rows and rows[0]["live"] and self.dice.random() < 0.2:
                item = {"path": path, "base": base, "delete": True}
            elif rows and rows[0]["head_number"] > 1 and self.dice.random() < 0.3:
                older = "select hash from public.versions where document_id = $1 and number = 1"
                item["merged_from"] = await self.world.one(older, rows[0]["id"])
            items.append(item)
        await self.world.commit(by, self.team.id, *items)

    async def restore(self) -> None:
        document = await self.head()
        if document is not None:
            item = {"document": str(document["id"]), "base": document["head"], "restore": 1}
            await self.world.commit(self.team.editor, self.team.id, item)

    async def remark(self) -> None:
        document = await self.head()
        threads = await self.world.sql(
            "select id from public.comments where project_id = $1 and thread_id = id", self.team.id
        )
        by = self.dice.choice((self.team.reviewer, self.team.owner, self.agent))
        if threads and self.dice.random() < 0.6:
            act = self.dice.choice(("resolve", "resolve", "reopen"))
            await self.world.rpc(by, "act_on_comment", comment=str(self.dice.choice(threads)["id"]), act=act)
        elif document is not None and self.dice.random() < 0.6:
            await self.world.rpc(by, "create_comment", version=document["head"], body="Why?")
        elif document is not None:
            verdict = self.dice.choice(("approve", "request_changes", "withdraw"))
            await self.world.rpc(by, "create_review", version=document["head"], verdict=verdict)

    async def start(self) -> None:
        slug, root = self.dice.choice((("late", "sessions/late"), ("inner", "sessions/one/inner")))
        await self.world.rpc(self.team.editor, "create_session", project=self.team.id, slug=slug, root=root)


async def newcomer(world: World, team: Team) -> Person:
    agent = await world.person("robot", app_metadata={"verso_agent": "robot"})
    await world.rpc(team.owner, "set_member", project=team.id, person=agent.handle, role="editor")
    return agent


ANY_HISTORY = settings(
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def test_rollups_are_what_a_count_by_hand_gives_after_a_history_of_many_writers(world, lived):
    assert await world.one("select count(*) from public.analytics_times where project_id = $1", lived.id)


@pytest.mark.slow
@given(seed=st.integers(0, 2**32))
@settings(ANY_HISTORY, max_examples=12)
async def test_rollups_are_what_a_count_by_hand_gives_after_any_history(world, seed):
    await live_and_count(world, seed)


@pytest.mark.parametrize("seed", [1, 2])
async def test_rollups_are_what_a_count_by_hand_gives_where_nothing_came_late(world, seed):
    """The newest report of a session is looked at with few others, and whatever it says of its times."""
    await report_in_order(world, random.Random(seed), reports=110)


async def report_in_order(world: World, dice: random.Random, *, reports: int) -> None:
    team = await begun(world)
    agent = await newcomer(world, team)
    at = datetime(2026, 3, 2, tzinfo=UTC)
    settled = dice.choice((0.2, 0.6))  # of some histories the session is complete, again and again
    for _ in range(reports):
        at += timedelta(seconds=dice.choice((0, 0.03, 100, 4000)))
        stage = dice.choice(STAGES)
        allowed = await world.one(
            """select private.states_after(s.state)::text[] from public.stages s
               where s.project_id = $1 and s.stage = $2::text::public.stage""",
            team.id, stage,
        )  # fmt: skip
        ends = [each for each in allowed if each in {"complete", "skipped"}]
        state = dice.choice(ends if ends and dice.random() < settled else allowed)
        more: dict[str, Any] = {}
        if dice.random() < 0.5:
            more["finished_at"] = at - timedelta(seconds=dice.choice((0, 0.02, 60, 50_000)))
        if dice.random() < 0.5:
            done = more.get("finished_at", at)
            more["started_at"] = done - timedelta(seconds=dice.choice((0, 0.02, 60, 9000, 200_000)))
        if dice.random() < 0.2:
            more |= {"checks": 3, "errors": dice.choice((0, 1)), "warnings": 0, "requires_input": 0}
        by = dice.choice((team.editor, agent))
        await report(world, by, team, f"one {stage} {state}", at=at, **more)
    await agree(world, team.id)


async def live_and_count(world: World, seed: int) -> Team:
    dice = random.Random(seed)
    team = await world.team()
    agent = await newcomer(world, team)
    for content in CONTENTS:
        await world.store(team.id, content)
    for slug in ("one", "two"):
        await world.rpc(team.editor, "create_session", project=team.id, slug=slug)
    lives = [Life(world, team, agent, random.Random(dice.random())) for _ in range(6)]

    async def live(life: Life) -> None:
        for _ in range(25):
            await life.turn()

    await asyncio.gather(*map(live, lives))
    tally = await agree(world, team.id)
    assert sum(tally.counts.values()) > 40
    assert sum(life.refusals for life in lives) < 100
    return team


@pytest_asyncio.fixture(scope="module")
async def lived(world: World) -> Team:
    """A project after a history that was counted by hand."""
    return await live_and_count(world, 7)


async def hour(world: World, team: Team, person: Person, *turns: tuple[str, str, float], **more: Any) -> None:
    """Reports of the session `one`: (stage, state, hours after the first moment of 2 March)."""
    for stage, state, hours in turns:
        at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=hours)
        await report(world, person, team, f"one {stage} {state}", at=at, **more)


async def figures(world: World, team: Team, **asked: Any) -> dict[str, Any]:
    period = {"first_day": "2026-03-01", "last_day": "2026-03-31", **asked}
    rows = await world.rpc(team.reader, "read_analytics", project=team.id, **period)
    assert len(rows) == 1, rows
    return dict(rows[0])


async def begun(world: World) -> Team:
    """A project with a session `one`."""
    team = await world.team()
    await world.rpc(team.editor, "create_session", project=team.id, slug="one")
    return team


def seconds(hours: float) -> pytest.approx:
    return pytest.approx(hours * 3600, rel=1 / 128)


async def test_a_stage_takes_from_its_first_start_to_its_completion_and_waits_since_the_one_before(world):
    team = await begun(world)
    await hour(world, team, team.editor, ("spec", "in_progress", 0), ("spec", "failed", 1))
    await hour(world, team, team.editor, ("spec", "in_progress", 2), ("spec", "complete", 5))
    await hour(world, team, team.editor, ("plan", "in_progress", 9))
    rows = await world.rpc(
        team.reader,
        "read_analytics",
        project=team.id,
        first_day="2026-03-01",
        last_day="2026-03-31",
        part="stage",
    )
    spec, plan = rows
    assert (spec["stage"], plan["stage"]) == ("spec", "plan")
    assert spec["lead_time"] == {"count": 1, "mean": 5 * 3600, "p50": seconds(5), "p90": seconds(5)}
    assert spec["waiting_time"] is None
    assert plan["waiting_time"]["p50"] == seconds(4)
    assert (spec["stages_failed"], spec["stages_started"], spec["stages_completed"]) == (1, 2, 1)
    assert (spec["work_in_progress"], plan["work_in_progress"]) == (0, 1)
    await agree(world, team.id)


async def test_a_late_report_changes_what_was_said_of_the_past(world):
    team = await begun(world)
    await hour(world, team, team.editor, ("plan", "in_progress", 30), ("plan", "complete", 40))
    assert (await figures(world, team))["waiting_time"] is None
    await hour(world, team, team.editor, ("spec", "in_progress", 1), ("spec", "complete", 20))
    told = await figures(world, team)
    assert told["waiting_time"]["p50"] == seconds(10)
    assert told["lead_time"]["count"] == 2
    # Nearer to the plan's start: the wait was shorter than it seemed.
    await hour(world, team, team.editor, ("spec", "in_progress", 22), ("spec", "complete", 29))
    told = await figures(world, team)
    assert told["waiting_time"]["mean"] == 3600
    assert told["stages_reopened"] == 1
    assert told["stages_returned_to"] == 0
    await agree(world, team.id)


async def test_a_version_is_rework_from_the_moment_a_late_report_completes_its_stage(world):
    team = await begun(world)
    path = "sessions/one/specs/spec.md"
    before = datetime.now(UTC) - timedelta(seconds=5)
    first = await world.write(team.editor, team.id, path, "a")
    await world.write(team.editor, team.id, path, "b", base=first["hash"])
    period = {"first_day": "2026-01-01", "last_day": "2030-01-01"}
    assert (await figures(world, team, **period))["rework_versions"] == 0
    await report(world, team.editor, team, "one spec in_progress", at=before)
    await report(world, team.editor, team, "one spec complete", at=before)
    assert (await figures(world, team, **period))["rework_versions"] == 2
    # And it was taken up again between them, as somebody remembers.
    at = "select committed_at from public.changes where project_id = $1 and sequence = 2"
    await report(world, team.editor, team, "one spec in_progress", at=await world.one(at, team.id))
    assert (await figures(world, team, **period))["rework_versions"] == 1
    await agree(world, team.id)


async def test_a_session_is_completed_once_when_all_seven_stages_are_settled(world):
    team = await begun(world)
    robot = await newcomer(world, team)
    for n, stage in enumerate(STAGES[:6]):
        await hour(world, team, team.editor, (stage, "in_progress", n), (stage, "complete", n + 1))
    assert (await figures(world, team))["sessions_completed"] == 0
    await hour(world, team, robot, ("feedback", "skipped", 10))
    await hour(world, team, team.editor, ("spec", "in_progress", 20), ("spec", "complete", 30))
    by_actor = await world.rpc(
        team.reader,
        "read_analytics",
        project=team.id,
        first_day="2026-03-01",
        last_day="2026-03-31",
        part="actor",
    )
    assert {row["actor"]: row["sessions_completed"] for row in by_actor} == {"human": 0, "agent": 1}
    assert next(row for row in by_actor if row["actor"] == "agent")["session_lead_time"] == {
        "count": 1, "mean": 36000, "p50": seconds(10), "p90": seconds(10),
    }  # fmt: skip
    assert sum(row["stages_returned_to"] for row in by_actor) == 1
    await agree(world, team.id)


async def test_work_in_progress_is_what_was_so_at_the_end_of_each_group(world):
    team = await begun(world)
    await hour(world, team, team.editor, ("spec", "in_progress", -24 * 40), ("plan", "in_progress", 30))
    await hour(world, team, team.editor, ("spec", "complete", 24 * 3))
    rows = await world.rpc(
        team.reader,
        "read_analytics",
        project=team.id,
        first_day="2026-03-02",
        last_day="2026-03-06",
        step="day",
    )
    assert [row["start"] for row in rows] == [f"2026-03-0{n}" for n in range(2, 7)]
    assert [row["work_in_progress"] for row in rows] == [1, 2, 2, 1, 1]


async def test_a_heartbeat_counts_its_validation_and_nothing_else(world):
    team = await begun(world)
    await hour(world, team, team.editor, ("spec", "in_progress", 0))
    await hour(
        world, team, team.editor, ("spec", "in_progress", 1), checks=4, errors=1, warnings=2, requires_input=0
    )
    await hour(
        world, team, team.editor, ("spec", "in_progress", 2), checks=4, errors=0, warnings=0, requires_input=0
    )
    told = await figures(world, team)
    assert (told["stages_started"], told["work_in_progress"]) == (1, 1)
    assert (told["validations"], told["validations_passed"], told["validation_pass_rate"]) == (2, 1, 0.5)
    assert (told["checks"], told["errors"], told["warnings"]) == (8, 1, 2)
    await agree(world, team.id)


@pytest.mark.parametrize("shift", range(41))
async def test_buckets_are_never_wider_than_a_64th_of_what_they_hold(world, shift):
    for value in (1 << shift, (1 << shift) + 1, (1 << shift) * 3 // 2, (1 << (shift + 1)) - 1):
        row = await world.sql(
            "select private.time_bucket($1) as b, private.bucket_seconds(private.time_bucket($1)) as s", value
        )
        assert row[0]["b"] == bucket(value)
        assert abs(float(row[0]["s"]) * 1000 - value) <= value / 128 + 0.5


@pytest.mark.parametrize(
    ("step", "largest", "at_most"), [(None, "year", 26), ("month", "month", 32), ("week", "week", 7)]
)
async def test_the_spans_of_a_period_are_its_days_each_once_and_few(world, step, largest, at_most):
    """What one adds another may take away again; nothing outside of the period is left."""
    dice = random.Random(3)
    for _ in range(200):
        low = date(2020, 1, 1) + timedelta(days=dice.randrange(1500))
        high = low + timedelta(days=dice.choice((0, 1, 4, 27, 31, 60, 91, 365, 366, 1200)))
        rows = await world.sql("select * from private.spans($1, $2, private.units_of($3))", low, high, step)
        days: Counter[date] = Counter()
        looked_at: Counter[str] = Counter()
        for row in rows:
            starts = units(row["level"], row["low"], row["high"])
            looked_at[row["level"]] += len(starts)
            for start, beyond in zip(starts, [*starts[1:], row["high"]], strict=True):
                days.update(dict.fromkeys(each_day(start, beyond), row["sign"]))
        assert {day: n for day, n in days.items() if n} == dict.fromkeys(each_day(low, high), 1)
        assert sum(n for level, n in looked_at.items() if level != largest) <= at_most, (low, high, looked_at)


async def test_the_spans_of_days_are_one(world):
    rows = await world.sql(
        "select * from private.spans('2026-01-05', '2026-09-01', private.units_of('day'))",
    )
    assert [tuple(row.values()) for row in rows] == [("day", date(2026, 1, 5), date(2026, 9, 1), 1)]


def each_day(low: date, high: date) -> list[date]:
    return [low + timedelta(days=n) for n in range((high - low).days)]


def units(level: str, low: date, high: date) -> list[date]:
    """The rows that a span reads, by their first days: it begins and ends where such a row does."""

    def begins(day: date) -> bool:
        return {
            "week": day.weekday() == 0,
            "month": day.day == 1,
            "year": (day.month, day.day) == (1, 1),
        }.get(level, True)

    assert begins(low)
    assert begins(high)
    return [day for day in each_day(low, high) if begins(day)]


async def told_by_hand(world: World, team: Team, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Some figures of read_analytics from the tally of days."""
    tally = counted(await read_history(world, team.id))
    first, last = date.fromisoformat(asked["first_day"]), date.fromisoformat(asked["last_day"])
    step, part = asked.get("step"), asked.get("part")

    def group(day: date) -> date:
        start = {
            None: first,
            "day": day,
            "week": day - timedelta(days=day.weekday()),
            "month": day.replace(day=1),
        }[step]
        return max(start, first)

    def key(stage: str | None, actor: str) -> Any:
        return {"stage": stage, "actor": actor}.get(part)

    starts = sorted({group(first + timedelta(days=n)) for n in range((last - first).days + 1)})
    seen = {key(stage, actor) for day, stage, actor, _ in tally.counts if first <= day <= last}
    open_before: Counter[Any] = Counter()
    for (day, stage, actor, figure), n in tally.counts.items():
        if day < first and figure in {"stages_started", "stages_left"}:
            open_before[key(stage, actor)] += n if figure == "stages_started" else -n
    seen |= {each for each, n in open_before.items() if n}
    rows = []
    for each in seen | ({None} if part is None else set()):
        running = open_before[each]
        for start in starts:
            mine: Counter[str] = Counter()
            for (day, stage, actor, figure), n in tally.counts.items():
                if first <= day <= last and group(day) == start and key(stage, actor) == each:
                    mine[figure] += n
            running += mine["stages_started"] - mine["stages_left"]
            times = sorted(
                (b, n, total) for (day, stage, actor, figure, b), (n, total) in tally.times.items()
                if figure == "lead_time" and first <= day <= last and group(day) == start and key(stage, actor) == each
            )  # fmt: skip
            ranked = [b for b, n, _ in times for _ in range(n)]
            rows.append({
                "start": start.isoformat() if step else None, "part": each, "work_in_progress": running,
                "completed": mine["stages_completed"], "versions": mine["versions"], "count": len(ranked),
                "mean": math.floor(sum(total for _, _, total in times) / len(ranked) + 0.5) if ranked else None,
                "p50": ranked[math.ceil(len(ranked) * 0.5) - 1] if ranked else None,
                "p90": ranked[math.ceil(len(ranked) * 0.9) - 1] if ranked else None,
            })  # fmt: skip
    return rows


@pytest.mark.parametrize("step", [None, "day", "week", "month"])
@pytest.mark.parametrize("part", [None, "stage", "actor"])
async def test_what_is_told_of_a_period_is_what_its_days_come_to(world, lived, step, part):
    team = lived
    today = datetime.now(UTC).date()
    for days in (3, 45, 390):
        asked = {
            "first_day": str(today - timedelta(days=days)),
            "last_day": str(today - timedelta(days=days // 9)),
        }
        asked |= {name: value for name, value in (("step", step), ("part", part)) if value}
        rows = await world.rpc(team.reader, "read_analytics", project=team.id, **asked)
        told = [
            {
                "start": row["start"], "part": row[part] if part else None,
                "work_in_progress": row["work_in_progress"], "completed": row["stages_completed"],
                "versions": row["versions"], "count": (row["lead_time"] or {}).get("count", 0),
                **{name: round(row["lead_time"]["mean"] * 1000) if name == "mean" else
                   await world.one("select b from generate_series(0, 3000) b where private.bucket_seconds(b) = $1::text::numeric",
                                   str(row["lead_time"][name]))
                   for name in ("mean", "p50", "p90") if row["lead_time"]},
            }
            for row in rows
        ]  # fmt: skip
        nothing = {"mean": None, "p50": None, "p90": None}
        by_hand = await told_by_hand(world, team, asked)

        def order(row: dict[str, Any]) -> tuple[str, str]:
            return (row["start"] or "", row["part"] or "")

        assert sorted(({**nothing, **row} for row in told), key=order) == sorted(by_hand, key=order)


async def test_an_answer_of_very_many_rows_is_refused(world):
    """400 days of each of 51 projects."""
    person = await world.person()
    asked = {"first_day": "2024-01-01", "last_day": "2025-02-03", "step": "day"}
    async with world.pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(
            """
            with p as (
              insert into public.projects (slug, name, created_by)
              select 'many-' || n, 'Many', $1::text::uuid from generate_series(1, 51) n returning id
            ), m as (
              insert into public.members (user_id, project_id, role, added_by)
              select $1::text::uuid, id, 'owner', $1::text::uuid from p
            )
            insert into public.analytics_counts (project_id, level, start, actor, changes, versions)
            select id, 'day', '2024-06-01', 'human', 1, 1 from p
            """,
            person.id,
        )
    refusal = await refused(world.rpc(person, "read_all_analytics", **asked, part="project"))
    assert (refusal.status, refusal.code) == (422, "period_too_long")
    rows = await world.rpc(person, "read_all_analytics", **asked)
    assert sum(row["versions"] for row in rows) == 51


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"last_day": "2026-02-28"}, "bad_period"),
        ({"step": "year"}, "bad_period"),
        ({"part": "person"}, "bad_period"),
        ({"first_day": "1890-01-01"}, "bad_period"),
        ({"first_day": "2024-01-01", "step": "day"}, "period_too_long"),
        ({"first_day": "1950-01-01", "step": "month"}, "period_too_long"),
    ],
)
async def test_what_is_no_period_is_refused(world, wrong, code):
    team = await world.team()
    period = {"first_day": "2026-03-01", "last_day": "2026-03-31", **wrong}
    refusal = await refused(world.rpc(team.reader, "read_analytics", project=team.id, **period))
    assert (refusal.status, refusal.code) == (422, code)


async def test_nobody_reads_the_figures_of_a_project_that_is_not_theirs(world):
    team, other = await begun(world), await begun(world)
    await hour(world, team, team.editor, ("spec", "in_progress", 0), ("spec", "complete", 1))
    await world.write(team.editor, team.id, "a.md", "a")
    await world.write(team.owner, team.id, "a.md", "b", base=(await world.sql(
        "select head from public.documents where project_id = $1", team.id))[0]["head"])  # fmt: skip
    period = {"first_day": "2026-01-01", "last_day": "2030-01-01"}
    refusal = await refused(world.rpc(other.owner, "read_analytics", project=team.id, **period))
    assert (refusal.status, refusal.code) == (404, "project_not_found")
    for person in (other.owner, team.outsider):
        async with world.as_person(person) as conn:
            for table in ("analytics_counts", "analytics_times", "analytics_contested"):
                found = await conn.fetchval(
                    f"select count(*) from public.{table} where project_id = $1", team.id
                )
                assert found == 0, table
            # The function behind the exposed ones, asked with ids of others.
            told = await conn.fetchval(
                "select private.read_rollups(array[$1::text::uuid], '2026-01-01', '2030-01-01', null, null)",
                team.id,
            )
            assert '"versions": 0' in told
            assert '"stages_completed": 0' in told
    rows = await world.rpc(other.owner, "read_all_analytics", **period, part="project")
    assert {row["project"]["id"] for row in rows} <= {other.id}
    assert sum(row["versions"] for row in rows) == 0
    async with world.as_person(team.reader) as conn:
        assert (
            await conn.fetchval(
                "select count(*) from public.analytics_contested where project_id = $1", team.id
            )
            == 1
        )


@pytest.mark.parametrize("table", ["analytics_counts", "analytics_times", "analytics_contested"])
@pytest.mark.parametrize("role", ["authenticated", "service_role", "anon"])
async def test_nobody_writes_a_rollup(world, table, role):
    team = await world.team()
    for statement in (f"delete from public.{table}", f"update public.{table} set project_id = project_id",
                      f"insert into public.{table} (project_id) values ('{team.id}')", f"truncate public.{table}"):  # fmt: skip
        async with world.acting(role, team.owner.claims) as conn:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await conn.execute(statement)


@pytest.mark.parametrize(
    "call",
    [
        "private.rebuild_rollups('{project}')",
        "private.add_facts('{{}}')",
        "private.stage_facts('{{}}', '{{}}')",
        "private.version_facts('{project}', '{{}}')",
        "(select count(*) from private.rollup_pauses)",
    ],
)
async def test_nobody_counts_anew_or_pauses_the_counting(world, call):
    team = await world.team()
    for role in ("authenticated", "service_role", "anon"):
        async with world.acting(role, team.owner.claims) as conn:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await conn.execute(f"select {call.format(project=team.id)}")
