"""Downloads, info and signed URLs as measured: wire/storage.md, section 6."""

from __future__ import annotations

import time

import jwt
import pytest

from app.local.keys import Keys
from app.local.storage.signing import Signer
from tests.local.storage_cases.world import BYTES, ETAG, World, form, key, row, world

__all__ = ["key", "world"]


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
    far = f"Mon, 01 Jan {10**20} 00:00:00 GMT"
    for odd in ("nonsense", far):
        assert (await world.get("owner", key, **{"if-modified-since": odd})).status_code == 200


@pytest.mark.parametrize("said", ["2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z"])
async def test_a_time_that_plain_sql_wrote_is_shown_in_utc(world: World, key: str, said: str) -> None:
    await world.put("owner", key, BYTES)
    await world.stack.psql(
        "update storage.objects set metadata = metadata || jsonb_build_object('lastModified', $2::text) "
        "where name = $1",
        key.partition("/")[2],
        said,
    )
    modified = "Fri, 02 Jan 2026 03:04:05 GMT"
    answer = await world.get("owner", key, **{"if-modified-since": "Fri, 02 Jan 2026 03:04:04 GMT"})
    assert (answer.status_code, answer.headers["last-modified"]) == (200, modified)
    assert (await world.get("owner", key, **{"if-modified-since": modified})).status_code == 304


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
    for _ in range(20):
        second = int(time.time())
        urls = [
            (
                await world.http.post(
                    f"/object/sign/{key}", headers=world.headers["owner"], json={"expiresIn": 60}
                )
            ).json()
            for _ in range(2)
        ]
        if int(time.time()) == second:  # both were made in it
            break
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
    ended = Signer(Keys.load(world.stack.data)).sign(key, "download", seconds=-1)
    answer = (await world.http.get(f"/object/sign/{key}?token={ended}")).json()
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
