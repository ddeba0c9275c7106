"""Lists, removal, moves and copies as measured: wire/storage.md, sections 3, 6 and 9."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.local.storage_cases.world import BYTES, ETAG, World, encoded, form, info, key, row, world

__all__ = ["key", "world"]


# Section 6: lists and removal


async def test_a_list_has_folders_without_id(world: World, key: str) -> None:
    folder = key.partition("/")[2]
    for name in ("b.txt", "a/1", "a/2", "c", "c/x"):
        await world.put("owner", f"docs/{folder}/{name}", BYTES)
    body: dict[str, Any] = {
        "prefix": folder,
        "limit": 100_000,
        "offset": 0,
        "sortBy": {"column": "name", "order": "asc"},
    }
    answer = (await world.http.post("/object/list/docs", headers=world.headers["owner"], json=body)).json()
    assert sorted((entry["name"], entry["id"] is None) for entry in answer) == [
        ("a", True),
        ("b.txt", False),
        ("c", False),
        ("c", True),
    ]
    found = next(entry for entry in answer if entry["name"] == "b.txt")
    assert found["metadata"]["size"] == 10
    assert set(found) == {"name", "id", "updated_at", "created_at", "last_accessed_at", "metadata"}
    body.update(limit=1, offset=1)
    assert (
        len((await world.http.post("/object/list/docs", headers=world.headers["owner"], json=body)).json())
        == 1
    )
    searched = {"prefix": folder, "search": "b"}
    names = [
        e["name"]
        for e in (
            await world.http.post("/object/list/docs", headers=world.headers["owner"], json=searched)
        ).json()
    ]
    assert names == ["b.txt"]


async def listed(world: World, bucket: str, **body: Any) -> list[dict[str, Any]]:
    answer = await world.http.post(f"/object/list/{bucket}", headers=world.headers["owner"], json=body)
    return list(answer.json())


async def test_a_list_by_name_sorts_folders_and_objects_together(world: World) -> None:
    for name in ("B", "a/1", "A/2", "c", "b/x"):
        await world.put("owner", f"open/sorted/{name}", BYTES)
    by_name = await listed(world, "open", prefix="sorted")
    assert [(entry["name"], entry["id"] is None) for entry in by_name] == [
        ("A", True), ("B", False), ("b", True), ("c", False)
    ]  # fmt: skip
    down = await listed(world, "open", prefix="sorted", sortBy={"column": "name", "order": "desc"})
    assert [entry["name"] for entry in down] == ["c", "b", "B", "A"]
    by_time = await listed(world, "open", prefix="SORTED", sortBy={"column": "created_at", "order": "desc"})
    assert [entry["name"] for entry in by_time] == ["b", "A", "c", "B"]
    inside = await listed(world, "open", prefix="sorted", search="b/x")
    assert [entry["name"] for entry in inside] == ["b/x"]


async def test_a_list_has_at_most_1500_entries(world: World) -> None:
    await world.stack.psql(
        "insert into storage.objects (bucket_id, name) select 'open', 'many/' || n from generate_series(1, 1600) n"
    )
    assert len(await listed(world, "open", prefix="many", limit=100_000)) == 1500
    assert len(await listed(world, "open", prefix="many")) == 100
    assert len(await listed(world, "open", prefix="many", limit=100_000, offset=1500)) == 100


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("column", ["name", "created_at", "updated_at"])
@pytest.mark.parametrize("delimited", [True, False])
async def test_list_v2_pages_through_everything_once(
    world: World, key: str, column: str, order: str, delimited: bool
) -> None:
    folder = key.partition("/")[2]
    names = ["a/1", "a/2", "b", "c", "d/1", "e", "f"]
    for name in names:
        await world.put("owner", f"docs/{folder}/{name}", BYTES)
    seen: list[str] = []
    body: dict[str, Any] = {
        "prefix": f"{folder}/",
        "limit": 2,
        "with_delimiter": delimited,
        "sortBy": {"column": column, "order": order},
    }
    for _ in range(10):
        page = (
            await world.http.post("/object/list-v2/docs", headers=world.headers["owner"], json=body)
        ).json()
        seen += [entry["name"].removeprefix(f"{folder}/") for entry in page["folders"] + page["objects"]]
        if not page["hasNext"]:
            break
        assert len(page["folders"]) + len(page["objects"]) == 2
        body["cursor"] = page["nextCursor"]
    expected = ["a/", "b", "c", "d/", "e", "f"] if delimited else names
    assert sorted(seen) == sorted(expected)
    if column == "name":
        # A page gives its folders before its objects, so only within an undelimited list is the order to see.
        assert delimited or seen == sorted(expected, reverse=order == "desc")


async def test_a_bad_cursor_is_refused(world: World) -> None:
    answer = await world.http.post(
        "/object/list-v2/docs", headers=world.headers["owner"], json={"cursor": "!!"}
    )
    assert answer.json()["code"] == "InvalidParameter"


async def test_remove_gives_the_deleted_rows(world: World) -> None:
    keys = [f"{uuid.uuid4()}" for _ in range(3)]
    for name in keys:
        await world.put("owner", f"open/{name}", BYTES)
    before = len(world.files())
    body = {"prefixes": [*keys, "missing"] + [f"m{n}" for n in range(5000)]}
    answer = await world.http.request("DELETE", "/object/open", headers=world.headers["owner"], json=body)
    assert sorted(item["name"] for item in answer.json()) == sorted(keys)
    first = answer.json()[0]
    assert (first["bucket_id"], first["owner_id"], first["metadata"]["size"]) == (
        "open",
        world.ids["owner"],
        10,
    )
    assert len(world.files()) == before - 3
    assert (await world.get("owner", f"open/{keys[0]}")).json()["code"] == "NoSuchKey"


async def test_single_delete(world: World) -> None:
    await world.put("owner", "open/one", BYTES)
    files = world.files()
    answer = await world.http.delete("/object/open/one", headers=world.headers["owner"])
    assert answer.json() == {"message": "Successfully deleted"}
    assert len(world.files()) == len(files) - 1


async def test_move_and_copy_keep_the_bytes(world: World, key: str) -> None:
    await form(world, "owner", key, BYTES, cacheControl="60", metadata='{"a": 1}')
    before, name, files = await row(world, key), key.partition("/")[2], len(world.files())
    body = {
        "bucketId": "docs",
        "sourceKey": name,
        "destinationBucket": "open",
        "destinationKey": f"{name}-moved",
    }
    moved = await world.http.post("/object/move", headers=world.headers["service"], json=body)
    assert moved.json() == {"message": "Successfully moved", "Id": str(before["id"]), "Key": f"{name}-moved"}
    assert await row(world, key) is None
    after = await row(world, f"open/{name}-moved")
    assert after["version"] != before["version"]
    assert len(world.files()) == files
    body = {"bucketId": "open", "sourceKey": f"{name}-moved", "destinationKey": f"{name}-copied"}
    copied = (await world.http.post("/object/copy", headers=world.headers["owner"], json=body)).json()
    assert copied["Key"] == f"open/{name}-copied"
    assert copied["Id"] == copied["id"] != str(before["id"])
    for key_now in (f"open/{name}-moved", f"open/{name}-copied"):
        found = await info(world, key_now)
        assert (found["etag"], found["cache_control"], found["metadata"]) == (ETAG, "max-age=60", {"a": 1})
        assert (await world.get("owner", key_now)).content == BYTES
    await world.http.delete(f"/object/open/{name}-moved", headers=world.headers["owner"])
    assert (await world.get("owner", f"open/{name}-copied")).content == BYTES, (
        "a copy doesn't die with its source"
    )


async def test_copy_may_change_the_metadata(world: World) -> None:
    await world.put("owner", "open/source", BYTES, **{"content-type": "a/b", "x-metadata": encoded({"a": 1})})
    body = {
        "bucketId": "open",
        "sourceKey": "source",
        "destinationKey": "changed",
        "copyMetadata": False,
        "metadata": {"mimetype": "c/d"},
    }
    headers = {**world.headers["owner"], "x-metadata": encoded({"b": 2})}
    assert (await world.http.post("/object/copy", headers=headers, json=body)).status_code == 200
    found = await info(world, "open/changed")
    assert (found["content_type"], found["cache_control"], found["metadata"]) == ("c/d", "no-cache", {"b": 2})
    again = await world.http.post("/object/copy", headers={**headers, "x-upsert": "true"}, json=body)
    assert again.status_code == 200


async def test_a_row_without_bytes_is_not_found(world: World) -> None:
    """Section 9: whoever may INSERT can forge a row by plain SQL. It must never open another's bytes."""
    name = f"{world.ids['owner']}/forged"
    await world.put("other", f"docs/{world.ids['other']}/secret", b"secret")
    victim = await row(world, f"docs/{world.ids['other']}/secret")
    for version in (victim["version"], "../../../etc/passwd", None):
        await world.stack.psql(
            "insert into storage.objects (bucket_id, name, version, metadata) values ('docs', $1, $2, $3) "
            "on conflict (bucket_id, name) do update set version = excluded.version",
            name,
            version,
            victim["metadata"],
        )
        answer = await world.get("owner", f"docs/{name}")
        assert answer.status_code == 400
        assert answer.json()["statusCode"] == "404"
