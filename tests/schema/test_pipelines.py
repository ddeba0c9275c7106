"""Stage reports under plain SQL: what may follow what, who may report, what time means, what nobody gets around."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio

from tests.schema.test_agents import agent_of
from tests.schema.world import Person, refused
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from tests.schema.world import Refusal, Team, World

STATES = ("pending", "in_progress", "complete", "failed", "skipped")
AFTER = {
    "pending": ["in_progress", "skipped"],
    "in_progress": ["in_progress", "complete", "failed", "skipped", "pending"],
    "failed": ["in_progress", "skipped"],
    "complete": ["in_progress"],
    "skipped": ["in_progress"],
}
WAY_TO = {
    "pending": (),
    "in_progress": ("in_progress",),
    "complete": ("in_progress", "complete"),
    "failed": ("in_progress", "failed"),
    "skipped": ("skipped",),
}
CLEAN = {"checks": 12, "errors": 0, "warnings": 3, "requires_input": 0}
NO_PRIVILEGE = "42501"


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


@pytest_asyncio.fixture
async def team(world: World) -> Team:
    team = await world.team()
    await world.rpc(team.editor, "create_session", project=team.id, slug="s")
    return team


async def report(
    world: World, team: Team, state: str, *, by: Person | None = None, stage: str = "spec", **more: Any
) -> dict[str, Any]:
    asked = {"project": team.id, "session": "s", "stage": stage, "state": state, **more}
    return dict(await world.rpc(by or team.editor, "report_stage", **asked))


async def denied(world: World, team: Team, state: str, **more: Any) -> Refusal:
    return await refused(report(world, team, state, **more))


async def standing(world: World, team: Team, stage: str = "spec") -> dict[str, Any]:
    read = await world.rpc(team.reader, "read_stages", project=team.id, session="s")
    return next(each for each in read["stages"] if each["stage"] == stage)


def moment(seconds: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


# What may follow what ------------------------------------------------------------------------------------


async def test_a_session_begins_with_seven_pending_stages(world, team):
    read = await world.rpc(team.reader, "read_stages", project=team.id, session="s")
    assert [each["stage"] for each in read["stages"]] == [
        "intent", "context", "spec", "plan", "tasks", "implementation", "feedback",
    ]  # fmt: skip
    assert {each["state"] for each in read["stages"]} == {"pending"}
    assert {each["report"] for each in read["stages"]} == {None}
    assert read["session"]["slug"] == "s"


@pytest.mark.parametrize("state", STATES)
async def test_only_what_the_table_says_may_follow(world, team, state):
    for n, wanted in enumerate(STATES):
        await world.rpc(team.editor, "create_session", project=team.id, slug=f"s{n}")
        for step in WAY_TO[state]:
            await report(world, team, step, session=f"s{n}")
        if wanted in AFTER[state]:
            made = await report(world, team, wanted, session=f"s{n}")
            assert (made["before"], made["state"], made["late"]) == (state, wanted, False)
        else:
            refusal = await denied(world, team, wanted, session=f"s{n}")
            assert (refusal.status, refusal.code) == (409, "bad_transition")
            assert refusal.detail == {
                "stage": "spec",
                "state": state,
                "wanted": wanted,
                "allowed": AFTER[state],
            }


async def test_the_documents_table_is_that_of_the_database(world):
    text = (REPOSITORY / "docs" / "pipelines.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| ((?:`[a-z_]+`(?:, )?)+) \|", text, re.MULTILINE)
    told = {state: re.findall(r"[a-z_]+", after) for state, after in rows}
    assert told == AFTER
    for state in STATES:
        held = "select array_to_json(private.states_after($1::text::public.stage_state))::text"
        assert json.loads(await world.one(held, state)) == AFTER[state]


async def test_progress_is_a_refresh_and_since_stays(world, team):
    first = await report(world, team, "in_progress", run="r1")
    second = await report(world, team, "in_progress", run="r1", **CLEAN)
    now = await standing(world, team)
    assert (now["since"], now["report"]["id"]) == (first["at"], second["id"])
    assert now["report"]["validation"] == CLEAN
    assert now["allowed"] == AFTER["in_progress"]
    done = await report(world, team, "complete", run="r1")
    assert (await standing(world, team))["since"] == done["at"]


# Time ----------------------------------------------------------------------------------------------------


async def test_a_late_report_is_history_and_takes_nothing_back(world, team):
    await report(world, team, "in_progress", at=moment(-100))
    done = await report(world, team, "complete", at=moment(-50))
    late = await report(world, team, "failed", at=moment(-80))
    assert (late["late"], late["before"], late["number"]) == (True, "in_progress", 3)
    now = await standing(world, team)
    assert (now["state"], now["since"], now["report"]["id"]) == ("complete", done["at"], done["id"])
    told = await world.rpc(team.reader, "list_stage_reports", project=team.id, session="s")
    assert [each["number"] for each in told] == [3, 2, 1]


async def test_a_late_report_follows_what_held_at_its_time(world, team):
    await report(world, team, "in_progress", at=moment(-100))
    await report(world, team, "complete", at=moment(-50))
    refusal = await denied(world, team, "complete", at=moment(-120))
    assert (refusal.code, refusal.detail["state"]) == ("bad_transition", "pending")


async def test_a_late_report_may_move_when_the_present_state_began(world, team):
    await report(world, team, "in_progress", at=moment(-100))
    again = await report(world, team, "in_progress", at=moment(-50))
    assert when((await standing(world, team))["since"]) < when(again["at"])
    await report(world, team, "failed", at=moment(-80))
    assert (await standing(world, team))["since"] == again["at"]
    earlier = await report(world, team, "in_progress", at=moment(-60))
    assert (await standing(world, team))["since"] == earlier["at"]


async def test_of_reports_of_one_time_the_last_recorded_is_the_newest(world, team):
    """The present state did not hold before another one of its own time: a late report moves `since` up to there."""
    first, then = moment(-100), moment(-50)
    await report(world, team, "in_progress", at=first)
    await report(world, team, "failed", at=then)
    begun = await report(world, team, "in_progress", at=then)
    assert not begun["late"]
    await report(world, team, "in_progress", at=moment(-70))
    assert (await standing(world, team))["since"] == begun["at"]


async def test_what_is_reported_without_a_time_is_now(world, team):
    made = await report(world, team, "in_progress", started_at=moment(-500))
    assert made["at"] == made["recorded_at"]
    assert when(made["started_at"]) < when(made["at"])


async def test_a_clock_that_is_a_little_ahead_says_now_and_no_future_is_told(world, team):
    made = await report(world, team, "in_progress", at=moment(30), started_at=moment(30))
    assert made["at"] == made["started_at"] == made["recorded_at"]
    after = await report(world, team, "complete")
    assert not after["late"]
    for field in ("at", "started_at", "finished_at"):
        assert (await denied(world, team, "in_progress", **{field: moment(3600)})).code == "bad_value"
        assert (
            await denied(world, team, "in_progress", **{field: "1800-01-01T00:00:00Z"})
        ).code == "bad_value"


async def test_a_stage_starts_before_it_finishes(world, team):
    await report(world, team, "in_progress")
    refusal = await denied(world, team, "complete", started_at=moment(-1), finished_at=moment(-2))
    assert (refusal.status, refusal.code) == (422, "bad_value")


# Who -----------------------------------------------------------------------------------------------------


async def test_editors_report_and_nobody_below(world, team):
    for person in (team.reviewer, team.reader):
        refusal = await denied(world, team, "in_progress", by=person)
        assert (refusal.status, refusal.code) == (403, "role_too_low")
    assert (await denied(world, team, "in_progress", by=team.outsider)).code == "project_not_found"
    assert (await report(world, team, "in_progress", by=team.owner))["reporter"]["id"] == team.owner.id


async def test_an_editor_of_folders_reports_of_the_sessions_below_them(world, team):
    await world.rpc(
        team.owner, "set_folders", project=team.id, person=team.editor.handle, folders="{sessions/other}"
    )
    refusal = await denied(world, team, "in_progress")
    assert (refusal.status, refusal.code) == (403, "outside_folders")
    await world.rpc(
        team.owner, "set_folders", project=team.id, person=team.editor.handle, folders="{sessions/s}"
    )
    assert (await report(world, team, "in_progress"))["state"] == "in_progress"


async def test_an_agents_report_says_so(world, team):
    agent = await world.person("agent", app_metadata={"verso_agent": "spec-writer"})
    await world.rpc(team.owner, "set_member", project=team.id, person=agent.handle, role="editor")
    made = await report(world, team, "in_progress", by=agent)
    assert (made["actor"], made["agent"], made["on_behalf_of"]) == ("agent", "spec-writer", None)
    registered = await agent_of(world, team, "planner")
    made = await report(world, team, "in_progress", by=registered)
    assert (made["actor"], made["agent"], made["on_behalf_of"]["id"]) == ("agent", "planner", team.owner.id)
    await world.rpc(team.owner, "revoke_agent", project=team.id, agent="planner")
    assert (await denied(world, team, "complete", by=registered)).code == "project_not_found"


async def test_an_owner_imports_what_older_records_say(world, team):
    refusal = await denied(world, team, "complete", imported=True)
    assert (refusal.status, refusal.code) == (403, "role_too_low")
    made = await report(world, team, "complete", by=team.owner, imported=True)
    assert (made["actor"], made["before"], made["state"]) == ("import", "pending", "complete")
    # Once there is a report, an import is held to the table like any other.
    assert (await denied(world, team, "failed", by=team.owner, imported=True)).code == "bad_transition"


async def test_an_archived_project_takes_no_reports(world, team):
    await world.rpc(team.owner, "update_project", project=team.id, archived=True)
    assert (await denied(world, team, "in_progress")).code == "project_archived"


# Once, and only on what one has read ---------------------------------------------------------------------


async def test_the_same_report_under_the_same_key_is_written_once(world, team):
    asked = {"run": "r1", "idempotency_key": "k1", "note": "begun"}
    first = await report(world, team, "in_progress", **asked)
    assert await report(world, team, "in_progress", **asked) == first
    refusal = await denied(world, team, "in_progress", **{**asked, "note": "other"})
    assert (refusal.status, refusal.code) == (409, "idempotency_key_reused")
    # A key is its caller's: somebody else's is another one.
    assert (await report(world, team, "in_progress", by=team.owner, **asked))["id"] != first["id"]


async def test_a_report_on_what_one_has_read_is_refused_when_there_is_a_newer_one(world, team):
    first = await report(world, team, "in_progress", expected="none")
    refusal = await denied(world, team, "in_progress", expected="none")
    assert (refusal.status, refusal.code) == (412, "stage_moved")
    assert refusal.detail == {"stage": "spec", "state": "in_progress", "report": first["id"]}
    await report(world, team, "complete", expected=first["id"])
    assert (await denied(world, team, "in_progress", expected=first["id"])).code == "stage_moved"


async def test_of_many_that_complete_at_once_one_does(world, team):
    await report(world, team, "in_progress")
    answers = await asyncio.gather(
        *(report(world, team, "complete", run=f"r{n}") for n in range(12)), return_exceptions=True
    )
    made = [each for each in answers if isinstance(each, dict)]
    assert len(made) == 1
    assert {error.args[0] for error in answers if isinstance(error, asyncpg.PostgresError)} == {
        "bad_transition"
    }
    assert (await standing(world, team))["report"]["id"] == made[0]["id"]


# What was used -------------------------------------------------------------------------------------------


async def test_versions_are_named_by_hash_or_by_path(world, team):
    intent = await world.write(team.editor, team.id, "sessions/s/intents/intent.md", "why")
    spec = await world.write(team.editor, team.id, "sessions/s/specs/spec.md", "what")
    made = await report(
        world,
        team,
        "in_progress",
        consumed=[intent["hash"], {"path": intent["path"]}],
        produced=[{"path": spec["path"]}],
    )
    assert made["consumed"] == [
        {"version": intent["hash"], "document": intent["document"], "number": 1, "path": intent["path"]}
    ]
    assert [each["version"] for each in made["produced"]] == [spec["hash"]]


async def test_versions_of_others_and_of_nobody_are_not_used(world, team):
    other = await world.team()
    foreign = await world.write(other.editor, other.id, "a.md", "theirs")
    for used in ([foreign["hash"]], ["0" * 64], ["x"]):
        assert (await denied(world, team, "in_progress", consumed=used)).code == "version_not_found"
    assert (
        await denied(world, team, "in_progress", produced=[{"path": "a.md"}])
    ).code == "document_not_found"
    for used in ({}, [7], [{}], [{"path": 7}], [None], ["x"] * 1001, "text"):
        refusal = await refused(
            world.rpc(
                team.editor, "report_stage", project=team.id, session="s", stage="spec", state="in_progress",
                consumed=json.dumps(used),
            )
        )  # fmt: skip
        assert (refusal.status, refusal.code) in {(422, "bad_value"), (404, "version_not_found")}
    assert await world.one("select count(*) from public.stage_events where project_id = $1", team.id) == 0


@pytest.mark.parametrize(
    "odd",
    [
        {"checks": 1},
        {**CLEAN, "errors": -1},
        {"run": "r" * 201},
        {"run": "a\nb"},
        {"note": "n" * 4097},
        {"state": None},
        {"stage": None},
    ],
    ids=["half", "below none", "long run", "two lines", "long note", "no state", "no stage"],
)
async def test_what_a_report_may_not_say(world, team, odd):
    asked = {"project": team.id, "session": "s", "stage": "spec", "state": "in_progress", **odd}
    refusal = await refused(world.rpc(team.editor, "report_stage", **asked))
    assert (refusal.status, refusal.code) == (422, "bad_value")


# Rules ---------------------------------------------------------------------------------------------------


async def test_a_stage_is_complete_only_with_its_document(world, team):
    await world.rpc(team.owner, "set_rules", project=team.id, completion_needs_document=True)
    await report(world, team, "in_progress")
    await world.write(team.editor, team.id, "sessions/s/specs/notes.md", "not the spec")
    refusal = await denied(world, team, "complete")
    assert (refusal.status, refusal.code) == (409, "document_needed")
    assert refusal.detail["path"] == "sessions/s/specs/spec.md"
    await world.write(team.editor, team.id, "sessions/s/specs/spec.md", "what")
    assert (await report(world, team, "complete"))["state"] == "complete"


async def test_a_stage_is_complete_only_when_it_validates(world, team):
    await world.rpc(team.owner, "set_rules", project=team.id, completion_needs_validation=True)
    await report(world, team, "in_progress", **CLEAN)
    for validation in ({}, {**CLEAN, "errors": 1}, {**CLEAN, "requires_input": 2}):
        refusal = await denied(world, team, "complete", **validation)
        assert (refusal.status, refusal.code) == (409, "validation_needed")
    assert (await report(world, team, "complete", **CLEAN))["validation"] == CLEAN


async def test_a_stage_is_complete_only_when_its_documents_are_approved(world, team):
    await world.rpc(team.owner, "set_rules", project=team.id, completion_needs_approval=True)
    spec = await world.write(team.editor, team.id, "sessions/s/specs/spec.md", "what")
    await world.write(team.editor, team.id, "sessions/s/plans/plan.md", "another stage's")
    await report(world, team, "in_progress")
    refusal = await denied(world, team, "complete")
    assert (refusal.status, refusal.code) == (409, "approval_needed")
    assert [each["path"] for each in refusal.detail["versions"]] == ["sessions/s/specs/spec.md"]
    await world.rpc(team.reviewer, "create_review", version=spec["hash"], verdict="approve")
    assert (await standing(world, team))["documents"][0]["review"] == "approved"
    assert (await report(world, team, "complete"))["state"] == "complete"
    # What is complete stays so when its document goes on; to say so again, it has to be approved again.
    await world.write(team.editor, team.id, "sessions/s/specs/spec.md", "more", base=spec["hash"])
    assert (await standing(world, team))["state"] == "complete"
    await report(world, team, "in_progress")
    assert (await denied(world, team, "complete")).code == "approval_needed"


async def test_rules_are_for_whoever_writes_the_row(world, team):
    """The owner of the tables inserts by hand, and the trigger asks the same."""
    await world.rpc(team.owner, "set_rules", project=team.id, completion_needs_document=True)
    await report(world, team, "in_progress")
    forged = """insert into public.stage_events select gen_random_uuid(), e.project_id, e.session_id, e.stage, e.number + 1,
        $2::text::public.stage_state, e.state, false, null, e.actor_id, e.actor, e.agent, e.on_behalf_of, null, null, now(), now(),
        null, null, null, null, null, 1, null, e.request_hash
        from public.stage_events e where e.project_id = $1::uuid"""
    with pytest.raises(asyncpg.PostgresError, match="document_needed"):
        await world.sql(forged, team.id, "complete")
    await report(world, team, "skipped")
    with pytest.raises(asyncpg.PostgresError, match="bad_transition"):
        await world.sql(forged + " order by e.number desc limit 1", team.id, "failed")


# Attacks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "editor", "reader", "outsider", "anon", "service_role"])
async def test_nobody_writes_reports_or_stages_by_hand(world, team, role):
    await report(world, team, "in_progress")
    person = getattr(team, role, None)
    for sql in (
        "insert into public.stage_events select * from public.stage_events",
        "update public.stage_events set state = 'complete'",
        "delete from public.stage_events",
        "update public.stages set state = 'complete'",
        "insert into public.stages select * from public.stages",
        "delete from public.stages",
        "insert into public.stage_event_versions select * from public.stage_event_versions",
        "truncate public.stages",
        "select private.keep_stage()",
        "select private.restore_stage_events(gen_random_uuid(), 0)",
        "alter table public.stages disable trigger all",
    ):
        context = world.as_person(person) if person else world.acting(role, {"role": role})
        with pytest.raises(asyncpg.PostgresError) as caught:
            async with context as conn:
                await conn.execute(sql)
        assert caught.value.sqlstate == NO_PRIVILEGE, sql
    assert (await standing(world, team))["state"] == "in_progress"


async def test_the_tables_owner_rewrites_no_report(world, team):
    await report(world, team, "in_progress")
    for sql in ("update public.stage_events set run = 'x'", "delete from public.stage_events"):
        with pytest.raises(asyncpg.PostgresError, match="immutable"):
            await world.sql(sql)
    rebuilt = "insert into public.stage_events select * from public.stage_events where project_id = $1::uuid"
    with pytest.raises(asyncpg.PostgresError, match="broken_chain"):
        await world.sql(rebuilt, team.id)


async def test_strangers_see_nothing_of_stages(world, team):
    made = await report(world, team, "in_progress")
    other = await world.team()
    for function, asked in (
        ("read_stages", {"project": team.id, "session": "s"}),
        ("list_stage_reports", {"project": team.id, "session": "s"}),
        ("list_pipelines", {"project": team.id}),
    ):
        refusal = await refused(world.rpc(other.owner, function, **asked))
        assert (refusal.status, refusal.code) == (404, "project_not_found")
    refusal = await refused(world.rpc(other.owner, "read_stage_report", report=made["id"]))
    assert (refusal.status, refusal.code) == (404, "report_not_found")
    assert await world.rpc(other.owner, "list_all_pipelines") == []
    async with world.as_person(other.owner) as conn:
        for table in ("stage_events", "stages", "stage_event_versions", "stage_report_details"):
            assert await conn.fetchval(f"select count(*) from public.{table}") == 0


# Boards --------------------------------------------------------------------------------------------------


async def test_a_report_is_told_as_an_event(world, team):
    made = await report(world, team, "in_progress", run="r1")
    event = (
        await world.sql(
            "select kind, payload::text, sequence from public.events where project_id = $1 order by sequence desc limit 1",
            team.id,
        )
    )[0]
    payload = json.loads(event["payload"])
    assert (event["kind"], event["sequence"]) == ("stage.reported", made["sequence"])
    assert payload == {
        "session": made["session"], "slug": "s", "stage": "spec", "report": made["id"], "before": "pending",
        "state": "in_progress", "run": "r1", "late": False,
    }  # fmt: skip


async def test_the_board_of_a_project_is_paged_and_filtered(world, team):
    for slug in ("a", "b", "c"):
        await world.rpc(team.editor, "create_session", project=team.id, slug=slug, status="in_progress")
    await report(world, team, "in_progress", session="b", run="r7")
    await report(world, team, "in_progress", session="c", stage="plan")

    async def slugs(**more: Any) -> list[str]:
        found = await world.rpc(team.reader, "list_pipelines", project=team.id, **more)
        return [each["session"]["slug"] for each in found]

    assert await slugs() == ["a", "b", "c", "s"]
    assert await slugs(page_size=2) == ["a", "b"]
    assert await slugs(page_size=2, after="b") == ["c", "s"]
    assert await slugs(status="draft") == ["s"]
    assert await slugs(state="in_progress") == ["b", "c"]
    assert await slugs(state="in_progress", stage="plan") == ["c"]
    found = await world.rpc(team.reader, "list_pipelines", project=team.id, state="in_progress", stage="spec")
    cell = found[0]["stages"][2]
    assert (cell["stage"], cell["state"], cell["run"], cell["actor"]) == (
        "spec",
        "in_progress",
        "r7",
        "human",
    )
    assert found[0]["project"] == {"id": team.id, "slug": team.slug, "name": team.slug}


async def test_the_board_of_all_projects_goes_from_page_to_page(world):
    reader = await world.person("reader")
    expected = []
    for name in ("p-two", "p-one"):
        team = await world.team(f"{name}-{reader.id[:6]}")
        await world.rpc(team.owner, "set_member", project=team.id, person=reader.handle, role="reader")
        for slug in ("x", "y", "z"):
            await world.rpc(team.editor, "create_session", project=team.id, slug=slug)
            expected.append((team.slug, slug))
    seen: list[tuple[str, str]] = []
    after: str | None = None
    while True:
        page = await world.rpc(reader, "list_all_pipelines", after=after, page_size=2)
        if not page:
            break
        seen += [(each["project"]["slug"], each["session"]["slug"]) for each in page]
        last = page[-1]
        after = f"{last['project']['slug']} {last['project']['id']} {last['session']['slug']}"
    assert seen == sorted(expected)
