"""Nothing of a project is to be had from outside: through every table, view and function that there is.

The catalog says what there is, so what a later migration adds is tested without being named here.
"""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio

from tests.schema.expected import EXPOSED, ON_OPERATORS_BEHALF
from tests.schema.world import Person, Team, put

if TYPE_CHECKING:
    from tests.schema.world import World

RELATIONS = """
select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'v', 'm', 'p', 'f') and (
  n.nspname = 'public' or n.nspname = 'private' and has_any_column_privilege('authenticated', c.oid, 'select')) order by 1
"""
FUNCTIONS = """
select p.oid::regprocedure::text as signature, p.proname as name, p.pronargs, p.proargnames as names,
  array(select format_type(t, null) from unnest(p.proargtypes) t) as kinds,
  has_function_privilege('authenticated', p.oid, 'execute') as callable
from pg_proc p
where p.pronamespace = $1::text::regnamespace and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype order by 1
"""

FOR_OWNERS = {"public.invitations", "public.invitation_details"}
"""What holds addresses: readers see none of it."""


@dataclass(frozen=True)
class Target:
    """Names by which an attacker could ask for something."""

    project: str
    slug: str
    document: str
    session: str
    hash: str
    change_hash: str
    sha256: str
    handle: str
    person: str
    comment: str
    invitation: str
    report: str
    erasure: str
    webhook: str
    path: str

    @classmethod
    def unknown(cls) -> Target:
        """What doesn't exist."""
        return cls(
            project=str(uuid.uuid4()),
            slug=f"p{secrets.token_hex(5)}",
            document=str(uuid.uuid4()),
            session=str(uuid.uuid4()),
            hash=secrets.token_hex(32),
            change_hash=secrets.token_hex(32),
            sha256=secrets.token_hex(32),
            handle=f"p{secrets.token_hex(5)}",
            person=str(uuid.uuid4()),
            comment=str(uuid.uuid4()),
            invitation=str(uuid.uuid4()),
            report=str(uuid.uuid4()),
            erasure=str(uuid.uuid4()),
            webhook=str(uuid.uuid4()),
            path="no/such.md",
        )

    def names(self) -> list[str]:
        """Everything that must not come out."""
        return [value for name, value in vars(self).items() if name != "path"]


@dataclass(frozen=True)
class Siege:
    team: Team
    inside: Target
    neighbour: Team
    stranger: Person


@pytest_asyncio.fixture(scope="module")
async def siege(world: World) -> Siege:
    """A project with something of everything; the owner of another project; and somebody with none."""
    team = await world.team()
    session = await world.rpc(team.editor, "create_session", project=team.id, slug="secret-session")
    first = await world.write(team.editor, team.id, "sessions/secret-session/specs/spec.md", "secret")
    await world.rpc(team.editor, "create_tag", project=team.id, name="secret-tag", at="1")
    comment = {"id": str(uuid.uuid4())}
    if "store_attributions" in EXPOSED:
        runs = [{"version": first["hash"], "runs": [1, 1, 1]}]
        await world.rpc(team.editor, "store_attributions", items=runs)
        # The database settles every 32nd version only; one is as good as another here.
        await world.sql(
            "insert into public.settled_attributions select version, project_id, runs from public.attributions on conflict do nothing"
        )
    if "store_texts" in EXPOSED:
        texts = [{"sha256": first["sha256"], "body": "secret"}]
        await world.rpc(team.editor, "store_texts", project=team.id, items=texts)
    if "create_review" in EXPOSED:
        about = {"version": first["hash"], "body": "secret remark"}
        comment = await world.rpc(team.reviewer, "create_comment", **about)
        await world.rpc(team.reviewer, "create_review", verdict="approve", **about)
        await world.rpc(team.reviewer, "act_on_comment", comment=comment["id"], act="resolve")
    invitation = {"id": str(uuid.uuid4())}
    if "create_invitation" in EXPOSED:
        invitation = await world.rpc(
            team.owner, "create_invitation", project=team.id, email="secret@example.com", role="reader"
        )
    used = {"consumed": [first["hash"]], "checks": 1, "errors": 0, "warnings": 0, "requires_input": 0}
    report = await world.rpc(
        team.editor, "report_stage", project=team.id, session=session["id"], stage="spec", state="in_progress",
        run="secret-run", note="secret note", **used,
    )  # fmt: skip
    if "set_presence" in EXPOSED:
        there = {"device": "tab", "state": "viewing", "path": first["path"], "seconds": 60}
        await world.rpc(team.editor, "set_presence", project=team.id, **there)
    gone = await world.write(team.editor, team.id, "gone.md", "secret that went")
    why = {"content": gone["sha256"], "reason": "secret reason"}
    erased = await world.rpc(team.owner, "erase_content", project=team.id, **why)
    async with world.as_person(team.owner) as conn:
        await conn.execute("select set_config('storage.allow_delete_query', 'true', true)")
        await conn.execute("delete from storage.objects where name = any ($1)", erased["objects"])
    await world.rpc(team.owner, "finish_erasure", project=team.id, erasure=erased["erasure"]["id"])
    said = {"verso_agent": "secret-agent", "verso_project": team.id, "verso_owner": team.owner.id}
    agent = await world.person("agent", app_metadata=said)
    await world.rpc(team.owner, "register_agent", project=team.id, account=agent.id, role="editor")
    # Times and documents of many writers, for the figures of them.
    shared = await world.write(team.editor, team.id, "shared.md", "one")
    await world.write(team.owner, team.id, "shared.md", "two", base=shared["hash"])
    for state in ("in_progress", "complete"):
        await world.rpc(
            team.editor, "report_stage", project=team.id, session=session["id"], stage="plan", state=state
        )
    webhook = await world.rpc(
        team.owner, "create_webhook", project=team.id, url="https://example.com/secret", kinds="{change.*}"
    )
    neighbour = await world.team()
    await world.write(neighbour.editor, neighbour.id, "own.md", "own")
    target = Target(
        project=team.id,
        slug=team.slug,
        document=first["document"],
        session=session["id"],
        hash=first["hash"],
        change_hash=first["change"]["hash"],
        sha256=first["sha256"],
        handle=team.editor.handle,
        person=team.editor.id,
        comment=comment["id"],
        invitation=invitation["id"],
        report=report["id"],
        erasure=erased["erasure"]["id"],
        webhook=webhook["id"],
        path=first["path"],
    )
    return Siege(team, target, neighbour, await world.person("stranger"))


async def attackers(siege: Siege) -> list[Person]:
    return [siege.neighbour.owner, siege.stranger]


def argument(name: str, kind: str, target: Target, *, by_slug: bool) -> Any:
    """A value for a parameter that asks for the target. Fails for names that it has never heard of."""
    item = put(target.path, "x", base=target.hash, document=target.document) | {"sha256": target.sha256}
    item |= {"version": target.hash, "runs": [1, 1, 1]}
    by_name: dict[str, Any] = {
        "project": target.slug if by_slug and kind == "text" else target.project,
        "ref": target.slug if by_slug else target.project,
        "document": target.document,
        "session": target.session,
        "found_id": target.session,
        "version": target.hash,
        "versions": f"{{{target.hash}}}",
        "at": target.hash,
        "point": target.change_hash,
        "from_point": "v1",
        "to_point": target.hash,
        "person": target.person if kind == "uuid" or by_slug else target.handle,
        "leaving": target.person,
        "author": target.handle,
        "path": target.path,
        "file": target.document,
        "from_file": target.path,
        "to_file": target.document,
        "prefix": "",
        "after": 0 if kind in {"bigint", "integer"} else "",
        "contents": f"{{{target.sha256}}}",
        "content": target.sha256,
        "erasure": target.erasure,
        "reason": "x",
        "pending": False,
        "root": "sessions/secret-session",
        "parent": target.session,
        "slug": f"s{secrets.token_hex(4)}",
        "name": f"n{secrets.token_hex(4)}",
        "items": json.dumps([item]),
        "idempotency_key": "k",
        "part": "reviews",
        "sequences": "{1}",
        "origin": "eA==",
        "origin_ids": f"{{{'0' * 40}}}",
        "changes": json.dumps([{"origin_id": "0" * 40}]),
        "sequence": 1,
        "upto": 1,
        "before": 9,
        "since": "2001-01-01T00:00:00Z",
        "until": "2999-01-01T00:00:00Z",
        "authored_at": "2026-01-01T00:00:00Z",
        "role": "owner",
        "at_least": "reader",
        "needed": "reader",
        "type": "exploratory",
        "status": "draft",
        "page_size": 10,
        "asked": 10,
        "comment": target.comment,
        "invitation": target.invitation,
        "agent": "secret-agent",
        "account": target.person,
        "email": "secret@example.com",
        "github_login": None,
        "ended": True,
        "folders": "{docs}",
        "edit": json.dumps({"name": "n"}),
        "body": "b",
        "side": "new",
        "first_line": 1,
        "last_line": 1,
        "act": "retract",
        "verdict": "approve",
        "resolved": False,
        "seen": 0,
        "numbers": "{1}",
        "runs": "{1,1,1}",
        "lines": "{4294967297}",
        "nested": False,
        "ignore_kept": False,
        "tags_need_approval": True,
        "completion_needs_approval": True,
        "agents": True,
        "archived": True,
        "even_archived": True,
        "message": "m",
        "search": "",
        "query": "'secret'",
        "latest": False,
        "before_position": 1,
        "not_text": "{}",
        "documents": f"{{{target.document}}}",
        "sha256": target.sha256,
        "mark": "m",
        "proven": target.document,
        "needle": "secret",
        "below": 9,
        "below_position": 9,
        "above": 0,
        "title": "t",
        "description": "d",
        "source": "api",
        "report": target.report,
        "sessions": f"{{{target.session}}}",
        "stage": "spec",
        "run": "secret-run",
        "started_at": None,
        "finished_at": None,
        "checks": None,
        "errors": None,
        "warnings": None,
        "requires_input": None,
        "consumed": json.dumps([target.hash]),
        "produced": json.dumps([{"path": target.path}]),
        "note": "n",
        "expected": target.report,
        "imported": False,
        "size": 10,
        "completion_needs_document": True,
        "completion_needs_validation": True,
        "hashes": f"{{{target.hash}}}",
        "device": "tab",
        "seconds": 45,
        "value": target.project,
        "code": "c",
        "sentence": "s",
        "detail": "{}",
        "bucket": 1,
        "change": 1,
        "days": 30,
        "entries": "[]",
        "failed": False,
        "first": 1,
        "last": 9,
        "first_day": "2026-01-01",
        "earlier": "2026-01-01",
        "older": 1,
        "newer": 9,
        "later": "2026-12-31",
        "attributed_to": target.person,
        "origin_id": "0" * 40,
        "author_email": "a@example.com",
        "author_name": "A",
        "last_day": "2026-12-31",
        "kind": "project.archived",
        "kinds": "{change.*}",
        "overlap": 60,
        "projects": f"{{{target.project}}}",
        "targets": f"{{{target.project}}}",
        "request": json.dumps({"restore": 1}),
        "seen_at": None,
        "seen_project": None,
        "seen_sequence": None,
        "seen_id": None,
        "state": "all",
        "step": "day",
        "units": "{day}",
        "url": "https://example.com/hook",
        "webhook": target.webhook,
    }
    if name == "state" and kind.endswith("stage_state"):
        return "in_progress"
    if name == "at" and kind.startswith("timestamp"):
        return "2026-01-01T00:00:00Z"
    if name == "status" and kind == "integer":
        return 404
    assert name in by_name, f"say here what an attacker would give for the parameter {name} ({kind})"
    return by_name[name]


def neutral(text: str, target: Target) -> str:
    """An answer without the names that were asked for."""
    for field, value in vars(target).items():
        text = text.replace(value, f"<{field}>")
    return text


async def ask(
    world: World, person: Person, schema: str, function: Any, target: Target, *, by_slug: bool
) -> str:
    """The answer or the error of one call that is taken back, without the names that were asked for."""
    pairs = list(zip((function["names"] or [])[: function["pronargs"]], function["kinds"], strict=True))
    given = [argument(name, kind, target, by_slug=by_slug) for name, kind in pairs]
    typed = ", ".join(f"{name} => ${n}::text::{kind}" for n, (name, kind) in enumerate(pairs, 1))
    rollback = RuntimeError("taken back")
    answer = ""
    try:
        async with world.as_person(person) as conn:
            rows = await conn.fetch(
                f"select to_jsonb(x)::text from {schema}.{function['name']}({typed}) x",
                *(v if isinstance(v, str) or v is None else json.dumps(v) for v in given),
            )
            answer = repr([row[0] for row in rows])
            raise rollback
    except asyncpg.PostgresError as error:
        answer = f"{error.sqlstate} {error.args[0]} {error.hint} {error.detail}"  # type: ignore[attr-defined]
    except RuntimeError:
        pass
    for value in given:
        if isinstance(value, str) and value.startswith(("s", "n")) and len(value) == 9:
            answer = answer.replace(value, "<made up>")
    return neutral(answer, target)


@pytest.mark.parametrize("by_slug", [False, True], ids=["by id", "by slug"])
@pytest.mark.parametrize("schema", ["public", "private"])
async def test_no_function_tells_a_stranger_whether_something_exists(world, siege, schema, by_slug):
    before = await world.one("select event_sequence from public.projects where id = $1", siege.team.id)
    asked = 0
    for function in await world.sql(FUNCTIONS, schema):
        if not function["callable"]:
            continue
        asked += 1
        if function["name"] in {"folders_of", "stage_of"}:
            continue  # these work on the text that they are given, and read nothing
        for person in await attackers(siege):
            real = await ask(world, person, schema, function, siege.inside, by_slug=by_slug)
            if function["name"] in {
                "create_project",
                "me",
                "list_projects",
                "my_projects",
                "my_open_projects",
            }:
                assert siege.team.id not in real
                continue
            made_up = await ask(world, person, schema, function, Target.unknown(), by_slug=by_slug)
            assert real == made_up, function["signature"]
    assert asked > 10
    after = await world.one("select event_sequence from public.projects where id = $1", siege.team.id)
    assert after == before


OWNERS_RIGHTS = (
    "select to_jsonb(v)::text from private.version_rows(array['{hash}']) v",
    "select to_jsonb(c)::text from private.change_rows('{project}', array[1]) c",
    "select x from private.version_answer('{hash}') x where x is not null",
    "select x from unnest(private.tree_page('{project}', 1, '', '', 10)) x",
    "select to_jsonb(d)::text from private.diffstats('{project}', array[1]) d",
    "select x from public.version_answer('{hash}') x where x is not null",
    "select private.change_answer('{project}', 1) x where private.change_answer('{project}', 1) is not null",
)
"""What is joined for answers with its owner's rights: each must ask for the caller's projects itself."""


@pytest.mark.parametrize("call", OWNERS_RIGHTS, ids=range(len(OWNERS_RIGHTS)))
async def test_what_reads_with_its_owners_rights_reads_for_members_only(world, siege, call):
    text = call.format(**vars(siege.inside))
    for person in await attackers(siege):
        async with world.as_person(person) as conn:
            assert await conn.fetch(text) == []
    for claims in ({}, {"sub": None}):
        async with world.acting("authenticated", claims) as conn:
            assert await conn.fetch(text) == []
    async with world.as_person(siege.team.reader) as conn:
        assert len(await conn.fetch(text)) == 1


async def test_an_invited_person_is_found_by_handle_alone(world, siege):
    """The one thing an owner may learn of a stranger: whether a handle that they know is somebody's."""
    person = await world.rpc(
        siege.neighbour.owner,
        "set_member",
        project=siege.neighbour.id,
        person=siege.stranger.handle.upper(),
        role="reader",
    )
    assert person["person"]["id"] == siege.stranger.id
    await world.rpc(
        siege.neighbour.owner, "remove_member", project=siege.neighbour.id, person=siege.stranger.id
    )


async def test_functions_that_are_not_meant_for_callers_refuse_them(world, siege):
    refused_ones = [row for row in await world.sql(FUNCTIONS, "private") if not row["callable"]]
    assert {
        "lock_project",
        "add_event",
        "keep_an_owner",
        "plan_change",
        "claim_blobs",
        "adopt_documents",
    } <= {row["name"] for row in refused_ones}
    for function in refused_ones:
        arguments = ", ".join(f"null::{kind}" for kind in function["kinds"])
        # What operators may call besides is a list of its own (test_catalog).
        operators = () if function["name"] in ON_OPERATORS_BEHALF else ("service_role",)
        for role in ("authenticated", "anon", *operators):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with world.acting(role, siege.team.owner.claims) as conn:
                    await conn.fetch(f"select private.{function['name']}({arguments})")


@pytest.mark.parametrize("schema", ["public", "private"])
async def test_anon_calls_nothing_but_the_schemas_version(world, schema):
    callable_ones = await world.sql(
        """select p.proname from pg_proc p where p.pronamespace = $1::text::regnamespace
             and has_schema_privilege('anon', p.pronamespace, 'usage') and has_function_privilege('anon', p.oid, 'execute')""",
        schema,
    )
    assert {row["proname"] for row in callable_ones} == ({"schema_version"} if schema == "public" else set())


async def test_no_table_or_view_shows_anything_of_another_project(world, siege):
    relations = [row["name"] for row in await world.sql(RELATIONS)] + ["storage.objects"]
    assert len(relations) > 15
    for person in await attackers(siege):
        for relation in relations:
            async with world.as_person(person) as conn:
                rows = await conn.fetch(f"select to_jsonb(t)::text as row from {relation} t")
            for name in [*siege.inside.names(), siege.team.owner.id, "secret"]:
                assert not [row for row in rows if name in row["row"]], (relation, name)


async def test_a_stranger_sees_only_their_own_profile(world, siege):
    for relation in [row["name"] for row in await world.sql(RELATIONS)]:
        async with world.as_person(siege.stranger) as conn:
            rows = await conn.fetch(f"select to_jsonb(t) ->> 'id' as id from {relation} t")
        expected = [siege.stranger.id] if relation in {"public.profiles", "public.people"} else []
        if relation != "public.acquaintances":
            assert [row["id"] for row in rows] == expected, relation


async def test_anon_sees_no_table_and_no_view(world, siege):
    for relation in [row["name"] for row in await world.sql(RELATIONS)]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.as_person(None) as conn:
                await conn.fetch(f"select from {relation}")
    async with world.as_person(None) as conn:
        assert await conn.fetch("select from storage.objects") == []


async def test_a_member_sees_all_of_their_project(world, siege):
    """The tests above would pass on empty tables as well."""
    for relation in [row["name"] for row in await world.sql(RELATIONS)]:
        for person in (siege.team.reader, siege.team.owner):
            async with world.as_person(person) as conn:
                rows = await conn.fetch(f"select to_jsonb(t)::text as row from {relation} t")
            assert bool(rows) == (person is siege.team.owner or relation not in FOR_OWNERS), relation


@pytest.mark.parametrize("claims", [{}, {"sub": None}, {"role": "service_role"}], ids=str)
async def test_a_token_without_a_subject_sees_nothing(world, siege, claims):
    for relation in [row["name"] for row in await world.sql(RELATIONS)]:
        async with world.acting("authenticated", claims) as conn:
            assert await conn.fetch(f"select from {relation}") == [], relation


async def test_what_a_user_writes_of_themselves_gives_no_right(world, siege):
    liar = Person(
        siege.stranger.id,
        siege.stranger.handle,
        user_metadata={
            "role": "service_role",
            "project_id": siege.team.id,
            "verso_agent": "x",
            "is_admin": True,
        },
    )
    async with world.as_person(liar) as conn:
        assert await conn.fetch("select from public.projects") == []


async def test_a_former_member_sees_nothing_and_keeps_their_name_in_history(world):
    team = await world.team()
    await world.write(team.editor, team.id, "a.md", "a")
    await world.rpc(team.owner, "remove_member", project=team.id, person=team.editor.handle)
    async with world.as_person(team.editor) as conn:
        assert await conn.fetch("select from public.versions where project_id = $1", team.id) == []
    change = await world.rpc(team.reader, "read_change", project=team.id, sequence=1)
    assert change["author"]["handle"] == team.editor.handle


async def test_a_trigger_tells_no_stranger_what_exists(world, siege):
    """A BEFORE INSERT trigger runs before the policy: both names must be refused alike."""
    errors = []
    for project in (siege.team.id, str(uuid.uuid4())):
        with pytest.raises(asyncpg.PostgresError) as caught:
            async with world.as_person(siege.stranger) as conn:
                await conn.execute(
                    "insert into storage.objects (bucket_id, name) values ('documents', $1)",
                    f"{project}/{siege.inside.sha256}",
                )
        errors.append((caught.value.sqlstate, caught.value.args))
    assert errors[0] == errors[1]


async def test_the_same_content_elsewhere_is_no_shortcut(world, siege):
    """Knowing another project's hash gives nothing: the bytes must be in one's own folder."""
    item = put("stolen.md", "x") | {"sha256": siege.inside.sha256, "size": 6}
    prepared = await world.rpc(
        siege.neighbour.editor, "prepare_change", project=siege.neighbour.id, items=[item]
    )
    assert prepared["items"][0]["copies"] == []
    with pytest.raises(asyncpg.PostgresError, match="blob_missing"):
        await world.commit(siege.neighbour.editor, siege.neighbour.id, item)
