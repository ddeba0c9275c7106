"""Projects and who belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.model import is_tag_name
from tests.schema.world import refused
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from tests.schema.world import World

RANK = ["reader", "reviewer", "editor", "owner"]
NEEDS = {
    "update_project": ("owner", {"name": "New"}),
    "set_member": ("owner", {"person": ..., "role": "reader"}),
    "create_session": ("editor", {"slug": "s"}),
    "update_session": ("editor", {"session": "base", "status": "review"}),
    "create_tag": ("editor", {"name": "t"}),
    "list_members": ("reader", {}),
    "list_sessions": ("reader", {}),
    "list_tags": ("reader", {}),
    "list_changes": ("reader", {}),
    "list_tree": ("reader", {}),
    "read_project": ("reader", {}),
    "read_session": ("reader", {"session": "base"}),
}


@pytest.mark.parametrize("function", NEEDS)
async def test_each_call_needs_its_role(world, team, function):
    needed, arguments = NEEDS[function]
    await world.rpc(team.owner, "create_session", project=team.id, slug="base")
    await world.write(team.owner, team.id, "a.md", "a")
    for role in RANK:
        given = {key: team.outsider.handle if value is ... else value for key, value in arguments.items()}
        if role == "owner" and needed == "editor" and function.startswith("create"):
            given = {key: f"{value}2" for key, value in given.items()}
        call = world.rpc(getattr(team, role), function, project=team.id, **given)
        if RANK.index(role) >= RANK.index(needed):
            assert await call is not None
        else:
            refusal = await refused(call)
            assert (refusal.status, refusal.code) == (403, "role_too_low")
    stranger = await world.person()
    refusal = await refused(world.rpc(stranger, function, project=team.id, **{**arguments, **given}))
    assert (refusal.status, refusal.code) == (404, "project_not_found")


async def test_a_stranger_is_refused_even_where_no_row_would_be_read(world):
    """A condition inside a query may never be asked when another one finds no row first."""
    stranger = await world.person()
    for function in (
        "read_project",
        "list_members",
        "list_sessions",
        "list_tags",
        "list_tree",
        "list_changes",
    ):
        assert (await refused(world.rpc(stranger, function, project="nothing"))).status == 404


async def test_a_slug_is_ones_own(world):
    """Nobody learns which slugs strangers use, nor takes them away by being first."""
    first, second = await world.person(), await world.person()
    made = await world.rpc(first, "create_project", slug="shared-name")
    other = await world.rpc(second, "create_project", slug="shared-name")
    assert made["id"] != other["id"]
    refusal = await refused(world.rpc(first, "create_project", slug="shared-name"))
    assert (refusal.status, refusal.code) == (409, "slug_taken")


async def test_being_added_to_a_project_does_not_change_what_a_slug_means(world):
    attacker, victim = await world.person(), await world.person()
    theirs = await world.rpc(attacker, "create_project", slug="plans")
    await world.rpc(attacker, "set_member", project=theirs["id"], person=victim.handle, role="editor")
    assert (await world.rpc(victim, "read_project", project="plans"))["id"] == theirs["id"]
    own = await world.rpc(victim, "create_project", slug="plans")
    assert (await world.rpc(victim, "read_project", project="plans"))["id"] == own["id"]


@pytest.mark.parametrize(
    "slug",
    ["", "A", "-a", "a-", "a b", "a/b", "\u00e4", "a" * 65, "6f1c2f0e-5b1e-4c1d-9a53-0d4c7c1f2a10", "a\n"],
)
async def test_a_slug_has_a_form(world, team, slug):
    assert (await refused(world.rpc(team.owner, "create_project", slug=slug))).sqlstate == "23514"


async def test_the_last_owner_stays(world, team):
    for call in (
        world.rpc(team.owner, "remove_member", project=team.id, person=team.owner.handle),
        world.rpc(team.owner, "set_member", project=team.id, person=team.owner.handle, role="editor"),
    ):
        refusal = await refused(call)
        assert (refusal.status, refusal.code) == (409, "last_owner")


async def test_an_owner_whose_account_is_gone_is_no_owner_to_leave_a_project_to(world, team):
    await world.rpc(team.owner, "set_member", project=team.id, person=team.editor.handle, role="owner")
    await world.sql("delete from auth.users where id = $1", team.editor.id, role="supabase_auth_admin")
    refusal = await refused(world.rpc(team.owner, "remove_member", project=team.id, person=team.owner.handle))
    assert refusal.code == "last_owner"


async def test_an_operator_makes_an_owner_with_the_sql_of_the_page(world, team):
    page = (REPOSITORY / "docs" / "schema.md").read_text()
    given = page.partition("```sql")[2].partition("```")[0].replace("<project id>", team.id)
    for person in (team.editor, team.outsider):
        await world.sql(given.replace("<handle>", person.handle))
        found = await world.rpc(person, "read_project", project=team.id)
        assert found["role"] == "owner"


async def test_anyone_leaves_and_only_owners_send_others_away(world, team):
    refusal = await refused(
        world.rpc(team.editor, "remove_member", project=team.id, person=team.reader.handle)
    )
    assert (refusal.status, refusal.code) == (403, "role_too_low")
    await world.rpc(team.reader, "remove_member", project=team.id, person=team.reader.handle)
    await world.rpc(team.owner, "remove_member", project=team.id, person=team.editor.id.upper())
    members = await world.rpc(team.owner, "list_members", project=team.id)
    assert [member["role"] for member in members] == ["owner", "reviewer"]


async def test_someone_unknown_is_not_added(world, team):
    for person in ("nobody-at-all", "6f1c2f0e-5b1e-4c1d-9a53-0d4c7c1f2a10", "", "%"):
        call = world.rpc(team.owner, "set_member", project=team.id, person=person, role="reader")
        refusal = await refused(call)
        assert (refusal.status, refusal.code) == (404, "person_not_found")


async def test_what_happens_is_an_event(world, team):
    await world.rpc(team.owner, "set_member", project=team.id, person=team.reader.handle, role="reviewer")
    await world.rpc(team.owner, "set_member", project=team.id, person=team.reader.handle, role="reviewer")
    await world.rpc(team.owner, "update_project", project=team.id, archived=True)
    rows = await world.sql(
        "select kind, payload ->> 'role' as role from public.events where project_id = $1 order by sequence",
        team.id,
    )
    assert [tuple(row) for row in rows] == [
        ("project.added", None),
        ("member.added", "editor"),
        ("member.added", "reviewer"),
        ("member.added", "reader"),
        ("member.role_set", "reviewer"),
        ("project.archived", None),
    ]


async def test_projects_come_in_pages_that_miss_none(world):
    person = await world.person()
    slugs = ["a", "a-b", "a.b", "a0", "aa", "a_b", "b", "0", "a-1"]
    for slug in slugs:
        await world.rpc(person, "create_project", slug=slug)
    seen: list[str] = []
    after = None
    while page := await world.rpc(person, "list_projects", after=after, page_size=2):
        seen += [project["slug"] for project in page]
        after = f"{page[-1]['slug']} {page[-1]['id']}"
    assert seen == sorted(slugs)


async def test_a_features_parent_is_a_blueprint_of_the_same_project(world, team):
    other = await world.team()
    await world.rpc(other.owner, "create_session", project=other.id, slug="blue", type="blueprint")
    await world.rpc(team.owner, "create_session", project=team.id, slug="loose")
    await world.rpc(team.owner, "create_session", project=team.id, slug="plan", type="blueprint")
    made = await world.rpc(
        team.editor, "create_session", project=team.id, slug="f", type="feature", parent="plan"
    )
    assert made["parent"]
    for arguments, code in (
        ({"slug": "f1", "type": "feature"}, "parent_rule"),
        ({"slug": "f2", "type": "feature", "parent": "blue"}, "session_not_found"),
        ({"slug": "f3", "type": "feature", "parent": "loose"}, "parent_not_blueprint"),
        ({"slug": "f4", "type": "blueprint", "parent": "plan"}, "parent_rule"),
        ({"slug": "plan"}, "session_exists"),
        ({"slug": "f5", "root": "sessions/plan"}, "session_exists"),
        ({"slug": "f6", "root": "../x"}, "bad_path"),
    ):
        assert (
            await refused(world.rpc(team.editor, "create_session", project=team.id, **arguments))
        ).code == code


async def test_a_tag_is_given_once_and_never_moves(world, team):
    assert (
        await refused(world.rpc(team.editor, "create_tag", project=team.id, name="t"))
    ).code == "nothing_to_tag"
    first = await world.write(team.editor, team.id, "a.md", "a")
    tag = await world.rpc(
        team.editor, "create_tag", project=team.id, name="t", at=first["hash"], message="why"
    )
    assert (tag["version"], tag["change"]) == (first["hash"], 1)
    for arguments, code in (
        ({"name": "t"}, "tag_exists"),
        ({"name": "42"}, "bad_tag_name"),
        ({"name": "v1"}, "bad_tag_name"),
        ({"name": "a" * 64}, "bad_tag_name"),
        ({"name": "../x"}, "bad_tag_name"),
        ({"name": "2026-11-22"}, "bad_tag_name"),
        ({"name": "u", "at": "2"}, "point_not_found"),
        ({"name": "u", "at": "0" * 64}, "point_not_found"),
        ({"name": "u", "at": "what?"}, "bad_point"),
    ):
        assert (
            await refused(world.rpc(team.editor, "create_tag", project=team.id, **arguments))
        ).code == code


@pytest.mark.parametrize(
    "name",
    [
        *(
            "t",
            "v1.0",
            "v1",
            "V1",
            "1",
            "v",
            "vv1",
            "1.0",
            "release/2",
            "release//2",
            "a/",
            "a..b",
            "a.b.",
            "/a",
            ".a",
        ),
        *(
            "a" * 100,
            "a" * 101,
            "a" * 40,
            "a" * 41,
            "A" * 40,
            "0" * 64,
            "2026-11-22",
            "2026-11-22-b",
            "x2026-11-22",
        ),
        *("", "\u0661", "v\u0661", "t\n", "v1\n", "a b", "-a", "é", "_a", "a_-./b"),
    ],
)
async def test_importers_know_what_a_tag_may_be_called(world, team, name):
    await world.write(team.editor, team.id, "a.md", "a")
    make = world.rpc(team.editor, "create_tag", project=team.id, name=name)
    if is_tag_name(name):
        assert (await make)["name"] == name
    else:
        assert (await refused(make)).code == "bad_tag_name"


@pytest.mark.parametrize(
    "point", ["2026-01-01T00:00:00+99:00", "2026-13-45", "2026-01-01T25:00:00Z", "v0", "9" * 18]
)
async def test_a_point_that_cannot_be_is_refused_by_a_sentence(world: World, team, point):
    await world.write(team.editor, team.id, "a.md", "a")
    for function, arguments in (("list_tree", {}), ("read_file", {"path": "a.md"})):
        refusal = await refused(world.rpc(team.reader, function, project=team.id, at=point, **arguments))
        assert refusal.status in {404, 422}
        assert refusal.sentence.endswith((".", ")."))
