"""Random reports, late and at once: a model says which are taken, and the stages equal a recount of the reports.

The recount is the rule of docs/pipelines.md in a few lines, told by nothing but the rows of stage_events.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.schema.test_pipelines import AFTER, STATES
from tests.schema.world import Refusal, World, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack import Stack

STAGES = ("spec", "spec", "spec", "plan")
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
MINUTES = st.sampled_from([*range(5)] * 4 + [None])
"""When it held, in minutes from a moment in the past, so that many are late and some at the same time; None is now."""
OFTEN = ("in_progress", "in_progress", "failed", *STATES)
REPORT = st.tuples(st.sampled_from(STAGES), st.sampled_from(OFTEN), MINUTES)

ROWS = """select stage::text, number, state::text, before::text, late, at, recorded_at, actor::text from public.stage_events
          where project_id = $1::uuid order by number"""
HELD = "select stage::text, state::text, since, at, report from public.stages where project_id = $1::uuid"


def state_at(rows: list[Any], moment: datetime) -> str:
    """The state of the newest of these reports at a moment, by (at, number); pending before the first."""
    known = [row for row in rows if row["at"] <= moment]
    return str(max(known, key=lambda row: (row["at"], row["number"]))["state"]) if known else "pending"


def recount(rows: list[Any]) -> tuple[str, datetime, datetime]:
    """State, since when, and the newest report's time: from all reports of one stage."""
    ordered = sorted(rows, key=lambda row: (row["at"], row["number"]))
    newest = ordered[-1]
    since = newest["at"]
    for row in reversed(ordered):
        if row["state"] != newest["state"]:
            break
        since = row["at"]
    return newest["state"], since, newest["at"]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """A loop of this module's own: a state machine is no coroutine."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def own_world(stack: Stack, runner: asyncio.Runner) -> Iterator[World]:
    async def connect() -> asyncpg.Pool:
        return await asyncpg.create_pool(stack.dsn("supabase_admin"), min_size=1, max_size=6)

    pool = runner.run(connect())
    yield World(stack, pool)
    runner.run(pool.close())


def machine(world: World, runner: asyncio.Runner) -> type[RuleBasedStateMachine]:
    class Reports(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.team = runner.run(world.team())
            made = world.rpc(self.team.editor, "create_session", project=self.team.id, slug="s")
            self.session = runner.run(made)["id"]

        async def report(self, stage: str, state: str, minutes: int | None, **more: Any) -> Any:
            at = None if minutes is None else (FIRST + timedelta(minutes=minutes)).isoformat()
            asked = {"project": self.team.id, "session": "s", "stage": stage, "state": state, "at": at}
            return await world.rpc(self.team.owner, "report_stage", **asked, **more)

        def rows(self) -> list[Any]:
            return runner.run(world.sql(ROWS, self.team.id))

        @rule(asked=REPORT, imported=st.booleans())
        def reports(self, asked: tuple[str, str, int | None], imported: bool) -> None:
            stage, state, minutes = asked
            known = [row for row in self.rows() if row["stage"] == stage]
            moment = datetime.now(UTC) if minutes is None else FIRST + timedelta(minutes=minutes)
            before = state_at(known, moment)
            if state in AFTER[before] or (imported and not known):
                made = runner.run(self.report(stage, state, minutes, imported=imported))
                assert (made["before"], made["state"]) == (before, state)
                assert made["late"] == any(row["at"] > moment for row in known)
            else:
                refusal: Refusal = runner.run(refused(self.report(stage, state, minutes, imported=imported)))
                assert (refusal.code, refusal.detail["state"]) == ("bad_transition", before)

        @rule(asked=st.lists(REPORT, min_size=2, max_size=5))
        def reports_at_once(self, asked: list[tuple[str, str, int | None]]) -> None:
            async def together() -> list[Any]:
                return await asyncio.gather(*(self.report(*each) for each in asked), return_exceptions=True)

            count = len(self.rows())
            answers = runner.run(together())
            made = [each for each in answers if isinstance(each, dict)]
            assert {error.args[0] for error in answers if isinstance(error, BaseException)} <= {
                "bad_transition"
            }
            assert sorted(each["number"] for each in made) == list(range(count + 1, count + len(made) + 1))

        @invariant()
        def stages_equal_a_recount(self) -> None:
            rows = self.rows()
            held = {row["stage"]: row for row in runner.run(world.sql(HELD, self.team.id))}
            assert len(held) == 7
            for stage, row in held.items():
                reports = [each for each in rows if each["stage"] == stage]
                if reports:
                    assert (row["state"], row["since"], row["at"]) == recount(reports), stage
                else:
                    assert (row["state"], row["report"]) == ("pending", None)

        @invariant()
        def each_report_followed_from_what_was_known(self) -> None:
            rows = self.rows()
            assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
            assert [row["recorded_at"] for row in rows] == sorted(row["recorded_at"] for row in rows)
            for n, row in enumerate(rows):
                known = [each for each in rows[:n] if each["stage"] == row["stage"]]
                assert row["before"] == state_at(known, row["at"])
                assert row["late"] == any(each["at"] > row["at"] for each in known)
                assert row["state"] in AFTER[row["before"]] or (row["actor"] == "import" and not known)

        def teardown(self) -> None:
            """Every report was told as an event, once, in the same order."""
            told = runner.run(
                world.sql(
                    """select payload::text from public.events where project_id = $1::uuid and kind = 'stage.reported'
                       order by sequence""",
                    self.team.id,
                )
            )
            events = [json.loads(each["payload"]) for each in told]
            keys = ("stage", "state", "before", "late")
            assert [tuple(e[k] for k in keys) for e in events] == [
                tuple(row[k] for k in keys) for row in self.rows()
            ]

    return Reports


def test_stages_equal_a_recount_after_random_reports(own_world: World, runner: asyncio.Runner) -> None:
    run_state_machine_as_test(
        machine(own_world, runner),
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
