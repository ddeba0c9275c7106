"""Erasing: by owners, by the function, once and for ever; everything else in the database is refused it."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from app.model import VersionRead, hash_of, version_canonical
from tests.schema.world import BUCKET, put, refused, sha256

if TYPE_CHECKING:
    from tests.schema.world import Person, Team, World

SECRET = "Jane Roe, born 1970\n"
ROLES = ["owner", "editor", "reviewer", "reader", "outsider", "anon", "service_role"]


@pytest.fixture(scope="module")
def world(each_world: World) -> World:
    return each_world


@pytest_asyncio.fixture
async def team(world: World) -> Team:
    """A project with a secret in two documents, one of which went on."""
    team = await world.team()
    first = await world.write(team.editor, team.id, "a.md", SECRET)
    await world.write(team.editor, team.id, "a.md", "nothing\n", base=first["hash"])
    await world.commit(team.editor, team.id, put("b.md", SECRET))
    return team


def attacker(world: World, team: Team, role: str) -> Any:
    """A transaction of somebody."""
    if role in {"anon", "service_role"}:
        return world.acting(role, {"role": role})
    return world.as_person(getattr(team, role))


async def erase(
    world: World, team: Team, *, by: Person | None = None, content: str = SECRET
) -> dict[str, Any]:
    return await world.rpc(
        by or team.owner,
        "erase_content",
        project=team.id,
        content=sha256(content.encode()),
        reason="Asked for under Art. 17 GDPR.",
    )


async def delete_objects(world: World, person: Person, names: list[str]) -> list[str]:
    """What Storage's remove() does: one DELETE under the caller's policies, made known to its guard."""
    async with world.as_person(person) as conn:
        await conn.execute("select set_config('storage.allow_delete_query', 'true', true)")
        rows = await conn.fetch(
            "delete from storage.objects where bucket_id = $1 and name = any ($2) returning name",
            BUCKET,
            names,
        )
        return [row["name"] for row in rows]


async def names_of(world: World, team: Team, content: str = SECRET) -> list[str]:
    rows = await world.sql(
        "select name from storage.objects where bucket_id = $1 and name like $2 order by name",
        BUCKET,
        f"{team.id}/{sha256(content.encode())}%",
    )
    return [row["name"] for row in rows]


async def test_a_preview_tells_everything_that_it_touches(world, team):
    told = await world.rpc(team.owner, "preview_erasure", project=team.slug, content=sha256(SECRET.encode()))
    assert (told["versions"], told["documents"], told["heads"], told["erasure"]) == (2, 2, 1, None)
    assert [(each["path"], each["number"], each["head"]) for each in told["items"]] == [
        ("b.md", 1, True),
        ("a.md", 1, False),
    ]
    by_version = await world.rpc(
        team.owner, "preview_erasure", project=team.id, version=told["items"][1]["version"]
    )
    assert by_version == told
    assert await world.one("select count(*) from public.erasures where project_id = $1", team.id) == 0


async def test_an_erasure_is_recorded_told_of_and_finished_when_the_objects_are_gone(world, team):
    made = await erase(world, team)
    erasure = made["erasure"]
    assert made["objects"] == await names_of(world, team)
    assert erasure["versions"] == 2
    assert erasure["erased_by"]["handle"] == team.owner.handle
    assert erasure["finished_at"] is None
    early = await world.rpc(team.owner, "finish_erasure", project=team.id, erasure=erasure["id"])
    assert early == made, "bytes that are there are not noted as gone"
    assert [
        each["id"] for each in await world.rpc(team.reader, "list_erasures", project=team.id, pending=True)
    ] == [erasure["id"]]

    assert await delete_objects(world, team.owner, made["objects"]) == made["objects"]
    for _ in range(2):
        done = await world.rpc(team.owner, "finish_erasure", project=team.id, erasure=erasure["id"])
        assert done["objects"] == []
        assert done["erasure"]["finished_at"] is not None
    events = await world.sql(
        "select kind, payload->>'sha256' as sha256 from public.events where project_id = $1 and kind like 'content.%' order by sequence",
        team.id,
    )
    assert [tuple(each) for each in events] == [
        (kind, sha256(SECRET.encode())) for kind in ("content.erased", "content.bytes_deleted")
    ]
    assert await world.rpc(team.reader, "list_erasures", project=team.id, pending=True) == []
    assert await world.rpc(team.reader, "count_erasures", project=team.id) == 1


async def test_the_same_again_is_the_same_erasure_and_another_owner_goes_on_with_it(world, team):
    made = await erase(world, team)
    await world.rpc(team.owner, "set_member", project=team.id, person=team.editor.handle, role="owner")
    again = await erase(world, team, by=team.editor)
    assert again == made
    assert await delete_objects(world, team.editor, again["objects"]) == again["objects"]
    done = await world.rpc(team.editor, "finish_erasure", project=team.id, erasure=made["erasure"]["id"])
    assert done["erasure"]["erased_by"]["handle"] == team.owner.handle


async def test_every_hash_still_is_that_of_its_version(world, team):
    before = await world.sql("select hash from public.versions where project_id = $1 order by hash", team.id)
    await erase(world, team)
    rows = await world.sql("select hash from public.versions where project_id = $1 order by hash", team.id)
    assert [each["hash"] for each in rows] == [each["hash"] for each in before]
    for row in rows:
        answer = await world.rpc(team.reader, "version_answer", version=row["hash"])
        read = msgspec.convert(answer, VersionRead, strict=False).version
        assert hash_of(version_canonical(read)) == row["hash"]
        assert (answer["copies"] == []) == (read.sha256 == sha256(SECRET.encode()))
    assert await world.one(
        """select bool_and(v.hash = private.hash_of(private.version_canonical(v))) from public.versions v
           where v.project_id = $1""",
        team.id,
    )


async def test_an_erased_content_is_in_no_answer_and_nothing_derived_holds_it(world, team):
    await world.rpc(
        team.reader,
        "store_texts",
        project=team.id,
        items=[{"sha256": sha256(SECRET.encode()), "body": SECRET}],
    )
    assert len((await world.rpc(team.reader, "search", project=team.id, query="jane"))["items"]) == 1
    await erase(world, team)
    found = await world.rpc(team.reader, "search", project=team.id, query="jane")
    assert (found["items"], found["missing"]) == ([], {"not_indexed": 1})  # that is a.md as it is now
    assert await world.one("select count(*) from public.texts where project_id = $1", team.id) == 0
    assert await world.one("select count(*) from public.head_texts where project_id = $1", team.id) == 0
    stored = await world.rpc(
        team.reader,
        "store_texts",
        project=team.id,
        items=[{"sha256": sha256(SECRET.encode()), "body": SECRET}],
    )
    assert stored == {"stored": 0}
    assert (
        await world.rpc(team.reader, "list_held", project=team.id, contents=f"{{{sha256(SECRET.encode())}}}")
        == []
    )
    located = await world.rpc(
        team.reader, "locate_contents", project=team.id, contents=f"{{{sha256(SECRET.encode())}}}"
    )
    assert located["contents"][0]["copies"] == []


async def test_it_never_comes_back(world, team):
    head = await world.rpc(team.reader, "read_file", project=team.id, path="a.md")
    made = await erase(world, team)
    again = await refused(world.commit(team.editor, team.id, put("new.md", SECRET)))
    assert (again.status, again.code) == (410, "content_erased")
    assert again.detail["items"][0]["path"] == "new.md"
    back = await refused(
        world.commit(team.editor, team.id, {"path": "a.md", "base": head["version"]["hash"], "restore": "1"})
    )
    assert (back.status, back.code) == (410, "erased")
    await delete_objects(world, team.owner, made["objects"])
    for role in ("owner", "editor"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await _upload(world, getattr(team, role).claims, f"{team.id}/{sha256(SECRET.encode())}")
    suffixed = f"{team.id}/{sha256(SECRET.encode())}.{uuid.uuid4().hex}"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await _upload(world, {"role": "service_role"}, suffixed, role="service_role")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.store(team.id, SECRET)
    other = await world.team()
    assert (await world.write(other.editor, other.id, "a.md", SECRET))["number"] == 1, (
        "only where it was erased"
    )


async def _upload(world: World, claims: dict[str, Any], name: str, *, role: str = "authenticated") -> None:
    async with world.acting(role, claims) as conn:
        await conn.execute(
            """insert into storage.objects (bucket_id, name, version, metadata) values ($1, $2, 'v', '{"size": 1}')""",
            BUCKET,
            name,
        )


async def test_what_is_erased_can_be_moved_deleted_and_written_over(world, team):
    await erase(world, team)
    head = (await world.rpc(team.reader, "read_file", project=team.id, path="b.md"))["version"]
    moved = (
        await world.commit(team.editor, team.id, {"path": "c.md", "from": "b.md", "base": head["hash"]})
    )["versions"][0]
    assert (moved["action"], moved["sha256"]) == ("move", sha256(SECRET.encode()))
    written = await world.write(team.editor, team.id, "c.md", "clean\n", base=moved["hash"])
    assert written["number"] == 3


async def test_copies_that_no_version_uses_go_as_well(world, team):
    await world.store(team.id, SECRET, copy=uuid.uuid4().hex)
    made = await erase(world, team)
    assert len(made["objects"]) == 2
    assert await delete_objects(world, team.owner, made["objects"]) == made["objects"]
    assert await names_of(world, team) == []


async def test_an_upload_under_way_is_waited_for_and_found(world, team):
    content = sha256(SECRET.encode())
    name = f"{team.id}/{content}.{uuid.uuid4().hex}"
    async with world.as_person(team.editor) as conn:
        await conn.execute(
            """insert into storage.objects (bucket_id, name, version, metadata) values ($1, $2, 'v', '{"size": 1}')""",
            BUCKET,
            name,
        )
        erasing = asyncio.create_task(erase(world, team))
        await asyncio.sleep(0.3)
        assert not erasing.done()
    assert name in (await erasing)["objects"]


async def texts_of(world: World, team: Team) -> int:
    return int(await world.one("select count(*) from public.texts where project_id = $1", team.id))


async def test_a_text_that_is_brought_meanwhile_goes_with_its_content(world, team):
    text = [{"sha256": sha256(SECRET.encode()), "body": SECRET}]
    async with world.as_person(team.reader) as conn:
        assert await world.rpc_on(conn, "store_texts", project=team.id, items=text) == {"stored": 1}
        erasing = asyncio.create_task(erase(world, team))
        await asyncio.sleep(0.3)
        assert not erasing.done()
    await erasing
    assert await texts_of(world, team) == 0
    found = await world.rpc(team.reader, "search", project=team.id, query="Jane")
    assert found["items"] == []


async def test_a_text_that_is_brought_while_its_content_is_being_erased_is_left_out(world, team):
    text = [{"sha256": sha256(SECRET.encode()), "body": SECRET}]
    async with world.as_person(team.owner) as conn:
        await world.rpc_on(
            conn, "erase_content", project=team.id, content=sha256(SECRET.encode()), reason="The law."
        )
        bringing = asyncio.create_task(world.rpc(team.reader, "store_texts", project=team.id, items=text))
        await asyncio.sleep(0.3)
        assert not bringing.done()
    assert await bringing == {"stored": 0}
    assert await texts_of(world, team) == 0


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"reason": "  "}, 422, "bad_erasure"),
        ({"reason": "x" * 1001}, 422, "bad_erasure"),
        ({"reason": "a\u0007b"}, 422, "bad_erasure"),
        ({"content": "0" * 64}, 404, "content_not_found"),
        ({"content": sha256(b"")}, 422, "bad_erasure"),
    ],
    ids=["no reason", "long reason", "control characters", "unknown content", "empty content"],
)
async def test_what_is_no_erasure_is_refused(world, team, wrong, status, code):
    await world.write(team.editor, team.id, "empty.md", "")
    asked = {"project": team.id, "content": sha256(SECRET.encode()), "reason": "x"} | wrong
    no = await refused(world.rpc(team.owner, "erase_content", **asked))
    assert (no.status, no.code) == (status, code)
    assert await world.one("select count(*) from public.erasures where project_id = $1", team.id) == 0


@pytest.mark.parametrize("role", ["editor", "reviewer", "reader", "outsider"])
async def test_only_owners_preview_erase_and_finish(world, team, role):
    person = getattr(team, role)
    expected = (404, "project_not_found") if role == "outsider" else (403, "role_too_low")
    content = sha256(SECRET.encode())
    made = (await erase(world, team))["erasure"]["id"]
    for call in (
        world.rpc(person, "preview_erasure", project=team.id, content=content),
        world.rpc(person, "erase_content", project=team.id, content=content, reason="x"),
        world.rpc(person, "finish_erasure", project=team.id, erasure=made),
    ):
        no = await refused(call)
        assert (no.status, no.code) == expected
    other = await world.team()
    no = await refused(world.rpc(other.owner, "finish_erasure", project=other.id, erasure=made))
    assert (no.status, no.code) == (404, "erasure_not_found")
    assert await names_of(world, team) != []


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_deletes_an_object_whose_content_was_not_erased(world, team, role):
    """Not even with the storage server's word that it may, nor with the secret key."""
    name = (await names_of(world, team))[0]
    async with attacker(world, team, role) as conn:
        await conn.execute("select set_config('storage.allow_delete_query', 'true', true)")
        attempt = conn.transaction()
        await attempt.start()
        try:
            gone = await conn.fetch("delete from storage.objects where name = $1 returning name", name)
        except asyncpg.PostgresError as error:
            assert error.sqlstate in {"42501", "23503"}  # noqa: PT017 - either way
            gone = []
        finally:
            await attempt.rollback()
    assert gone == []
    assert await names_of(world, team) == [name]


@pytest.mark.parametrize("role", ["owner", "editor", "reviewer", "reader", "outsider", "anon"])
async def test_storage_shows_erased_bytes_to_nobody_and_their_rows_to_owners_who_delete(world, team, role):
    other = await names_of(world, team, "nothing\n")
    made = await erase(world, team)
    seen = {}
    async with attacker(world, team, role) as conn:
        for operation in (
            "storage.object.get_authenticated",
            "object.list_v2",
            "storage.object.delete_many",
            "",
        ):
            await conn.execute("select set_config('storage.operation', $1, true)", operation)
            rows = await conn.fetch(
                "select name from storage.objects where name = any ($1)", [*made["objects"], *other]
            )
            seen[operation] = sorted(row["name"] for row in rows)
    left = sorted(other) if role not in {"outsider", "anon"} else []
    deleting = sorted([*made["objects"], *left]) if role == "owner" else left
    assert list(seen.values()) == [left, left, deleting, deleting]


@pytest.mark.parametrize("role", ["editor", "reviewer", "reader", "outsider", "anon"])
async def test_only_owners_delete_the_objects_of_what_was_erased(world, team, role):
    made = await erase(world, team)
    async with attacker(world, team, role) as conn:
        await conn.execute("select set_config('storage.allow_delete_query', 'true', true)")
        gone = await conn.fetch(
            "delete from storage.objects where name = any ($1) returning name", made["objects"]
        )
    assert gone == []
    other = await world.team()
    assert await delete_objects(world, other.owner, made["objects"]) == []
    assert await names_of(world, team) == made["objects"]


async def test_the_owner_of_the_tables_erases_nothing_without_its_record_and_takes_none_back(world, team):
    content = sha256(SECRET.encode())
    for sql in (
        "update public.blobs set erased_at = now()",
        "update public.blobs set sha256 = repeat('0', 64)",
        "delete from public.blobs",
    ):
        no = await refused(world.one(f"{sql} where sha256 = $1 and project_id = $2", content, team.id))
        assert (no.status, no.code) == (403, "immutable")
    await erase(world, team)
    for sql in (
        "update public.blobs set erased_at = null where sha256 = $1 and project_id = $2",
        "update public.blobs set erased_at = now() + '1 day' where sha256 = $1 and project_id = $2",
        "update public.erasures set reason = 'none' where sha256 = $1 and project_id = $2",
        "delete from public.erasures where sha256 = $1 and project_id = $2",
    ):
        no = await refused(world.one(sql, content, team.id))
        assert (no.status, no.code) == (403, "immutable")


async def test_an_archived_project_is_erased_from_as_well(world, team):
    await world.rpc(team.owner, "update_project", project=team.id, archived=True)
    made = await erase(world, team)
    assert await delete_objects(world, team.owner, made["objects"]) == made["objects"]
    done = await world.rpc(team.owner, "finish_erasure", project=team.id, erasure=made["erasure"]["id"])
    assert done["erasure"]["finished_at"] is not None
