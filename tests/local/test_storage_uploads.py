"""Uploads and signed upload URLs as measured: wire/storage.md, sections 2, 3 and 5."""

from __future__ import annotations

import json
import uuid

import jwt
import pytest

from tests.local.storage_cases.world import BYTES, ETAG, World, encoded, form, info, key, row, world

__all__ = ["key", "world"]


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
