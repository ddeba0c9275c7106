"""Editors of some folders: nothing elsewhere changes by them, whichever way they try."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.schema.world import put, refused, sha256

if TYPE_CHECKING:
    from tests.schema.world import Team, World


async def limit(world: World, team: Team, *folders: str, person: Any = None) -> dict[str, Any]:
    person = person or team.editor
    return await world.rpc(
        team.owner,
        "set_folders",
        project=team.id,
        person=person.handle,
        folders="{" + ",".join(folders) + "}",
    )


@pytest_asyncio.fixture
async def fenced(world: World, team: Team) -> dict[str, dict[str, Any]]:
    """Documents in and out of `docs`, whose editor the team's editor is; `gone` was deleted outside."""
    held = {
        name: await world.write(team.owner, team.id, path, name)
        for name, path in (
            ("inside", "docs/a.md"),
            ("outside", "src/b.md"),
            ("beside", "docs-old/c.md"),
            ("gone", "src/gone.md"),
        )
    }
    await world.commit(
        team.owner, team.id, {"path": "src/gone.md", "base": held["gone"]["hash"], "delete": True}
    )
    answer = await limit(world, team, "docs")
    assert (answer["role"], answer["folders"]) == ("editor", ["docs"])
    return held


async def test_an_editor_of_some_folders_writes_there(world, team, fenced):
    base = fenced["inside"]["hash"]
    edited = await world.write(team.editor, team.id, "docs/a.md", "edited", base=base)
    await world.write(team.editor, team.id, "docs/deep/er/new.md", "new")
    moved = await world.commit(
        team.editor, team.id, {"from": "docs/a.md", "path": "docs/z.md", "base": edited["hash"]}
    )
    await world.commit(
        team.editor, team.id, {"path": "docs/z.md", "base": moved["versions"][0]["hash"], "delete": True}
    )
    assert (await world.rpc(team.editor, "read_project", project=team.id))["folders"] == ["docs"]
    assert await world.rpc(team.editor, "read_file", project=team.id, path="src/b.md")


def attempts(held: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Changes that touch something outside."""
    inside, outside, beside, gone = (held[name] for name in ("inside", "outside", "beside", "gone"))
    return {
        "add": [put("src/new.md", "x")],
        "add at the root": [put("new.md", "x")],
        "add beside": [put("docs-old/new.md", "x")],
        "add at the folder's own name in another case": [put("Docs/new.md", "x")],
        "edit": [put("src/b.md", "x", base=outside["hash"])],
        "edit by id": [put("src/b.md", "x", base=outside["hash"], document=outside["document"])],
        "edit beside": [put("docs-old/c.md", "x", base=beside["hash"])],
        "change the mode": [{"path": "src/b.md", "base": outside["hash"], "mode": "100755"}],
        "delete": [{"path": "src/b.md", "base": outside["hash"], "delete": True}],
        "delete by id": [{"document": outside["document"], "base": outside["hash"], "delete": True}],
        "move out": [{"from": "docs/a.md", "path": "src/a.md", "base": inside["hash"]}],
        "move in": [{"from": "src/b.md", "path": "docs/b.md", "base": outside["hash"]}],
        "move in by id": [{"document": outside["document"], "path": "docs/b.md", "base": outside["hash"]}],
        "move in with new content": [
            put("docs/b.md", "x", base=outside["hash"], document=outside["document"])
        ],
        "swap": [
            {"from": "docs/a.md", "path": "src/b.md", "base": inside["hash"]},
            {"from": "src/b.md", "path": "docs/a.md", "base": outside["hash"]},
        ],
        "bring back": [
            {"document": gone["document"], "path": "src/gone.md", "restore": "latest"},
        ],
        "bring back elsewhere": [
            {"document": gone["document"], "path": "docs/gone.md", "restore": "latest"},
        ],
        "among others": [put("docs/new.md", "x"), put("src/new.md", "x")],
    }


NAMES = list(
    attempts({name: {"hash": "", "document": ""} for name in ("inside", "outside", "beside", "gone")})
)


@pytest.mark.parametrize("how", NAMES)
async def test_nothing_outside_is_changed(world, team, fenced, how):
    items = attempts(fenced)[how]
    await world.store(team.id, "x")
    for item in items:
        if "restore" in item:
            head = await world.one("select head from public.documents where id = $1", item["document"])
            item["base"] = head
    before = await world.live_paths(team.id)
    sequence = await world.one("select change_sequence from public.projects where id = $1", team.id)
    for function in ("prepare_change", "commit_change"):
        refusal = await refused(world.rpc(team.editor, function, project=team.id, items=items))
        assert (refusal.status, refusal.code) == (403, "outside_folders"), function
    assert await world.live_paths(team.id) == before
    assert await world.one("select change_sequence from public.projects where id = $1", team.id) == sequence
    assert (await world.rpc(team.owner, "commit_change", project=team.id, items=items))["change"], (
        "it is the folders that it fails for"
    )


async def test_every_item_outside_is_named(world, team, fenced):
    refusal = await refused(
        world.commit(team.editor, team.id, put("src/1", "x"), put("docs/2", "x"), put("src/3", "x"))
    )
    assert [(each["index"], each["code"]) for each in refusal.detail["items"]] == [
        (1, "outside_folders"),
        (3, "outside_folders"),
    ]


async def test_what_concerns_the_whole_project_is_not_theirs(world, team, fenced):
    await world.rpc(team.owner, "create_session", project=team.id, slug="other")
    for function, arguments in (
        ("create_tag", {"name": "t"}),
        ("create_session", {"slug": "s"}),
        ("create_session", {"slug": "s", "root": "docs-old/s"}),
        ("update_session", {"session": "other", "status": "complete"}),
    ):
        refusal = await refused(world.rpc(team.editor, function, project=team.id, **arguments))
        assert (refusal.status, refusal.code) == (403, "outside_folders"), function
    made = await world.rpc(team.editor, "create_session", project=team.id, slug="s", root="docs/s")
    await world.rpc(team.editor, "update_session", project=team.id, session=made["id"], status="review")
    verdict = {"version": fenced["outside"]["hash"], "verdict": "approve"}
    assert await world.rpc(team.editor, "create_review", **verdict), "they review everything"


async def test_nobody_lifts_their_own_limit(world, team, fenced):
    for function, arguments in (
        ("set_folders", {"folders": None}),
        ("set_folders", {"folders": "{docs,src}"}),
        ("set_member", {"role": "editor"}),
        ("set_member", {"role": "owner"}),
    ):
        refusal = await refused(
            world.rpc(team.editor, function, project=team.id, person=team.editor.handle, **arguments)
        )
        assert (refusal.status, refusal.code) == (403, "role_too_low")
    async with world.as_person(team.editor) as conn:
        assert (await refused(conn.execute("update public.members set folders = null"))).sqlstate == "42501"


async def test_owners_set_and_lift_limits(world, team):
    assert (await limit(world, team, "b", "a", "b"))["folders"] == ["a", "b"]
    assert (await limit(world, team, "c", person=team.outsider))["folders"] == ["c"]
    await limit(world, team, "c", person=team.outsider)
    listed = await world.rpc(team.reader, "list_members", project=team.id)
    assert sorted(each["folders"] or [] for each in listed) == [[], [], [], ["a", "b"], ["c"]]
    again = await world.rpc(
        team.owner, "set_member", project=team.id, person=team.editor.handle, role="editor"
    )
    assert again["folders"] == ["a", "b"], "an editor they are"
    lifted = await world.rpc(
        team.owner, "set_folders", project=team.id, person=team.editor.handle, folders=None
    )
    assert (lifted["role"], lifted["folders"]) == ("editor", None)
    await limit(world, team, "a")
    for role in ("reviewer", "owner"):
        answer = await world.rpc(
            team.owner, "set_member", project=team.id, person=team.editor.handle, role=role
        )
        assert (answer["role"], answer["folders"]) == (role, None)
    rows = await world.sql(
        "select kind, payload -> 'folders' #>> '{}' as folders from public.events where project_id = $1 order by sequence offset 4",
        team.id,
    )
    assert [tuple(row) for row in rows][:4] == [
        ("member.role_set", '["a", "b"]'),
        ("member.added", '["c"]'),
        ("member.role_set", None),
        ("member.role_set", '["a"]'),
    ]


async def test_the_last_owner_stays_one_of_everything(world, team):
    refusal = await refused(limit(world, team, "docs", person=team.owner))
    assert (refusal.status, refusal.code) == (409, "last_owner")


@pytest.mark.parametrize(
    ("folders", "code"),
    [
        ("{}", "bad_folders"),
        ("{" + ",".join(f"f{n}" for n in range(101)) + "}", "bad_folders"),
        ('{""}', "bad_path"),
        ("{docs/}", "bad_path"),
        ("{/docs}", "bad_path"),
        ("{..}", "bad_path"),
        ("{docs,a//b}", "bad_path"),
        ("{NULL}", "bad_path"),
    ],
)
async def test_what_is_no_folder_is_refused(world, team, folders, code):
    refusal = await refused(
        world.rpc(team.owner, "set_folders", project=team.id, person=team.editor.handle, folders=folders)
    )
    assert (refusal.status, refusal.code) == (422, code)


async def test_a_write_that_waited_while_its_writer_was_limited_is_refused(world, team):
    await world.store(team.id, "late")
    async with world.as_person(team.owner) as conn:
        await world.rpc_on(conn, "set_folders", project=team.id, person=team.editor.handle, folders="{docs}")
        late = asyncio.create_task(world.commit(team.editor, team.id, put("src/late.md", "late")))
        await asyncio.sleep(0.2)
        assert not late.done(), "it waits for the lock"
    assert (await refused(late)).code == "outside_folders"
    assert sha256(b"late") not in repr(await world.live_paths(team.id))
