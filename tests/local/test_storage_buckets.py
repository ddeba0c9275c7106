"""Keys, buckets and the database's own refusals as measured: wire/storage.md, sections 1, 7 and 9."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.local.storage_cases.world import BYTES, World, key, world

if TYPE_CHECKING:
    import httpx

__all__ = ["key", "world"]


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
    for limit in (5 * 1024**3 + 1, "6GB", f"{10**400}b"):
        body = {"name": "vast", "file_size_limit": limit}
        answer = await world.http.post("/bucket", headers=world.headers["service"], json=body)
        assert answer.json()["code"] == "EntityTooLarge", limit


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


RAISE = """
create or replace function public.raise_state() returns trigger language plpgsql as $$ begin
    raise exception 'said the trigger' using errcode = split_part(new.name, '/', 2);
end $$;
create or replace trigger raise_state before insert on storage.objects
    for each row when (new.name like 'raise/%') execute function public.raise_state();
"""


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("57014", (544, "544", "DatabaseTimeout", "The connection to the database timed out")),
        ("53300", (429, "429", "SlowDown", "Too many connections issued to the database")),
        (
            "25006",
            (
                400,
                "503",
                "DatabaseReadOnly",
                "The database is currently in read-only mode. Please try again later.",
            ),
        ),
        ("55P03", (400, "423", "ResourceLocked", "The resource is locked")),
        ("42501", (400, "403", "AccessDenied", "said the trigger")),
        ("22P02", (400, "400", "InvalidParameter", "said the trigger")),
        ("23503", (400, "404", "InvalidRequest", "The related resource does not exist")),
        ("23505", (400, "409", "KeyAlreadyExists", "The resource already exists")),
        ("P0001", (500, "500", "DatabaseError", "database error, code: P0001")),
        ("40001", (500, "500", "DatabaseError", "database error, code: 40001")),
    ],
)
async def test_postgresql_s_errors(world: World, state: str, expected: tuple[int, str, str, str]) -> None:
    """Section 1: HTTP 400, save for what the server or its database is to blame for."""
    await world.stack.psql(RAISE)
    files = world.files()
    answer = await world.put("owner", f"open/raise/{state}", BYTES)
    body = answer.json()
    assert (answer.status_code, body["statusCode"], body["code"], body["message"]) == expected
    assert world.files() == files
