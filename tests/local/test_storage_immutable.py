"""Objects that never change: a trigger and a foreign key hold even against the service key (wire/storage.md, section 3)."""

from __future__ import annotations

import uuid

import pytest

from tests.local.storage_cases.world import World, still_there, world

__all__ = ["world"]


IMMUTABLE = """
create schema ledger;
create table ledger.blobs (object uuid primary key references storage.objects (id));
create function ledger.refuse_change() returns trigger language plpgsql as $$ begin
    if (old.bucket_id, old.name, old.version) is distinct from (new.bucket_id, new.name, new.version) then
        raise exception 'An object never changes.' using errcode = '23505';
    end if;
    return new;
end $$;
create trigger refuse_change before update on storage.objects
    for each row when (old.bucket_id = 'kept') execute function ledger.refuse_change();
create policy kept on storage.objects for all to authenticated using (bucket_id = 'kept') with check (bucket_id = 'kept');
"""


@pytest.fixture(scope="module")
async def kept(world: World) -> World:
    """A bucket whose objects never change, and a table whose rows point to them."""
    await world.stack.psql(IMMUTABLE)
    (
        await world.http.post("/bucket", headers=world.headers["service"], json={"name": "kept"})
    ).raise_for_status()
    return world


async def referenced(world: World) -> str:
    """Upload an object, let a row point to it, and return its key."""
    key = f"kept/{uuid.uuid4()}"
    made = await world.put("owner", key, b"for ever")
    await world.stack.psql("insert into ledger.blobs values ($1)", uuid.UUID(made.json()["Id"]))
    return key


async def test_an_upsert_of_an_immutable_object_is_a_duplicate(kept: World) -> None:
    key = await referenced(kept)
    for who in ("owner", "service"):
        for size in (10, 2_000_000):
            answer = await kept.put(who, key, b"x" * size, **{"x-upsert": "true"})
            assert (answer.json()["statusCode"], answer.json()["code"]) == ("409", "ResourceAlreadyExists")
    answer = await kept.http.put(f"/object/{key}", headers=kept.headers["service"], content=b"x")
    assert (answer.json()["error"], answer.json()["code"]) == ("Duplicate", "ResourceAlreadyExists")
    await still_there(kept, key, b"for ever")


async def test_a_move_of_an_immutable_object_is_a_duplicate(kept: World) -> None:
    key = await referenced(kept)
    before = kept.files()
    body = {"bucketId": "kept", "sourceKey": key.partition("/")[2], "destinationKey": "elsewhere"}
    for who in ("owner", "service"):
        answer = await kept.http.post("/object/move", headers=kept.headers[who], json=body)
        assert (answer.json()["statusCode"], answer.json()["code"]) == ("409", "ResourceAlreadyExists")
    assert kept.files() == before
    await still_there(kept, key, b"for ever")


async def test_a_referenced_object_can_t_be_deleted(kept: World) -> None:
    key = await referenced(kept)
    name = key.partition("/")[2]
    other = f"kept/{uuid.uuid4()}"
    await kept.put("owner", other, b"deletable")
    before = kept.files()
    service = kept.headers["service"]
    answers = [
        await kept.http.request("DELETE", "/object/kept", headers=service, json={"prefixes": [name]}),
        await kept.http.request(
            "DELETE", "/object/kept", headers=service, json={"prefixes": [other.partition("/")[2], name]}
        ),
        await kept.http.delete(f"/object/{key}", headers=service),
        await kept.http.delete(f"/object/{key}", headers=kept.headers["owner"]),
        await kept.http.post("/bucket/kept/empty", headers=service),
    ]
    assert [(a.json()["statusCode"], a.json()["code"]) for a in answers] == [
        ("409", "ResourceReferenced")
    ] * 5
    bucket = await kept.http.delete("/bucket/kept", headers=service)
    assert bucket.json()["code"] == "ResourceNotEmpty"
    assert kept.files() == before
    await still_there(kept, key, b"for ever")
    await still_there(kept, other, b"deletable")


async def test_an_unreferenced_object_can_be_deleted_although_immutable(kept: World) -> None:
    key = f"kept/{uuid.uuid4()}"
    await kept.put("owner", key, b"x")
    assert (await kept.http.delete(f"/object/{key}", headers=kept.headers["owner"])).status_code == 200


async def test_a_trigger_s_own_refusal_reaches_the_client_and_leaves_no_bytes(world: World) -> None:
    await world.stack.psql(
        """
        create function public.refuse() returns trigger language plpgsql as $$ begin
            raise exception 'no' using errcode = 'P0001'; end $$;
        create trigger refuse before insert on storage.objects
            for each row when (new.name like 'refused%') execute function public.refuse();
        """
    )
    before = world.files()
    for size in (10, 2_000_000):
        answer = await world.put("owner", "open/refused", b"x" * size)
        assert (answer.status_code, answer.json()["message"]) == (500, "database error, code: P0001")
    assert world.files() == before
