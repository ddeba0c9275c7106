"""Uploads, downloads, lists, keys and buckets as measured: wire/storage.md, sections 3 and 5 to 9."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import jwt
import pytest

from tests.local.storage_cases.world import World, world

if TYPE_CHECKING:
    import httpx

__all__ = ["world"]

BYTES = b"0123456789"
ETAG = f'"{hashlib.md5(BYTES).hexdigest()}"'


@pytest.fixture
def key(world: World) -> str:
    """A key below the owner's prefix in `docs`, of its own for each test."""
    return f"docs/{world.ids['owner']}/{uuid.uuid4().hex}"


async def form(
    world: World, who: str, key: str, content: bytes, type_: str = "text/plain", **fields: str
) -> httpx.Response:
    return await world.http.post(
        f"/object/{key}", headers=world.headers[who], data=fields, files={"file": ("name", content, type_)}
    )


async def row(world: World, key: str) -> Any:
    bucket, _, name = key.partition("/")
    rows = await world.stack.psql(
        "select * from storage.objects where bucket_id = $1 and name = $2", bucket, name
    )
    return rows[0] if rows else None


async def info(world: World, key: str) -> dict[str, Any]:
    answer = await world.get("service", f"info/{key}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


# Section 5: uploads


async def test_a_form_stores_the_bare_type_and_max_age(world: World, key: str) -> None:
    answer = await form(world, "owner", key, BYTES, "text/plain;charset=UTF-8", cacheControl="3600")
    found = await row(world, key)
    assert answer.json() == {"Id": str(found["id"]), "Key": key}
    metadata = json.loads(found["metadata"])
    assert metadata.pop("lastModified").endswith("Z")
    assert metadata == {
        "eTag": ETAG,
        "size": 10,
        "mimetype": "text/plain",
        "cacheControl": "max-age=3600",
        "contentLength": 10,
        "httpStatusCode": 200,
    }
    assert str(found["owner"]) == found["owner_id"] == world.ids["owner"]
    assert found["user_metadata"] == "{}"
    uuid.UUID(found["version"])


async def test_a_form_without_cache_control_is_no_cache(world: World, key: str) -> None:
    await form(world, "owner", key, BYTES)
    assert (await info(world, key))["cache_control"] == "no-cache"


async def test_a_raw_body_keeps_its_headers_to_the_letter(world: World, key: str) -> None:
    headers = {
        "content-type": "text/x; a=B",
        "cache-control": "private, Max-Age=7",
        "x-metadata": encoded({"a": "ü"}),
    }
    await world.put("owner", key, BYTES, **headers)
    found = await info(world, key)
    assert (found["content_type"], found["cache_control"]) == ("text/x; a=B", "private, Max-Age=7")
    assert found["metadata"] == {"a": "ü"}


async def test_an_empty_body_is_an_object(world: World, key: str) -> None:
    assert (await world.put("owner", key, b"")).status_code == 200
    assert (await info(world, key))["size"] == 0
    answer = await world.get("owner", key)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("headers", [{"if-none-match": "*"}, {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}])
async def test_conditions_on_an_upload_are_ignored(world: World, key: str, headers: dict[str, str]) -> None:
    assert (await world.put("owner", key, BYTES, **headers)).status_code == 200


async def test_put_creates_what_is_missing(world: World) -> None:
    key = f"open/{uuid.uuid4()}"
    answer = await world.http.put(f"/object/{key}", headers=world.headers["owner"], content=BYTES)
    assert answer.json()["Key"] == key


async def test_an_overwrite_keeps_the_id_changes_the_version_and_resets_metadata(world: World) -> None:
    key = f"open/{uuid.uuid4()}"
    await world.put("owner", key, BYTES, **{"x-metadata": encoded({"a": 1})})
    before, files = await row(world, key), world.files()
    await world.put("owner", key, b"new", **{"x-upsert": "true"})
    after = await row(world, key)
    assert after["id"] == before["id"]
    assert after["version"] != before["version"]
    assert after["updated_at"] > before["updated_at"]
    assert after["user_metadata"] == "{}"
    assert len(world.files()) == len(files), "the old bytes are deleted at once"
    assert (await world.get("owner", key)).content == b"new"


async def test_an_array_as_user_metadata_is_refused(world: World, key: str) -> None:
    answer = await form(world, "owner", key, BYTES, metadata="[1]")
    assert answer.json()["code"] == "InvalidParameter"
    assert "invalid input syntax for type json" in answer.json()["message"]


async def test_user_metadata_beyond_a_mebibyte_is_dropped_and_below_it_is_kept(
    world: World, key: str
) -> None:
    large = json.dumps({"a": "x" * 1_100_000})
    await form(world, "owner", f"{key}-large", BYTES, metadata=large)
    assert (await info(world, f"{key}-large"))["metadata"] == {}
    fine = {"a": "x" * 900_000}
    await form(world, "owner", f"{key}-fine", BYTES, metadata=json.dumps(fine))
    assert (await info(world, f"{key}-fine"))["metadata"] == fine


async def test_user_metadata_that_is_no_json_is_dropped(world: World, key: str) -> None:
    assert (await form(world, "owner", key, BYTES, metadata="{a")).status_code == 200
    assert (await info(world, key))["metadata"] == {}


async def test_a_folder_placeholder_is_empty(world: World, key: str) -> None:
    assert (await world.put("owner", f"{key}/.emptyFolderPlaceholder", b"x")).json()["statusCode"] == "413"
    assert (await form(world, "owner", f"{key}/.emptyFolderPlaceholder", b"x")).json()["statusCode"] == "413"
    assert (await world.put("owner", f"{key}/.emptyFolderPlaceholder", b"")).status_code == 200


async def test_a_form_without_a_file_is_no_upload(world: World, key: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    body = b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n'
    assert (await world.put("owner", key, body, **headers)).json()["message"] == "No content provided"
    assert (await world.put("owner", key, body[:-9], **headers)).json()["message"] == "Unexpected end of form"
    assert (await world.put("owner", key, b"", **{"content-type": "multipart/form-data"})).json()[
        "code"
    ] == "InvalidRequest"
    assert await row(world, key) is None


@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_a_policy_sees_what_the_request_declares(world: World, size: int) -> None:
    """Section 2: the version is 1, the length the declared one with multipart's overhead."""
    await world.stack.psql(
        """
        create or replace function public.show(o storage.objects) returns boolean language plpgsql as $$ begin
            raise exception '%', json_build_object(
                'version', o.version, 'metadata', o.metadata, 'owner', o.owner, 'owner_id', o.owner_id,
                'user_metadata', o.user_metadata, 'operation', storage.operation(), 'role', current_user,
                'uid', auth.uid()) using errcode = '22P02';
        end $$;
        drop policy if exists shown on storage.objects;
        create policy shown on storage.objects for insert to authenticated
            with check (bucket_id = 'shown' and public.show(objects));
        """
    )
    await world.http.post("/bucket", headers=world.headers["service"], json={"name": "shown"})
    answer = await form(world, "owner", "shown/x", b"x" * size, metadata='{"a": 1}')
    await world.stack.psql("drop policy shown on storage.objects")
    assert answer.json()["code"] == "InvalidParameter"
    assert json.loads(answer.json()["message"]) == {
        "version": "1",
        "metadata": {
            "mimetype": "text/plain",
            "contentLength": int(answer.request.headers["content-length"]),
        },
        "owner": world.ids["owner"],
        "owner_id": world.ids["owner"],
        "user_metadata": {"a": 1},
        "operation": "storage.object.upload",
        "role": "authenticated",
        "uid": world.ids["owner"],
    }


# Section 5: signed upload URLs


async def test_a_signed_upload_url_works_once(world: World, key: str) -> None:
    made = (await world.http.post(f"/object/upload/sign/{key}", headers=world.headers["owner"])).json()
    claims = jwt.decode(made["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 7200
    assert {name: claims[name] for name in ("url", "upsert", "owner", "scope")} == {
        "url": key,
        "upsert": False,
        "owner": world.ids["owner"],
        "scope": "upload",
    }
    assert made["url"] == f"/object/upload/sign/{key}?token={made['token']}"
    first = await world.http.put(made["url"], content=BYTES)
    assert first.json() == {"Key": key}
    assert (await row(world, key))["owner_id"] == world.ids["owner"]
    assert (await world.http.put(made["url"], content=BYTES)).json()["code"] == "KeyAlreadyExists"
    other = await world.http.put(f"/object/upload/sign/{key}-other?token={made['token']}", content=BYTES)
    assert other.json()["code"] == "InvalidSignature"


async def test_a_download_token_doesn_t_upload_nor_the_other_way_round(world: World, key: str) -> None:
    upload = (await world.http.post(f"/object/upload/sign/{key}", headers=world.headers["owner"])).json()[
        "token"
    ]
    await world.put("owner", key, BYTES)
    signed = await world.http.post(
        f"/object/sign/{key}", headers=world.headers["owner"], json={"expiresIn": 9}
    )
    download = signed.json()["signedURL"].partition("token=")[2]
    assert (await world.http.get(f"/object/sign/{key}?token={upload}")).json()["code"] == "InvalidSignature"
    answer = await world.http.put(f"/object/upload/sign/{key}?token={download}", content=b"")
    assert answer.json()["code"] == "InvalidSignature"


# Section 6: downloads


async def test_a_download_s_headers(world: World, key: str) -> None:
    await form(world, "owner", key, BYTES, "text/markdown", cacheControl="60")
    answer = await world.get("owner", key)
    assert answer.content == BYTES
    headers = dict(answer.headers)
    assert headers.pop("date")
    assert headers.pop("last-modified").endswith("GMT")
    assert headers == {
        "etag": ETAG,
        "content-length": "10",
        "accept-ranges": "bytes",
        "content-type": "text/markdown",
        "x-robots-tag": "none",
        "cache-control": "max-age=60",
    }
    head = await world.http.head(f"/object/{key}", headers=world.headers["owner"])
    assert {name: head.headers.get(name) for name in headers} == headers
    assert head.content == b""


async def test_html_is_served_as_text(world: World, key: str) -> None:
    await form(world, "owner", key, b"<script>", "text/html")
    assert (await world.get("owner", key)).headers["content-type"] == "text/plain"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (ETAG, 304),
        (ETAG.strip('"'), 200),
        (f"W/{ETAG}", 200),
        ("*", 200),
        (f'{ETAG}, "x"', 200),
        ('"x"', 200),
    ],
)
async def test_if_none_match_must_be_the_etag_to_the_letter(
    world: World, key: str, given: str, status: int
) -> None:
    await form(world, "owner", key, BYTES, cacheControl="60")
    answer = await world.get("owner", key, **{"if-none-match": given})
    assert (answer.status_code, answer.content) == (status, b"" if status == 304 else BYTES)
    assert answer.headers["etag"] == ETAG
    stale = "" if status == 304 else ", stale-while-revalidate=30"
    assert answer.headers["cache-control"] == f"max-age=60{stale}"


async def test_last_modified_sent_back_is_older_than_the_file(world: World, key: str) -> None:
    await world.put("owner", key, BYTES)
    await world.stack.psql(  # a time with a fraction, whatever the clock said
        'update storage.objects set metadata = metadata || \'{"lastModified": "2026-01-02T03:04:05.678Z"}\' where name = $1',
        key.partition("/")[2],
    )
    modified = (await world.get("owner", key)).headers["last-modified"]
    assert modified == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert (await world.get("owner", key, **{"if-modified-since": modified})).status_code == 200
    later = "Fri, 02 Jan 2026 03:04:06 GMT"
    assert (await world.get("owner", key, **{"if-modified-since": later})).status_code == 304
    assert (await world.get("owner", key, **{"if-modified-since": "nonsense"})).status_code == 200


async def test_if_match_and_if_range_are_ignored(world: World, key: str) -> None:
    await world.put("owner", key, BYTES)
    assert (await world.get("owner", key, **{"if-match": '"x"'})).status_code == 200
    assert (await world.get("owner", key, **{"if-range": '"x"', "range": "bytes=0-1"})).status_code == 206


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("2-4", 2, 4), ("7-", 7, 9), ("-3", 7, 9), ("0-99", 0, 9), ("-99", 0, 9), ("9-9", 9, 9)],
)
async def test_a_range(world: World, key: str, asked: str, first: int, last: int) -> None:
    await world.put("owner", key, BYTES)
    answer = await world.get("owner", key, range=f"bytes={asked}")
    assert answer.status_code == 206
    assert answer.content == BYTES[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/10"
    assert answer.headers["content-length"] == str(last - first + 1)


async def test_a_range_of_a_large_object(world: World, key: str) -> None:
    body = bytes(range(256)) * 20_000
    await world.put("owner", key, body)
    answer = await world.get("owner", key, range="bytes=1000000-4999999")
    assert (answer.status_code, answer.content == body[1_000_000:5_000_000]) == (206, True)
    assert (await world.get("owner", key)).content == body


async def test_download_names_the_file(world: World, key: str) -> None:
    await world.put("owner", key, BYTES)
    named = await world.get("owner", f"{key}?download=n%C3%A4me%20(1).txt")
    encoded_name = "n%C3%A4me%20(1).txt"
    assert (
        named.headers["content-disposition"]
        == f"attachment; filename={encoded_name}; filename*=UTF-8''{encoded_name}"
    )
    assert (await world.get("owner", f"{key}?download=")).headers["content-disposition"] == "attachment;"


async def test_a_stored_type_can_t_end_its_header(world: World, key: str) -> None:
    await form(world, "owner", key, BYTES, contentType="text/plain\r\nset-cookie: a=b")
    answer = await world.get("owner", key)
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-type"] == "text/plainset-cookie: a=b"


async def test_info(world: World, key: str) -> None:
    await form(world, "owner", key, BYTES, cacheControl="60", metadata='{"a": {"b": [1]}}')
    answer = await world.get("owner", f"info/{key}")
    found = await row(world, key)
    expected = {
        "id": str(found["id"]),
        "name": found["name"],
        "version": found["version"],
        "bucket_id": "docs",
        "size": 10,
        "content_type": "text/plain",
        "cache_control": "max-age=60",
        "etag": ETAG,
        "metadata": {"a": {"b": [1]}},
    }
    body = answer.json()
    assert [body.pop(name)[-1] for name in ("last_modified", "created_at")] == ["Z", "Z"]
    assert body == expected
    assert answer.headers["etag"] == ETAG
    assert answer.headers["last-modified"].endswith("GMT")
    assert answer.headers["content-type"] == "application/json"
    same = await world.get("owner", f"info/authenticated/{key}")
    assert same.json() == answer.json()


async def test_a_signed_url(world: World, key: str) -> None:
    await form(world, "owner", key, BYTES)
    world_second = time.time() % 1
    if world_second > 0.8:  # both URLs must be made in the same second
        await asyncio.sleep(1 - world_second)
    urls = [
        (
            await world.http.post(
                f"/object/sign/{key}", headers=world.headers["owner"], json={"expiresIn": 60}
            )
        ).json()
        for _ in range(2)
    ]
    assert urls[0] == urls[1]
    url = urls[0]["signedURL"]
    token = url.partition("?token=")[2]
    assert url == f"/object/sign/{key}?token={token}"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert (claims["url"], claims["scope"], claims["exp"] - claims["iat"]) == (key, "download", 60)

    answer = await world.http.get(url)
    assert answer.content == BYTES
    assert "cache-control" not in answer.headers
    assert answer.headers["expires"].endswith("GMT")

    await world.put("service", key, b"newer", **{"x-upsert": "true"})
    assert (await world.http.get(url)).content == b"newer", "always the current bytes"
    tampered = (await world.http.get(url[:-6] + "AAAAAA")).json()
    assert (tampered["code"], tampered["message"]) == ("InvalidJWT", "signature verification failed")
    elsewhere = await world.http.get(f"/object/sign/{key}x?token={token}")
    assert elsewhere.json()["code"] == "InvalidSignature"
    await world.http.request("DELETE", f"/object/{key}", headers=world.headers["service"])
    assert (await world.http.get(url)).json()["code"] == "NoSuchKey"


async def test_a_signed_url_expires(world: World, key: str) -> None:
    await world.put("owner", key, BYTES)
    signed = await world.http.post(
        f"/object/sign/{key}", headers=world.headers["owner"], json={"expiresIn": 1}
    )
    await asyncio.sleep(2)
    answer = (await world.http.get(signed.json()["signedURL"])).json()
    assert (answer["code"], answer["message"]) == ("InvalidJWT", '"exp" claim timestamp check failed')


async def test_ten_years_are_accepted_and_a_thousand_paths(world: World, key: str) -> None:
    name = key.partition("/")[2]
    await world.put("owner", key, BYTES)
    body = {"expiresIn": 315_360_000, "paths": [name] * 1000}
    answer = await world.http.post("/object/sign/docs", headers=world.headers["owner"], json=body)
    assert len(answer.json()) == 1000
    assert answer.json()[0]["error"] is None
    assert (await world.http.get(answer.json()[0]["signedURL"])).content == BYTES
    body["paths"] = [name] * 1001
    refused = await world.http.post("/object/sign/docs", headers=world.headers["owner"], json=body)
    assert refused.json()["message"] == "body/paths must NOT have more than 1000 items"


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


# Section 7: keys and buckets


@pytest.mark.parametrize(
    "name", ["a//b", "/a", "a/", " a ", "!-_.*'()&$@=;:+,?", "fd", "fd/x", "FD", "a%b".replace("%", "&")]
)
async def test_odd_keys_are_keys_of_their_own(world: World, name: str) -> None:
    content = name.encode()
    path = "".join(f"%{byte:02X}" if chr(byte) in " ?#%&+" else chr(byte) for byte in content)
    answer = await world.http.post(
        f"/object/open/odd/{path}", headers=world.headers["owner"], content=content
    )
    assert answer.json().get("Key") == f"open/odd/{name}"
    assert (
        await world.http.get(f"/object/open/odd/{path}", headers=world.headers["owner"])
    ).content == content


@pytest.mark.parametrize("character", [*'"#%<>[\\]^`{|}~', "\x01", "\t", "\x7f", "é", "日", "🙂", "\u2028"])
async def test_other_characters_are_refused(world: World, character: str) -> None:
    path = "".join(f"%{byte:02X}" for byte in f"a{character}b".encode())
    answer = await world.http.post(f"/object/open/{path}", headers=world.headers["owner"], content=b"")
    assert (answer.json()["code"], answer.json()["message"]) == ("InvalidKey", f"Invalid key: a{character}b")


@pytest.mark.parametrize("name", ["a/%2E%2E/b", "%2E", "a/%2E"])
async def test_dot_segments_are_refused(world: World, name: str) -> None:
    answer = await world.http.post(f"/object/open/{name}", headers=world.headers["owner"], content=b"")
    assert answer.json()["code"] == "InvalidKey"


async def test_how_long_a_key_may_be(world: World) -> None:
    async def put(name: str) -> httpx.Response:
        return await world.put("owner", f"open/{name}", b"")

    assert (await put("a" * 255)).status_code == 200
    too_long = await put("a" * 256)
    assert (too_long.status_code, too_long.json()["code"]) == (500, "InternalError")
    parts = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(60)]
    assert (await put("/".join(parts[:38]))).status_code == 200
    huge = await put("/".join(parts[:60]))
    assert (huge.status_code, huge.json()["message"]) == (500, "database error, code: 54000")


@pytest.mark.parametrize("name", ["a" * 101, "a/b", " a", "a ", "ä", "a#b"])
async def test_bucket_names_that_are_refused(world: World, name: str) -> None:
    answer = await world.http.post("/bucket", headers=world.headers["service"], json={"name": name})
    assert (answer.json()["code"], answer.json()["error"]) == ("InvalidBucketName", "Invalid Input")


async def test_a_bucket_s_life(world: World) -> None:
    service, name = world.headers["service"], "b" * 100
    body = {"name": name, "public": True, "file_size_limit": "1KB", "allowed_mime_types": ["text/plain", ""]}
    assert (await world.http.post("/bucket", headers=service, json=body)).json() == {"name": name}
    found = (await world.http.get(f"/bucket/{name}", headers=service)).json()
    assert (found["id"], found["public"], found["file_size_limit"]) == (name, True, 1000)
    assert found["allowed_mime_types"] == ["text/plain"]
    change = {"public": False, "file_size_limit": None, "allowed_mime_types": None}
    changed = await world.http.put(f"/bucket/{name}", headers=service, json=change)
    assert changed.json() == {"message": "Successfully updated"}
    found = (await world.http.get(f"/bucket/{name}", headers=service)).json()
    assert (found["public"], found["file_size_limit"], found["allowed_mime_types"]) == (False, None, None)
    listed = (await world.http.get(f"/bucket?search={name[:50]}&limit=5", headers=service)).json()
    assert [(bucket["id"], bucket["type"]) for bucket in listed] == [(name, "STANDARD")]
    await world.put("service", f"{name}/x", BYTES)
    files = world.files()
    assert (await world.http.post(f"/bucket/{name}/empty", headers=service)).status_code == 200
    assert len(world.files()) == len(files) - 1
    assert (await world.http.delete(f"/bucket/{name}", headers=service)).json() == {
        "message": "Successfully deleted"
    }
    assert (await world.http.get(f"/bucket/{name}", headers=service)).json()["code"] == "NoSuchBucket"


async def test_a_bucket_s_limit_can_t_pass_the_server_s(world: World) -> None:
    body = {"name": "vast", "file_size_limit": 5 * 1024**3 + 1}
    assert (await world.http.post("/bucket", headers=world.headers["service"], json=body)).json()[
        "code"
    ] == "EntityTooLarge"


# Section 9: the database


async def test_plain_sql_deletes_nothing_and_the_server_s_own_schema_is_closed(
    world: World, key: str
) -> None:
    await world.put("owner", key, BYTES)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="Direct deletion"):
        await world.stack.psql("delete from storage.objects")
    for role in ("postgres", "anon", "authenticated", "service_role"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.stack.psql("select local_storage.become(null, null, 'x')", role=role)
