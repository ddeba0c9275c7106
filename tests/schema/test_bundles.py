"""A project's rows out and in again elsewhere, by SQL alone; and everybody who must not, and everything that doesn't fit."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio

from tests.schema.counting import kept as rollups
from tests.schema.world import World, put, refused
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.schema.world import Team

PARTS = (
    "project", "profiles", "acquaintances", "members", "sessions", "documents", "changes", "events",
    "tags", "comments", "comment_texts", "comment_acts", "reviews", "stage_events", "erasures", "finished_erasures",
)  # fmt: skip
SERVICE = {"role": "service_role"}


@pytest_asyncio.fixture(scope="module")
async def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Another database, which knows nothing of the first."""
    with Stack(tmp_path_factory.mktemp("elsewhere")) as stack:
        async with asyncpg.create_pool(stack.dsn("supabase_admin"), min_size=1, max_size=4) as pool:
            yield World(stack, pool)


async def rows_of(world: World, team: Team, *, page_size: int = 2) -> dict[str, list[dict[str, Any]]]:
    """All rows of a project as its reader gets them, in small pages."""
    found: dict[str, list[dict[str, Any]]] = {}
    for part in PARTS:
        after: str | None = None
        found[part] = []
        while True:
            page = await world.rpc(
                team.reader, "list_rows", project=team.id, part=part, after=after, page_size=page_size
            )
            if not page:
                break
            found[part] += [entry["row"] for entry in page]
            after = str(page[-1]["key"])
    return found


async def service(world: World, function: str, **arguments: Any) -> Any:
    async with world.acting("service_role", SERVICE) as conn:
        return await world.rpc_on(conn, function, **arguments)


async def restore(
    world: World, rows: dict[str, list[dict[str, Any]]], contents: list[str], *, owner: str | None = None
) -> Any:
    project = rows["project"][0]["id"]
    begun = await service(world, "begin_restore", project=project)
    objects = []
    for content in contents:
        await world.store(project, content)
        item = put("x", content)
        objects.append(
            {"sha256": item["sha256"], "size": item["size"], "name": f"{project}/{item['sha256']}"}
        )
    for part, each in {**rows, "objects": objects}.items():
        if each:
            await service(world, "stage_restore", restore=begun["restore"], part=part, first=1, rows=each)
    return await service(world, "restore_bundle", restore=begun["restore"], owner=owner)


CONTENTS = ["one\n", "two\n", "three\n", "spec\n"]


async def lived_in(world: World) -> Team:
    """A project with moves, deletes, swaps, sessions, reviews, comments, tags, and somebody who left."""
    team = await world.team()
    editor, owner = team.editor, team.owner
    for content in CONTENTS:
        await world.store(team.id, content)
    await world.rpc(owner, "create_session", project=team.id, slug="base", type="blueprint")
    await world.rpc(owner, "create_session", project=team.id, slug="add", type="feature", parent="base")
    first = await world.commit(
        editor, team.id, put("a.md", "one\n"), put("b.md", "two\n"), put("sessions/add/specs/spec.md", "spec\n"),
        message="Begin: «ünïcode»\n\nversion " + "0" * 64 + "\n",
    )  # fmt: skip
    a, b, spec = (version["hash"] for version in first["versions"])
    swapped = await world.commit(
        editor,
        team.id,
        {"from": "a.md", "path": "b.md", "base": a},
        {"from": "b.md", "path": "a.md", "base": b},
    )
    gone = await world.commit(
        editor, team.id, {"path": "a.md", "delete": True, "base": swapped["versions"][1]["hash"]}
    )
    await world.commit(editor, team.id, put("a.md", "three\n", base=gone["versions"][0]["hash"]))
    await world.commit(
        owner,
        team.id,
        {"path": "b.md", "restore": 1, "base": swapped["versions"][0]["hash"]},
        put("c.md", "one\n"),
    )
    await world.commit(
        owner,
        team.id,
        {"from": "sessions/add/specs/spec.md", "path": "sessions/base/specs/spec.md", "base": spec},
    )
    await world.write(editor, team.id, "secret.md", "Jane Roe\n")
    asked = {"project": team.id, "content": put("x", "Jane Roe\n")["sha256"], "reason": "A name."}
    erased = await world.rpc(owner, "erase_content", **asked)
    async with world.as_person(owner) as conn:
        await conn.execute("select set_config('storage.allow_delete_query', 'true', true)")
        await conn.execute("delete from storage.objects where name = any ($1)", erased["objects"])
    await world.rpc(owner, "finish_erasure", project=team.id, erasure=erased["erasure"]["id"])
    for by, asked in (
        (editor, {"stage": "spec", "state": "in_progress", "at": "2026-03-02T09:00:00Z", "run": "r1"}),
        (editor, {"stage": "spec", "state": "complete", "at": "2026-03-02T10:00:00Z", "produced": [spec],
                  "checks": 3, "errors": 0, "warnings": 1, "requires_input": 0}),
        (editor, {"stage": "spec", "state": "failed", "at": "2026-03-02T09:30:00Z"}),
        (owner, {"stage": "intent", "state": "complete", "imported": True}),
        (owner, {"stage": "intent", "state": "in_progress", "consumed": [a, spec], "idempotency_key": "k"}),
    ):  # fmt: skip
        await world.rpc(by, "report_stage", project=team.id, session="base", **asked)
    told = await world.rpc(
        team.reviewer, "create_comment", version=spec, body="why?", side="new", first_line=1, last_line=1
    )
    thread = await world.rpc(team.editor, "reply", comment=told["id"], body="because")
    await world.rpc(team.editor, "act_on_comment", comment=thread["id"], act="retract")
    await world.rpc(team.reviewer, "create_review", version=spec, verdict="approve")
    await world.rpc(team.reviewer, "create_review", version=a, verdict="request_changes", body="no")
    await world.rpc(editor, "create_tag", project=team.id, name="v-first", at="1", message="first")
    await world.rpc(owner, "update_session", project=team.id, session="base", status="complete")
    await world.rpc(
        owner, "set_rules", project=team.id, tags_need_approval=True, completion_needs_approval=True
    )
    await world.rpc(owner, "remove_member", project=team.id, person=team.reviewer.handle)
    await world.rpc(
        owner, "set_folders", project=team.id, person=team.reader.handle, folders="{docs,notes/deep}"
    )
    await world.rpc(owner, "update_project", project=team.id, description="moved", archived=True)
    return team


async def counts(world: World, project: str) -> dict[str, int]:
    tables = [
        "versions",
        "changes",
        "documents",
        "sessions",
        "members",
        "events",
        "comments",
        "reviews",
        "tags",
        "stage_events",
        "blobs",
    ]
    return {
        table: await world.one(f"select count(*) from public.{table} where project_id = $1::uuid", project)
        for table in tables
    }


async def test_a_project_comes_back_elsewhere_row_by_row_the_same(world, elsewhere):
    team = await lived_in(world)
    rows = await rows_of(world, team)
    keeper = await elsewhere.person("keeper")
    answer = await restore(elsewhere, rows, CONTENTS, owner=keeper.handle)
    assert answer == {
        "project": team.id,
        "changes": len(rows["changes"]),
        "events": len(rows["events"]),
        "owners": [keeper.handle],
    }
    again = await rows_of(elsewhere, dataclasses.replace(team, reader=keeper), page_size=1000)
    for kept in (rows, again):
        kept["members"] = [row for row in kept["members"] if row["user_id"] != keeper.id]
        kept["acquaintances"] = [row for row in kept["acquaintances"] if row["user_id"] != keeper.id]
        kept["profiles"] = [row for row in kept["profiles"] if row["id"] != keeper.id]
    assert again == rows
    assert await rollups(elsewhere, team.id) == await rollups(world, team.id)
    for table in ("tree_entries",):
        sql = f"select path, sequence, document_id, version from public.{table} where project_id = $1::uuid order by 1, 2"
        assert await world.sql(sql, team.id) == await elsewhere.sql(sql, team.id)
    stages = "select * from public.stages where project_id = $1::uuid order by session_id, stage"
    assert await world.sql(stages, team.id) == await elsewhere.sql(stages, team.id)
    for at in range(1, 7):
        tree = {"project": team.id, "at": str(at)}
        assert await world.rpc(team.reader, "list_tree", **tree) == await elsewhere.rpc(
            keeper, "list_tree", **tree
        )


async def test_what_was_said_at_its_time_comes_back_as_it_was_said(world, elsewhere):
    """An imported commit's moment and author, and the name of somebody who is called otherwise now."""
    team = await world.team()
    await world.store(team.id, "one\n")
    raw = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor Ada <ada@example.com> 1700000000 +0100\n\nBegin\n"
    commit = {
        "origin": base64.b64encode(raw).decode(),
        "origin_id": hashlib.sha1(b"commit %d\0" % len(raw) + raw).hexdigest(),
        "author_name": "Ada", "author_email": "ada@example.com", "attributed_to": team.editor.handle,
        "message": "Begin\n", "authored_at": "2023-11-14T22:13:20Z", "committed_at": "2023-11-14T22:13:20Z",
        "items": [put("run.sh", "one\n", mode="100755")],
    }  # fmt: skip
    await world.rpc(team.owner, "import_changes", project=team.id, after=None, changes=[commit])
    await world.commit(team.editor, team.id, put("b.md", "one\n"))
    await world.sql(
        "update public.profiles set display_name = 'Somebody Else' where id = $1::uuid", team.editor.id
    )
    rows = await rows_of(world, team)
    assert rows["changes"][0]["attributed_to"] == team.editor.id
    assert rows["changes"][1]["author_name"] not in {None, "Somebody Else"}
    assert rows["changes"][0]["versions"][0]["mode"] == "100755"
    keeper = await elsewhere.person("keeper")
    await restore(elsewhere, rows, ["one\n"], owner=keeper.handle)
    again = await rows_of(elsewhere, dataclasses.replace(team, reader=keeper))
    assert again["changes"] == rows["changes"]


async def test_people_without_an_account_here_are_departed_until_their_account_comes(world, elsewhere):
    team = await lived_in(world)
    await restore(elsewhere, await rows_of(world, team), CONTENTS)
    departed = "select account_deleted_at is not null from public.profiles where id = $1::uuid"
    assert await elsewhere.one(departed, team.owner.id)
    hidden = await refused(elsewhere.rpc(team.owner, "read_project", project=team.id))
    assert hidden.code == "project_not_found"
    await elsewhere.sql(
        "insert into auth.users (id, email, created_at) values ($1::uuid, $2, now())",
        team.owner.id,
        f"{uuid.uuid4().hex}@example.com",
        role="supabase_auth_admin",
    )
    assert not await elsewhere.one(departed, team.owner.id)
    assert (await elsewhere.rpc(team.owner, "read_project", project=team.id))["role"] == "owner"


async def test_a_handle_that_is_somebody_elses_here_stays_theirs(world, elsewhere):
    team = await lived_in(world)
    rows = await rows_of(world, team)
    local = await elsewhere.person("local")
    rows["profiles"][0]["handle"] = local.handle
    await restore(elsewhere, rows, CONTENTS)
    found = await elsewhere.one(
        "select handle from public.profiles where id = $1::uuid", rows["profiles"][0]["id"]
    )
    assert found.startswith(local.handle + "-")
    assert (
        await elsewhere.one("select handle from public.profiles where id = $1::uuid", local.id)
        == local.handle
    )


async def test_a_later_bundle_goes_on_and_the_same_one_changes_nothing(world, elsewhere):
    team = await world.team()
    await world.store(team.id, "one\n")
    await world.store(team.id, "two\n")
    first = await world.commit(team.editor, team.id, put("a.md", "one\n"))
    keeper = await elsewhere.person("keeper")
    early = await rows_of(world, team)
    await restore(elsewhere, early, ["one\n"], owner=keeper.handle)
    await world.commit(team.editor, team.id, put("a.md", "two\n", base=first["versions"][0]["hash"]))
    await world.rpc(team.owner, "remove_member", project=team.id, person=team.reviewer.handle)
    await world.rpc(team.owner, "create_session", project=team.id, slug="late")
    late = await rows_of(world, team)
    answer = await restore(elsewhere, late, ["two\n"])
    assert (answer["changes"], answer["owners"]) == (1, [keeper.handle])
    before = await counts(elsewhere, team.id)
    assert before["members"] == 4  # three of four, and the keeper
    assert (await restore(elsewhere, late, []))["events"] == 0
    assert await counts(elsewhere, team.id) == before
    backwards = await refused(restore(elsewhere, early, []))
    assert backwards.code == "restore_diverged"


async def test_a_project_that_went_on_by_itself_is_not_written_over(world, elsewhere):
    team = await world.team()
    await world.store(team.id, "one\n")
    first = await world.commit(team.editor, team.id, put("a.md", "one\n"))
    keeper = await elsewhere.person("keeper")
    await restore(elsewhere, await rows_of(world, team), ["one\n"], owner=keeper.handle)
    await elsewhere.rpc(keeper, "create_session", project=team.id, slug="mine")
    await world.commit(
        team.editor, team.id, {"path": "a.md", "delete": True, "base": first["versions"][0]["hash"]}
    )
    later = await rows_of(world, team)
    before = await counts(elsewhere, team.id)
    refusal = await refused(restore(elsewhere, later, []))
    assert (refusal.status, refusal.code) == (409, "restore_diverged")
    assert await counts(elsewhere, team.id) == before


def _version(rows: Any) -> Any:
    return rows["changes"][0]["versions"][0]


TAMPERINGS = {
    "a version's path": lambda rows: _version(rows).update(path="z.md"),
    "a version's content": lambda rows: _version(rows).update(sha256=rows["changes"][0]["versions"][1]["sha256"]),
    "a version's hash": lambda rows: _version(rows).update(hash="0" * 64),
    "a version's parent": lambda rows: rows["changes"][1]["versions"][0].update(
        parent=rows["changes"][0]["versions"][2]["hash"]),
    "a version's place": lambda rows: (
        _version(rows).update(position=2), rows["changes"][0]["versions"][1].update(position=1)),
    "a version too few": lambda rows: rows["changes"][1]["versions"].pop(),
    "a message": lambda rows: rows["changes"][1].update(message="another"),
    "an author": lambda rows: rows["changes"][1].update(author_id=rows["project"][0]["created_by"]),
    "a date": lambda rows: rows["changes"][1].update(committed_at=rows["changes"][2]["committed_at"]),
    "an author's date": lambda rows: rows["changes"][1].update(authored_at="2001-01-01T00:00:00+00:00"),
    "a change too few": lambda rows: rows["changes"].pop(),
    "a change left out": lambda rows: rows["changes"].pop(2),
    "a change's hash": lambda rows: rows["changes"][-1].update(hash="0" * 64),
    "the newest hash": lambda rows: rows["project"][0].update(change_hash="0" * 64),
    "an event left out": lambda rows: rows["events"].pop(2),
    "an event too few": lambda rows: rows["events"].pop(),
    "a document elsewhere": lambda rows: rows["documents"][0].update(path="elsewhere.md"),
    "a document too few": lambda rows: rows["documents"].pop(),
    "another project's id": lambda rows: rows["project"][0].update(id=str(uuid.uuid4())),
    "a stage report left out": lambda rows: rows["stage_events"].pop(0),
    "the newest stage report left out": lambda rows: rows["stage_events"].pop(),
    "what a stage report says": lambda rows: rows["stage_events"][4].update(stage="context", before="pending"),
    "a stage's leap": lambda rows: rows["stage_events"][0].update(state="complete"),
    "a late report made newest": lambda rows: rows["stage_events"][2].update(at="2026-03-02T11:00:00+00:00"),
    "a version that no stage could use": lambda rows: rows["stage_events"][1]["versions"][0].update(version="0" * 64),
    "an own approval": lambda rows: rows["reviews"][0].update(reviewer_id=rows["changes"][0]["author_id"]),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_what_was_tampered_with_is_refused_and_nothing_of_it_is_written(world, elsewhere, what):
    team = await lived_in(world)
    rows = await rows_of(world, team)
    tampered = copy.deepcopy(rows)
    TAMPERINGS[what](tampered)
    assert tampered != rows
    await refused(restore(elsewhere, tampered, CONTENTS))
    assert set((await counts(elsewhere, team.id)).values()) == {0}
    assert not await elsewhere.one("select exists (select from public.projects where id = $1::uuid)", team.id)
    assert not await elsewhere.one(
        "select exists (select from public.profiles where id = $1::uuid)", team.owner.id
    )


async def test_contents_that_are_not_in_storage_are_missed(world, elsewhere):
    team = await lived_in(world)
    refusal = await refused(restore(elsewhere, await rows_of(world, team), CONTENTS[1:]))
    assert refusal.sqlstate != "00000"
    assert set((await counts(elsewhere, team.id)).values()) == {0}


async def test_an_object_of_another_project_holds_nothing_of_this_one(world, elsewhere):
    team = await lived_in(world)
    rows = await rows_of(world, team)
    other = str(uuid.uuid4())
    begun = await service(elsewhere, "begin_restore", project=team.id)
    await elsewhere.store(other, "one\n")
    item = put("x", "one\n")
    objects = [{"sha256": item["sha256"], "size": 4, "name": f"{other}/{item['sha256']}"}]
    for part, each in {**rows, "objects": objects}.items():
        await service(elsewhere, "stage_restore", restore=begun["restore"], part=part, first=1, rows=each)
    assert (
        await refused(service(elsewhere, "restore_bundle", restore=begun["restore"]))
    ).code == "blob_missing"


async def test_a_new_attempt_ends_the_old_one(elsewhere):
    project = str(uuid.uuid4())
    old = await service(elsewhere, "begin_restore", project=project)
    await service(elsewhere, "begin_restore", project=project)
    late = await refused(
        service(elsewhere, "stage_restore", restore=old["restore"], part="changes", first=1, rows=[])
    )
    assert late.code == "restore_not_found"


@pytest.mark.parametrize(
    "call",
    [
        "select public.begin_restore(gen_random_uuid())",
        "select public.stage_restore(gen_random_uuid(), 'events', 1, '[]')",
        "select public.restore_bundle(gen_random_uuid())",
        "select private.begin_restore(gen_random_uuid())",
        "select private.stage_restore(gen_random_uuid(), 'events', 1, '[]')",
        "select private.restore_project(gen_random_uuid(), null)",
        "select private.restore_change(gen_random_uuid(), '{}')",
        "select * from private.restore_rows",
        "insert into private.restores (project_id) values (gen_random_uuid())",
    ],
)
async def test_no_signed_in_person_and_no_stranger_can_restore(world, call):
    team = await world.team()
    for role, claims in (("authenticated", team.owner.claims), ("anon", {"role": "anon"})):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.acting(role, claims) as conn:
                await conn.execute(call)


@pytest.mark.parametrize(
    "call",
    [
        "insert into private.restores (project_id) values (gen_random_uuid())",
        "delete from private.restore_rows",
        "select private.restore_change(gen_random_uuid(), '{}')",
        "select private.create_project('x', 'x', '')",
        "insert into public.events (project_id, sequence, kind) values (gen_random_uuid(), 1, 'a.b')",
    ],
)
async def test_the_secret_key_restores_by_these_functions_only(world, call):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with world.acting("service_role", SERVICE) as conn:
            await conn.execute(call)


async def test_strangers_read_no_rows_and_members_no_others(world):
    team, other = await world.team(), await world.team()
    for part in PARTS:
        refusal = await refused(world.rpc(team.outsider, "list_rows", project=team.id, part=part))
        assert refusal.code == "project_not_found"
        found = str(await world.rpc(team.reader, "list_rows", project=team.id, part=part))
        assert other.id not in found
        assert other.owner.id not in found
    refusal = await refused(world.rpc(team.reader, "list_rows", project=team.id, part="attributions"))
    assert refusal.code == "part_not_found"


async def test_pages_end_early_when_changes_are_heavy_and_never_cut_one(world):
    team = await world.team()
    await world.store(team.id, "one\n")
    for n in range(3):
        await world.commit(team.editor, team.id, *(put(f"{n}/{i}.md", "one\n") for i in range(3000)))
    page = await world.rpc(team.reader, "list_rows", project=team.id, part="changes")
    assert [len(entry["row"]["versions"]) for entry in page] == [3000]


async def test_no_table_and_no_rule_of_a_project_is_forgotten(world):
    """Whoever adds one decides here: a part of bundles, or derived from what is."""
    derived = {
        # Accounts and who holds their credentials: another Supabase has other ones.
        "agents",
        # Counted anew from what is in the bundle.
        "analytics_contested",
        "analytics_counts",
        "analytics_times",
        # Addresses of people who never said yes: an owner invites them anew.
        "invitations",
        "attributions",
        "settled_attributions",
        "blobs",
        "head_texts",
        "texts",
        # Who is there just now.
        "presence",
        # Made anew from the reports of stages, which hold the versions that they used.
        "stages",
        "stage_event_versions",
        "tree_entries",
        "versions",
    }
    tables = await world.sql(
        """select distinct table_name::text from information_schema.columns
           where table_schema = 'public' and column_name = 'project_id'
             and table_name in (select relname from pg_class where relkind = 'r')"""
    )
    assert {row[0] for row in tables} == set(PARTS) - {"project", "profiles"} | derived
    # restore_project sets each of these; a new column must be set there, and switched off before, if it is a rule.
    columns = await world.sql(
        "select column_name::text from information_schema.columns where table_schema = 'public' and table_name = 'projects'"
    )
    assert {row[0] for row in columns} == {
        "id", "slug", "name", "description", "created_by", "created_at", "archived_at", "change_sequence", "change_hash",
        "event_sequence", "tags_need_approval", "completion_needs_approval", "completion_needs_document",
        "completion_needs_validation",
    }  # fmt: skip


async def test_what_was_retracted_is_in_no_bundle(world):
    team = await lived_in(world)
    rows = await rows_of(world, team)
    assert len(rows["comments"]) == len(rows["comment_texts"]) + 1
    assert "because" not in str(rows["comment_texts"])
