"""Reviews under plain SQL: who may say what, what counts, and what nobody gets around."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio

from tests.schema.world import put, refused

if TYPE_CHECKING:
    from tests.schema.world import Person, Team, World

TABLES = ["comments", "comment_texts", "comment_acts", "reviews"]
NO_RULES = dict.fromkeys(
    (
        "tags_need_approval",
        "completion_needs_approval",
        "completion_needs_document",
        "completion_needs_validation",
    ),
    False,
)


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


@pytest_asyncio.fixture
async def version(world: World, team: Team) -> str:
    return str((await world.write(team.editor, team.id, "a.md", "one\ntwo\n"))["hash"])


@pytest_asyncio.fixture
async def team(world: World) -> Team:
    return await world.team()


async def state(world: World, person: Person, version: str) -> str:
    return str((await world.rpc(person, "list_reviews", version=version))["state"])


async def say(world: World, person: Person, version: str, verdict: str) -> dict[str, Any]:
    return dict(await world.rpc(person, "create_review", version=version, verdict=verdict))


async def remark(world: World, person: Person, version: str, **more: Any) -> dict[str, Any]:
    return dict(await world.rpc(person, "create_comment", **{"version": version, "body": "Why?", **more}))


async def archive(world: World, team: Team) -> None:
    await world.rpc(team.owner, "update_project", project=team.id, archived=True)


# Who ---------------------------------------------------------------------------------------------------


async def test_readers_read_and_strangers_find_nothing(world, team, version):
    made = await remark(world, team.reviewer, version)
    for function, arguments in (
        ("create_review", {"version": version, "verdict": "approve"}),
        ("create_comment", {"version": version, "body": "x"}),
        ("reply", {"comment": made["id"], "body": "x"}),
        ("act_on_comment", {"comment": made["id"], "act": "resolve"}),
    ):
        low = await refused(world.rpc(team.reader, function, **arguments))
        assert (low.status, low.code) == (403, "role_too_low"), function
        unknown = {"version": "0" * 64} if "version" in arguments else {"comment": str(uuid.uuid4())}
        strange = await refused(world.rpc(team.outsider, function, **arguments))
        assert strange == await refused(world.rpc(team.outsider, function, **{**arguments, **unknown}))
        assert strange.status == 404
    assert (await world.rpc(team.reader, "read_comment", comment=made["id"]))["body"] == "Why?"


async def test_the_private_functions_check_as_well(world, team, version):
    """`authenticated` may call them by SQL: naming another project's things gains nothing."""
    other = await world.team()
    theirs = (await world.write(other.editor, other.id, "b.md", "x"))["hash"]
    comment = await remark(world, other.reviewer, theirs)
    calls = [
        ("private.create_review($1, $2, 'approve', '', null)", theirs),
        ("private.create_comment($1, $2, 'x', null, null, null, 'k')", theirs),
        ("private.reply($1, $2, 'x', null)", comment["id"]),
        ("private.act_on_comment($1, $2, 'retract')", comment["id"]),
        ("private.act_on_comment($1, $2, null)", comment["id"]),
    ]
    for call, target in calls:
        for project in (team.id, other.id):
            with pytest.raises(asyncpg.PostgresError, match="not_found"):
                async with world.as_person(team.owner) as conn:
                    await conn.fetch(f"select {call}", project, target)


async def test_an_archived_project_takes_no_reviews(world, team, version):
    made = await remark(world, team.reviewer, version)
    await archive(world, team)
    for call in (
        say(world, team.reviewer, version, "approve"),
        remark(world, team.reviewer, version),
        world.rpc(team.reviewer, "reply", comment=made["id"], body="x"),
        world.rpc(team.reviewer, "act_on_comment", comment=made["id"], act="resolve"),
        world.rpc(team.reviewer, "act_on_comment", comment=made["id"], act="retract"),
        world.rpc(team.owner, "set_rules", project=team.id, tags_need_approval=True),
    ):
        assert (await refused(call)).code == "project_archived"
    assert len(await world.rpc(team.reader, "list_comments", version=version)) == 1


# Append only -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "reviewer", "anon", "service_role"])
@pytest.mark.parametrize("table", TABLES)
async def test_nobody_writes_the_tables(world, team, version, table, role):
    await say(world, team.reviewer, version, "approve")
    for sql in (
        f"insert into public.{table} select * from public.{table}",
        f"update public.{table} set project_id = project_id",
        f"delete from public.{table}",
        f"truncate public.{table} cascade",
    ):
        who = world.acting(role) if role in {"anon", "service_role"} else world.as_person(getattr(team, role))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with who as conn:
                await conn.execute(sql)


@pytest.mark.parametrize("table", TABLES)
async def test_their_owner_rewrites_nothing_either(world, team, version, table):
    await world.rpc(team.reviewer, "create_review", version=version, verdict="approve", body="b")
    made = await remark(world, team.reviewer, version)
    await world.rpc(team.reviewer, "act_on_comment", comment=made["id"], act="resolve")
    for sql in (
        f"update public.{table} set project_id = project_id",
        f"delete from public.{table}",
        f"truncate public.{table} cascade",
    ):
        with pytest.raises(asyncpg.PostgresError, match="immutable"):
            await world.sql(sql)


async def test_a_retracted_text_is_hidden_from_everybody_and_its_place_is_kept(world, team, version):
    first = await remark(world, team.reviewer, version, side="new", first_line=1, last_line=2)
    await world.rpc(team.editor, "reply", comment=first["id"], body="Because.")
    denied = await refused(world.rpc(team.owner, "act_on_comment", comment=first["id"], act="retract"))
    assert (denied.status, denied.code) == (403, "not_the_author")
    for _ in range(2):
        after = await world.rpc(team.reviewer, "act_on_comment", comment=first["id"], act="retract")
    assert after["body"] is None
    assert after["retracted_at"]
    shown = await world.rpc(team.owner, "list_comments", version=version)
    assert [(each["body"], each["first_line"]) for each in shown] == [(None, 1), ("Because.", 1)]
    for person in team.members:
        async with world.as_person(person) as conn:
            rows = await conn.fetch("select * from public.comment_texts where comment_id = $1", first["id"])
        assert rows == []


async def test_who_became_a_reader_may_still_take_back_what_they_said(world, team, version):
    made = await remark(world, team.reviewer, version)
    await world.rpc(team.owner, "set_member", project=team.id, person=team.reviewer.handle, role="reader")
    after = await world.rpc(team.reviewer, "act_on_comment", comment=made["id"], act="retract")
    assert after["body"] is None


async def test_every_act_is_one_event_and_a_repeated_one_is_none(world, team, version):
    before = await world.one("select event_sequence from public.projects where id = $1", team.id)
    made = await remark(world, team.reviewer, version)
    for act in ("resolve", "resolve", "reopen", "reopen", "resolve", "retract", "retract"):
        await world.rpc(team.reviewer, "act_on_comment", comment=made["id"], act=act)
    await world.rpc(team.reviewer, "create_review", version=version, verdict="approve", body="Fine.")
    rows = await world.sql(
        "select kind, actor_id::text, payload::text from public.events where project_id = $1 and sequence > $2 order by sequence",
        team.id,
        before,
    )
    assert [row["kind"] for row in rows] == [
        "comment.added",
        "comment.resolved",
        "comment.reopened",
        "comment.resolved",
        "comment.retracted",
        "comment.added",
        "review.added",
    ]
    assert {row["actor_id"] for row in rows} == {team.reviewer.id}
    assert not [row for row in rows if "Fine" in row["payload"] or "Why" in row["payload"]]


async def test_without_an_event_there_is_no_row(world, team, version):
    made = await remark(world, team.reviewer, version)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await world.sql(
            """insert into public.comment_acts (project_id, sequence, comment_id, act, actor_id, actor)
               values ($1, 999, $2, 'resolve', $3, 'human')""",
            team.id,
            made["id"],
            team.reviewer.id,
        )


# What is said ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"body": ""}, "comment_empty"),
        ({"body": " \n\t"}, "comment_empty"),
        ({"body": "é" * 32_769}, "comment_too_long"),
        ({"side": "new", "first_line": 0, "last_line": 1}, "bad_lines"),
        ({"side": "new", "first_line": 2, "last_line": 1}, "bad_lines"),
        ({"side": "new", "first_line": 2}, "bad_lines"),
        ({"first_line": 2, "last_line": 2}, "bad_lines"),
        ({"side": "old", "first_line": 1, "last_line": 1}, "bad_lines"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_no_comment_is_refused(world, team, version, more, code):
    assert (await refused(remark(world, team.reviewer, version, **more))).code == code
    assert await world.rpc(team.reader, "list_comments", version=version) == []


async def test_a_comment_may_hold_65536_bytes_of_anything(world, team, version):
    body = "\x01\x02\u2028é" * 8_192  # 7 bytes each
    body += "x" * (65_536 - len(body.encode()))
    assert (await remark(world, team.reviewer, version, body=body))["body"] == body


async def test_a_delete_has_old_lines_only(world, team, version):
    gone = await world.commit(team.editor, team.id, {"path": "a.md", "base": version, "delete": True})
    lines = {"first_line": 1, "last_line": 1}
    delete = gone["versions"][0]["hash"]
    assert (await refused(remark(world, team.reviewer, delete, side="new", **lines))).code == "bad_lines"
    assert (await remark(world, team.reviewer, delete, side="old", **lines))["side"] == "old"


async def test_an_agent_is_named(world, team, version):
    agent = await world.person("agent", app_metadata={"verso_agent": "spec-writer"})
    await world.rpc(team.owner, "set_member", project=team.id, person=agent.handle, role="reviewer")
    made = await remark(world, agent, version)
    assert (made["actor"], made["agent"]) == ("agent", "spec-writer")
    given = await say(world, agent, version, "approve")
    assert (given["actor"], given["agent"]) == ("agent", "spec-writer")


async def test_the_same_request_under_the_same_key_writes_once(world, team, version):
    first = await remark(world, team.reviewer, version, idempotency_key="k")
    calls: list[Any] = [
        lambda: remark(world, team.reviewer, version, idempotency_key="k"),
        lambda: world.rpc(team.reviewer, "reply", comment=first["id"], body="x", idempotency_key="r"),
        lambda: world.rpc(
            team.reviewer, "create_review", version=version, verdict="approve", body="y", idempotency_key="v"
        ),
    ]
    for call in calls:
        answers = await asyncio.gather(*(call() for _ in range(4)))
        assert len({each["id"] for each in answers}) == 1
    assert len(await world.rpc(team.reader, "list_comments", version=version)) == 3
    assert len((await world.rpc(team.reader, "list_reviews", version=version))["reviews"]) == 1
    others: list[Any] = [
        remark(world, team.reviewer, version, body="Else", idempotency_key="k"),
        remark(world, team.reviewer, version, side="new", first_line=1, last_line=1, idempotency_key="k"),
        world.rpc(team.reviewer, "reply", comment=first["id"], body="Why?", idempotency_key="k"),
        world.rpc(team.reviewer, "create_review", version=version, verdict="withdraw", idempotency_key="v"),
    ]
    for call in others:
        assert (await refused(call)).code == "idempotency_key_reused"
    assert (await remark(world, team.editor, version, idempotency_key="k"))["id"] != first["id"]


# What counts -------------------------------------------------------------------------------------------


async def test_nobody_approves_what_their_account_wrote_whatever_they_call_themselves(world, team):
    agent = await world.person("agent", app_metadata={"verso_agent": "spec-writer"})
    await world.rpc(team.owner, "set_member", project=team.id, person=agent.handle, role="owner")
    version = (await world.write(agent, team.id, "by-agent.md", "x"))["hash"]
    as_human = type(agent)(agent.id, agent.handle)
    for person in (agent, as_human):
        denied = await refused(say(world, person, version, "approve"))
        assert (denied.status, denied.code) == (403, "own_version")
    with pytest.raises(asyncpg.PostgresError, match="own_version"):
        await world.sql(
            """insert into public.reviews (id, project_id, sequence, version, reviewer_id, actor, verdict)
               values (gen_random_uuid(), $1, 1, $2, $3, 'human', 'approve')""",
            team.id,
            version,
            agent.id,
        )
    await say(world, team.editor, version, "approve")
    assert await state(world, team.reader, version) == "approved"


async def test_one_request_for_changes_outweighs_approvals_until_it_is_taken_back(world, team, version):
    for person in (team.reviewer, team.owner):
        await say(world, person, version, "approve")
    assert await state(world, team.reader, version) == "approved"
    await say(world, team.editor, version, "request_changes")
    assert await state(world, team.reader, version) == "changes_requested"
    await say(world, team.editor, version, "withdraw")
    assert await state(world, team.reader, version) == "approved"


async def test_a_verdict_is_about_one_version(world, team, version):
    other = (await world.write(team.editor, team.id, "b.md", "one\ntwo\n"))["hash"]
    await say(world, team.reviewer, version, "approve")
    await say(world, team.owner, other, "request_changes")
    newer = (await world.write(team.editor, team.id, "a.md", "three", base=version))["hash"]
    states = [await state(world, team.reader, each) for each in (version, other, newer)]
    assert states == ["approved", "changes_requested", "pending"]


# Tags that need an approval ----------------------------------------------------------------------------


async def need_approval(world: World, team: Team) -> None:
    answer = await world.rpc(team.owner, "set_rules", project=team.id, tags_need_approval=True)
    assert answer == {**NO_RULES, "tags_need_approval": True}


async def test_only_owners_set_rules(world, team):
    for person in (team.editor, team.reviewer, team.reader):
        denied = await refused(world.rpc(person, "set_rules", project=team.id, tags_need_approval=True))
        assert denied.code == "role_too_low"
    unknown = await refused(world.rpc(team.outsider, "set_rules", project=team.id, tags_need_approval=True))
    assert unknown.code == "project_not_found"
    rules = await world.rpc(team.reader, "read_rules", project=team.id)
    assert rules == NO_RULES


async def test_a_tag_on_a_version_needs_its_approval(world, team, version):
    await need_approval(world, team)
    denied = await refused(world.rpc(team.editor, "create_tag", project=team.id, name="one", at=version))
    assert (denied.status, denied.code) == (409, "approval_needed")
    assert [each["version"] for each in denied.detail["versions"]] == [version]
    await say(world, team.reviewer, version, "approve")
    await say(world, team.owner, version, "request_changes")
    denied = await refused(world.rpc(team.editor, "create_tag", project=team.id, name="one", at=version))
    assert denied.detail["versions"][0]["state"] == "changes_requested"
    await say(world, team.owner, version, "approve")
    assert (await world.rpc(team.editor, "create_tag", project=team.id, name="one", at=version))[
        "name"
    ] == "one"


async def test_a_tag_on_the_project_needs_every_live_version_at_that_change(world, team, version):
    await world.store(team.id, "b")
    change = await world.commit(team.editor, team.id, put("b.md", "b"), put("c/d.md", "b"))
    hashes = {each["path"]: each["hash"] for each in change["versions"]}
    gone = {"path": "c/d.md", "base": hashes["c/d.md"], "delete": True}
    await world.commit(team.editor, team.id, gone)
    await world.write(team.editor, team.id, "a.md", "newer", base=version)
    await need_approval(world, team)

    async def lacking(at: str) -> list[str]:
        denied = await refused(world.rpc(team.editor, "create_tag", project=team.id, name=f"t{at}", at=at))
        assert denied.code == "approval_needed"
        return [each["path"] for each in denied.detail["versions"]]

    assert await lacking("2") == ["a.md", "b.md", "c/d.md"]
    assert await lacking("3") == ["a.md", "b.md"]
    await say(world, team.reviewer, version, "approve")
    assert await lacking("2") == ["b.md", "c/d.md"]
    await say(world, team.reviewer, hashes["b.md"], "approve")
    assert (await world.rpc(team.editor, "create_tag", project=team.id, name="t3", at="3"))["change"] == 3
    assert await lacking("2") == ["c/d.md"]
    assert await lacking("4") == ["a.md"]


async def test_no_role_gives_an_unapproved_tag_past_the_rule(world, team, version):
    await need_approval(world, team)
    for values in ("'x', 1, null", f"'y', 1, '{version}'"):
        with pytest.raises(asyncpg.PostgresError, match="approval_needed"):
            await world.sql(
                f"insert into public.tags (project_id, name, change_sequence, version, created_by) values ('{team.id}', {values}, '{team.owner.id}')"
            )


async def test_the_approval_of_who_was_sent_away_counts_no_more(world, team, version):
    await need_approval(world, team)
    await say(world, team.reviewer, version, "approve")
    await world.rpc(team.owner, "remove_member", project=team.id, person=team.reviewer.handle)
    denied = await refused(world.rpc(team.editor, "create_tag", project=team.id, name="one", at=version))
    assert denied.code == "approval_needed"


async def test_without_the_rule_tags_are_as_before(world, team, version):
    await say(world, team.owner, version, "request_changes")
    assert await world.rpc(team.editor, "create_tag", project=team.id, name="one", at=version)


async def test_verdicts_and_tags_at_once_stay_in_one_order(world, team, version):
    """A tag that was given came after an approval, and before any request for changes that it didn't see."""
    await need_approval(world, team)
    await say(world, team.reviewer, version, "approve")

    async def tag(n: int) -> int | None:
        try:
            await world.rpc(team.editor, "create_tag", project=team.id, name=f"r{n}", at=version)
        except asyncpg.PostgresError:
            return None
        return n

    async def verdicts() -> None:
        for verdict in ("request_changes", "approve") * 4:
            await say(world, team.owner, version, verdict)

    await asyncio.gather(verdicts(), *(tag(n) for n in range(12)))
    rows = await world.sql(
        "select kind, payload ->> 'verdict' as verdict, actor_id::text from public.events where project_id = $1 order by sequence",
        team.id,
    )
    blocked = False
    for row in rows:
        if row["kind"] == "review.added" and row["actor_id"] == team.owner.id:
            blocked = row["verdict"] == "request_changes"
        assert not (row["kind"] == "tag.added" and blocked)
    numbers = await world.sql(
        "select sequence from public.events where project_id = $1 order by sequence", team.id
    )
    assert [row["sequence"] for row in numbers] == list(range(1, len(rows) + 1))


# Lists -------------------------------------------------------------------------------------------------


async def test_pages_go_on_after_the_last_one_seen(world, team, version):
    made = [(await remark(world, team.reviewer, version))["sequence"] for _ in range(5)]
    second = (await world.write(team.editor, team.id, "a.md", "new", base=version))["hash"]
    made.append((await remark(world, team.reviewer, second))["sequence"])
    document = (await world.rpc(team.reader, "read_comment", comment=await first_comment(world, version)))[
        "document"
    ]
    of_version, of_document, seen = [], [], 0
    while page := await world.rpc(team.reader, "list_comments", version=version, seen=seen, page_size=2):
        of_version += [each["sequence"] for each in page]
        seen = of_version[-1]
    seen = 0
    while True:
        answer = await world.rpc(
            team.reader, "list_document_comments", document=document, seen=seen, page_size=2
        )
        if not answer["comments"]:
            break
        of_document += [each["sequence"] for each in answer["comments"]]
        seen = of_document[-1]
    assert of_version == made[:5]
    assert of_document == made


async def first_comment(world: World, version: str) -> str:
    return str(
        await world.one(
            "select id from public.comments where version = $1 order by sequence limit 1", version
        )
    )


async def test_a_documents_comments_come_with_the_versions_that_their_lines_are_of(world, team, version):
    second = await world.write(team.editor, team.id, "a.md", "new", base=version)
    await remark(world, team.reviewer, second["hash"], side="old", first_line=1, last_line=1)
    await remark(world, team.reviewer, second["hash"], side="new", first_line=1, last_line=1)
    await remark(world, team.reviewer, second["hash"])
    answer = await world.rpc(team.reader, "list_document_comments", document=second["document"], at="v1")
    assert [each["source"] for each in answer["comments"]] == [version, second["hash"], None]
    assert {each["version"]["hash"] for each in answer["sources"]} == {version, second["hash"]}
    assert answer["at"]["version"]["hash"] == version


async def test_a_page_among_thousands_of_comments_costs_what_a_page_costs(world, team, version):
    """Buffers, not time. Reached by coalesce, threads cost a scan of all acts for each comment."""
    document = await world.one("select document_id from public.versions where hash = $1", version)

    async def add(first: int, last: int) -> None:
        # Rows as the functions write them, without their events: thousands of those take a while.
        async with world.pool.acquire() as conn, conn.transaction():
            await conn.execute("set local session_replication_role = replica")
            await conn.execute(
                """insert into public.comments (id, project_id, sequence, document_id, version, thread_id, author_id, actor)
                   select id, $1::text::uuid, 1000 + n, $2, $3, id, $4::text::uuid, 'human'
                   from (select n, md5($1 || n)::uuid as id from generate_series($5::int, $6::int) n) n""",
                team.id,
                document,
                version,
                team.reviewer.id,
                first,
                last,
            )
            await conn.execute(
                """insert into public.comment_acts (project_id, sequence, comment_id, act, actor_id, actor)
                   select c.project_id, 100000 + c.sequence, c.id, 'resolve', c.author_id, 'human' from public.comments c
                   where c.document_id = $1 and c.sequence between 1000 + $2::int and 1000 + $3::int and c.sequence % 2 = 0""",
                document,
                first,
                last,
            )
            # As autovacuum does after a while.
            await conn.execute("analyze public.comments, public.comment_acts")

    async def cost(resolved: bool | None) -> int:
        async with world.as_person(team.reader) as conn:
            call = "select public.list_document_comments($1, null, $2, 1100)"
            await conn.fetch(call, document, resolved)
            plan = await conn.fetchval(f"explain (analyze, buffers, format json) {call}", document, resolved)
        top = json.loads(plan)[0]["Plan"]
        return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])

    await add(1, 12_000)
    found = [await cost(resolved) for resolved in (None, False, True)]
    # Measured: 1,200 to 2,700, by what else the tables hold; with 6,000 comments as with 12,000. Above 15,000 when
    # every act is scanned.
    assert max(found) < 5_000, found


# Sessions that need an approval ------------------------------------------------------------------------


async def session(world: World, team: Team, **more: Any) -> str:
    """A session with a document of two stages each, and one of none; the rule is set."""
    made = await world.rpc(team.editor, "create_session", project=team.id, slug="s", **more)
    for path in ("specs/spec.md", "plans/plan.md", "notes.md"):
        await world.write(team.editor, team.id, f"sessions/s/{path}", path)
    await world.rpc(team.owner, "set_rules", project=team.id, completion_needs_approval=True)
    return str(made["id"])


async def complete(world: World, team: Team, person: Person | None = None) -> str:
    answer = await world.rpc(
        person or team.editor, "update_session", project=team.id, session="s", status="complete"
    )
    return str(answer["status"])


async def head(world: World, team: Team, path: str) -> str:
    return str(
        await world.one(
            "select head from public.documents where project_id = $1 and path = $2",
            team.id,
            f"sessions/s/{path}",
        )
    )


async def test_a_session_is_complete_when_all_its_stage_documents_are_approved(world, team):
    await session(world, team)
    denied = await refused(complete(world, team))
    assert (denied.status, denied.code) == (409, "approval_needed")
    assert [(each["path"], each["state"]) for each in denied.detail["versions"]] == [
        ("sessions/s/plans/plan.md", "pending"),
        ("sessions/s/specs/spec.md", "pending"),
    ]
    await say(world, team.reviewer, await head(world, team, "specs/spec.md"), "approve")
    plan = await head(world, team, "plans/plan.md")
    await say(world, team.reviewer, plan, "approve")
    await say(world, team.owner, plan, "request_changes")
    denied = await refused(complete(world, team, team.owner))
    assert [each["state"] for each in denied.detail["versions"]] == ["changes_requested"]
    await say(world, team.owner, plan, "withdraw")
    assert await complete(world, team) == "complete"


async def test_an_approval_is_of_the_version_that_is_the_head_now(world, team):
    await session(world, team)
    for path in ("specs/spec.md", "plans/plan.md"):
        await say(world, team.reviewer, await head(world, team, path), "approve")
    spec = await head(world, team, "specs/spec.md")
    newer = (await world.write(team.editor, team.id, "sessions/s/specs/spec.md", "newer", base=spec))["hash"]
    denied = await refused(complete(world, team))
    assert [each["version"] for each in denied.detail["versions"]] == [newer]
    # A document that is gone needs nobody's approval.
    await world.commit(
        team.editor, team.id, {"path": "sessions/s/specs/spec.md", "base": newer, "delete": True}
    )
    assert await complete(world, team) == "complete"


async def test_up_to_twenty_unapproved_documents_are_named(world, team):
    await session(world, team)
    for n in range(25):
        await world.write(team.editor, team.id, f"sessions/s/specs/{n:02}.md", f"{n}")
    denied = await refused(complete(world, team))
    assert len(denied.detail["versions"]) == 20


async def test_nobody_completes_past_the_rule(world, team):
    """Not by plain SQL, not as its owner, not by a session that is complete from its start."""
    made = await session(world, team)
    for person in (team.owner, team.editor, team.reviewer, team.reader):
        with pytest.raises(asyncpg.PostgresError, match=r"approval_needed|role_too_low"):
            async with world.as_person(person) as conn:
                await conn.fetch(f"select private.update_session('{team.id}', '{made}', null, 'complete')")
    for role in ("authenticated", "anon", "service_role"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.sql("update public.sessions set status = 'complete' where id = $1", made, role=role)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.sql(
                "update public.projects set completion_needs_approval = false where id = $1",
                team.id,
                role=role,
            )
    with pytest.raises(asyncpg.PostgresError, match="approval_needed"):
        await world.sql("update public.sessions set status = 'complete' where id = $1", made)
    await world.write(team.editor, team.id, "elsewhere/specs/spec.md", "x")
    early = world.rpc(
        team.editor, "create_session", project=team.id, slug="early", root="elsewhere", status="complete"
    )
    assert (await refused(early)).code == "approval_needed"
    empty = await world.rpc(team.editor, "create_session", project=team.id, slug="empty", status="complete")
    assert empty["status"] == "complete", "there is nothing to approve in it"


async def test_what_is_complete_stays_so_and_can_be_edited(world, team):
    await session(world, team)
    for path in ("specs/spec.md", "plans/plan.md"):
        await say(world, team.reviewer, await head(world, team, path), "approve")
    await complete(world, team)
    spec = await head(world, team, "specs/spec.md")
    await world.write(team.editor, team.id, "sessions/s/specs/spec.md", "newer", base=spec)
    answer = await world.rpc(team.editor, "update_session", project=team.id, session="s", title="Renamed")
    assert (answer["title"], answer["status"]) == ("Renamed", "complete")
    await world.rpc(team.editor, "update_session", project=team.id, session="s", status="in_progress")
    assert (await refused(complete(world, team))).code == "approval_needed"


async def test_one_stage_can_be_asked_for(world, team):
    made = await session(world, team)
    await say(world, team.reviewer, await head(world, team, "specs/spec.md"), "approve")
    call = "select private.require_stage_approval($1, $2, $3::public.stage)"
    for stage in ("spec", "feedback"):
        await world.sql(call, team.id, made, stage)
    for stage in ("plan", None):
        with pytest.raises(asyncpg.PostgresError, match="approval_needed"):
            await world.sql(call, team.id, made, stage)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.sql(call, team.id, made, "spec", role="authenticated")


async def test_each_rule_is_set_for_itself_and_told_as_an_event(world, team):
    for rules in ({"completion_needs_approval": True}, {"tags_need_approval": True}, {}):
        answer = await world.rpc(team.owner, "set_rules", project=team.id, **rules)
    assert answer == {**NO_RULES, "tags_need_approval": True, "completion_needs_approval": True}
    rows = await world.sql(
        "select payload::text from public.events where project_id = $1 and kind = 'project.rules_set' order by sequence",
        team.id,
    )
    assert [json.loads(row["payload"]) for row in rows] == [
        {"completion_needs_approval": True},
        {"tags_need_approval": True},
    ]


async def test_without_the_rule_sessions_are_completed_as_before(world, team):
    await session(world, team)
    await world.rpc(team.owner, "set_rules", project=team.id, completion_needs_approval=False)
    assert await complete(world, team) == "complete"
