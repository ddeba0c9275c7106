"""What Storage keeps true when things go wrong: races, broken uploads, immutable objects, crashes, large bodies."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import signal
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.local.storage_cases.world import World, world
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

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


async def rows(world: World, key: str) -> list[Any]:
    bucket, _, name = key.partition("/")
    return await world.stack.psql(
        "select * from storage.objects where bucket_id = $1 and name = $2", bucket, name
    )


async def still_there(world: World, key: str, content: bytes) -> None:
    assert (await world.get("service", key)).content == content


# Races


@pytest.mark.parametrize("size", [4096, 2_000_000], ids=["small", "streamed"])
async def test_of_eight_simultaneous_uploads_of_one_key_exactly_one_succeeds(world: World, size: int) -> None:
    for _ in range(5):
        key = f"open/{uuid.uuid4()}"
        bodies = [os.urandom(size) for _ in range(8)]
        before = len(world.files())
        answers = await asyncio.gather(*(world.put("owner", key, body) for body in bodies))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
        assert {answer.json()["code"] for answer in answers if answer.status_code == 400} == {
            "KeyAlreadyExists"
        }
        winner = next(body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200)
        await still_there(world, key, winner)
        assert len(world.files()) == before + 1


async def test_simultaneous_overwrites_leave_one_whole_object(world: World) -> None:
    key = f"open/{uuid.uuid4()}"
    bodies = [os.urandom(50_000) for _ in range(8)]
    before = len(world.files())
    answers = await asyncio.gather(
        *(world.put("owner", key, body, **{"x-upsert": "true"}) for body in bodies)
    )
    assert {answer.status_code for answer in answers} == {200}
    assert (await world.get("owner", key)).content in bodies
    assert len(world.files()) == before + 1


async def test_a_download_survives_overwrites(world: World) -> None:
    key = f"open/{uuid.uuid4()}"
    await world.put("owner", key, b"0" * 1000)

    async def overwrite() -> None:
        for number in range(1, 30):
            await world.put("owner", key, str(number % 10).encode() * 1000, **{"x-upsert": "true"})

    writing = asyncio.create_task(overwrite())
    while not writing.done():
        answer = await world.get("owner", key)
        assert answer.status_code == 200
        assert len(answer.content) == 1000
        assert len(set(answer.content)) == 1
        assert answer.headers["etag"] == f'"{hashlib.md5(answer.content).hexdigest()}"'
    await writing


# Broken uploads


@pytest.mark.parametrize("sent", [0, 1, 100_000, 3_000_000])
@pytest.mark.parametrize("declared", [200_000, 5_000_000, None])
async def test_an_aborted_upload_leaves_neither_row_nor_file(
    world: World, sent: int, declared: int | None
) -> None:
    if declared is not None and sent >= declared:
        sent = declared - 1
    key = f"open/{uuid.uuid4()}"
    before = world.files()
    url = httpx.URL(world.stack.supabase_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    length = f"content-length: {declared}" if declared is not None else "transfer-encoding: chunked"
    writer.write(
        f"POST /storage/v1/object/{key} HTTP/1.1\r\nhost: x\r\n"
        f"authorization: {world.headers['owner']['authorization']}\r\n{length}\r\n\r\n".encode()
    )
    body = b"x" * sent
    writer.write(body if declared is not None else f"{sent:x}\r\n".encode() + body + b"\r\n" if sent else b"")
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""

    async def gone() -> bool:
        return world.files() == before

    await world.stack.until(gone)
    assert await rows(world, key) == []


async def test_a_multipart_body_that_breaks_off_leaves_nothing(world: World) -> None:
    key = f"open/{uuid.uuid4()}"
    before = world.files()
    head = b'--b\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    for size in (10, 2_000_000):
        answer = await world.put("owner", key, head + b"x" * size, **headers)
        assert answer.json()["message"] == "Unexpected end of form"
    assert world.files() == before
    assert await rows(world, key) == []


@pytest.mark.parametrize("size", [1000, 200_000, 1_000_000, 8_000_000, 60_000_000])
@pytest.mark.parametrize("multipart", [True, False], ids=["multipart", "raw"])
@pytest.mark.parametrize("refused", ["duplicate", "policy", "bucket"])
async def test_a_refused_upload_never_hangs_a_kept_alive_connection(
    world: World, size: int, multipart: bool, refused: str
) -> None:
    """Section 4 has what the real server does here: it hangs."""
    await world.put("service", "open/taken", b"x")
    key = {"duplicate": "open/taken", "policy": "docs/x", "bucket": "none/x"}[refused]
    status = {"duplicate": "409", "policy": "403", "bucket": "404"}[refused]
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(base_url=world.http.base_url, limits=limits, timeout=10) as one:
        for _ in range(2):
            body: dict[str, Any] = (
                {"files": {"f": ("f", b"x" * size)}} if multipart else {"content": b"x" * size}
            )
            answer = await one.post(f"/object/{key}", headers=world.headers["owner"], **body)
            assert answer.json()["statusCode"] == status
            assert (await one.get("/object/open/taken", headers=world.headers["owner"])).content == b"x"


async def _ask(
    world: World, key: str, *lines: str
) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request's head and read the answer's, without sending a body."""
    url = httpx.URL(world.stack.supabase_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    authorization = f"authorization: {world.headers['owner']['authorization']}"
    head = (f"POST /storage/v1/object/{key} HTTP/1.1", "host: x", authorization, *lines)
    writer.write("\r\n".join((*head, "", "")).encode())
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10), reader, writer


async def test_a_body_beyond_every_limit_closes_the_connection(world: World) -> None:
    head, reader, writer = await _ask(world, "open/vast", f"content-length: {5 * 1024**3 + 1}")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"connection: close" in head.lower()
    assert b"EntityTooLarge" in await asyncio.wait_for(reader.read(), 10)
    writer.close()


async def test_who_asks_first_needs_not_send_what_would_be_refused(world: World) -> None:
    """Expect: 100-continue (RFC 9110, section 10.1.1)."""
    await world.put("service", "open/taken", b"x")
    head, _, writer = await _ask(world, "open/taken", "content-length: 9000000", "expect: 100-continue")
    assert head.startswith(b"HTTP/1.1 400")
    writer.close()
    head, _, writer = await _ask(
        world, f"open/{uuid.uuid4()}", "content-length: 9000000", "expect: 100-continue"
    )
    assert head.startswith(b"HTTP/1.1 100")
    writer.close()


async def test_a_chunked_body_is_held_to_the_limit(world: World) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    before = world.files()
    answer = await world.http.post("/object/small/chunked", headers=world.headers["owner"], content=chunks())
    assert answer.json()["code"] == "EntityTooLarge"
    assert world.files() == before


async def test_a_chunked_body_is_stored_whole(world: World) -> None:
    pieces = [os.urandom(n) for n in (1, 65_536, 1_048_577, 3, 2_000_000)]

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    key = f"open/{uuid.uuid4()}"
    assert (
        await world.http.post(f"/object/{key}", headers=world.headers["owner"], content=chunks())
    ).status_code == 200
    await still_there(world, key, b"".join(pieces))


# Objects that never change (section 3)


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


# Crashes


async def _reached(done: Iterable[Any], count: int) -> bool:
    return len(list(done)) >= count


async def test_a_killed_server_loses_no_accepted_object_and_sweeps_its_drafts(tmp_path: Path) -> None:
    with Stack(tmp_path, migrations=None) as stack:
        headers = {"authorization": f"Bearer {stack.service_role_key}"}
        accepted: dict[str, bytes] = {}

        async def upload(client: httpx.AsyncClient, number: int) -> None:
            body = os.urandom(700_000 if number % 3 == 0 else 3000)
            key = f"b/{number}"
            answer = await client.post(f"/object/{key}", headers=headers, content=body)
            if answer.status_code == 200:
                accepted[key] = body

        async with httpx.AsyncClient(base_url=f"{stack.supabase_url}/storage/v1", timeout=20) as client:
            (await client.post("/bucket", headers=headers, json={"name": "b"})).raise_for_status()
            tasks = [asyncio.create_task(upload(client, number)) for number in range(200)]
            await stack.until(lambda: _reached(accepted, 40))
            stack.kill()
            await asyncio.gather(*tasks, return_exceptions=True)
        (tmp_path / "storage" / "tmp" / "left").write_bytes(b"half")
        stack.start()
        assert list((tmp_path / "storage" / "tmp").iterdir()) == []
        assert 40 <= len(accepted) < 200
        async with httpx.AsyncClient(base_url=f"{stack.supabase_url}/storage/v1", timeout=20) as client:
            for key, body in accepted.items():
                assert (await client.get(f"/object/{key}", headers=headers)).content == body
            named = await stack.psql("select name, metadata ->> 'eTag' as etag from storage.objects")
            assert len(named) >= len(accepted)
            for found in named:
                answer = await client.get(f"/object/b/{found['name']}", headers=headers)
                assert answer.status_code == 200, "every row has its bytes"
                assert found["etag"] == f'"{hashlib.md5(answer.content).hexdigest()}"'


async def test_postgres_dies_under_uploads_and_no_row_is_without_bytes(tmp_path: Path) -> None:
    with Stack(tmp_path, migrations=None) as stack:
        headers = {"authorization": f"Bearer {stack.service_role_key}"}
        statuses: Counter[int] = Counter()
        async with httpx.AsyncClient(base_url=f"{stack.supabase_url}/storage/v1", timeout=20) as client:
            (await client.post("/bucket", headers=headers, json={"name": "b"})).raise_for_status()

            async def upload(number: int) -> None:
                statuses[
                    (
                        await client.post(f"/object/b/{number}", headers=headers, content=b"x" * 5000)
                    ).status_code
                ] += 1

            tasks = [asyncio.create_task(upload(number)) for number in range(300)]
            await stack.until(lambda: _reached(statuses.elements(), 30))
            os.kill(stack.postgres_pid, signal.SIGQUIT)
            await asyncio.gather(*tasks)
            assert set(statuses) <= {200, 544}, statuses

            async def answers() -> bool:
                return (
                    await client.post("/object/b/after", headers=headers, content=b"x")
                ).status_code == 200

            await stack.until(answers)
            for found in await stack.psql("select name from storage.objects"):
                assert (await client.get(f"/object/b/{found['name']}", headers=headers)).status_code == 200


@pytest.mark.parametrize("size", [200_000, 3_000_000], ids=["small", "streamed"])
async def test_a_full_disk_is_a_500_and_leaves_nothing(world: World, size: int) -> None:
    """A limit on file sizes fails the write half-way, as a full disk does."""
    key = f"open/{uuid.uuid4()}"
    before = world.files()
    old = resource.prlimit(world.stack.pid, resource.RLIMIT_FSIZE, (150_000, -1))
    try:
        answer = await world.put("owner", key, b"x" * size)
    finally:
        resource.prlimit(world.stack.pid, resource.RLIMIT_FSIZE, old)
    assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")
    assert world.files() == before
    assert await rows(world, key) == []
    assert (await world.put("owner", key, b"x" * size)).status_code == 200


# Large bodies


@pytest.mark.slow
@pytest.mark.parametrize("multipart", [True, False], ids=["multipart", "raw"])
async def test_a_large_object_moves_through_flat_memory(
    world: World, tmp_path: Path, multipart: bool
) -> None:
    source = tmp_path / "large"
    block = os.urandom(1024 * 1024)
    with source.open("wb") as file:
        for _ in range(300):
            file.write(block)
    digest = hashlib.md5(block * 1)
    for _ in range(299):
        digest.update(block)
    gateway = psutil.Process(world.stack.pid)
    key = f"open/{uuid.uuid4()}"
    await world.put("owner", f"{key}-warm", block * 4)
    resting = gateway.memory_info().rss
    peak = resting
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, gateway.memory_info().rss)
            await asyncio.sleep(0.02)

    async def pieces() -> AsyncIterator[bytes]:
        with source.open("rb") as file:
            while chunk := file.read(256 * 1024):
                yield chunk

    watching = asyncio.create_task(watch())
    body: dict[str, Any]
    with source.open("rb") as file:
        body = {"files": {"f": ("f", file)}} if multipart else {"content": pieces()}
        answer = await world.http.post(f"/object/{key}", headers=world.headers["owner"], timeout=120, **body)
    assert answer.status_code == 200
    received = hashlib.md5()
    async with world.http.stream(
        "GET", f"/object/{key}", headers=world.headers["owner"], timeout=120
    ) as download:
        assert download.headers["etag"] == f'"{digest.hexdigest()}"'
        async for chunk in download.aiter_raw():
            received.update(chunk)
    done.set()
    await watching
    await world.http.delete(f"/object/{key}", headers=world.headers["owner"])
    assert received.hexdigest() == digest.hexdigest()
    assert peak - resting < 64 * 1024 * 1024, f"{(peak - resting) >> 20} MiB more"


async def test_a_download_that_nobody_reads_stops(world: World) -> None:
    """The client goes away after the first bytes: the server must let go of the file."""
    key = f"open/{uuid.uuid4()}"
    await world.put("owner", key, b"x" * 40_000_000)
    gateway = psutil.Process(world.stack.pid)
    for _ in range(3):
        async with world.http.stream("GET", f"/object/{key}", headers=world.headers["owner"]) as download:
            await anext(download.aiter_raw())

    async def closed() -> bool:
        return not any("/objects/" in file.path for file in gateway.open_files())

    await world.stack.until(closed)
    assert (await world.get("owner", key)).content == b"x" * 40_000_000


async def test_the_statement_s_role_doesn_t_outlive_it(world: World) -> None:
    """Calls of many roles share connections: a refusal under one must not change what the next may do."""

    async def one(number: int) -> tuple[str, int]:
        who = ("owner", "anon", "service", "unknown role", "no uuid")[number % 5]
        return who, (await world.put(who, f"docs/{world.ids['owner']}/role{number}", b"x")).status_code

    answers = Counter(await asyncio.gather(*(one(number) for number in range(200))))
    assert answers == {
        ("owner", 200): 40, ("anon", 400): 40, ("service", 200): 40, ("unknown role", 500): 40, ("no uuid", 400): 40,
    }  # fmt: skip
    conn = await asyncpg.connect(world.stack.dsn("supabase_storage_admin"))
    try:
        left = "select current_user, current_setting('request.jwt.claims', true) from storage.buckets limit 1"
        assert tuple((await conn.fetch(left))[0]) == ("supabase_storage_admin", None)
    finally:
        await conn.close()


# Strangers

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=10)
    | st.sampled_from(["docs", "open", "name", "asc", "created_at", "60", "1KB"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAMES = (
    "prefixes", "prefix", "limit", "offset", "search", "sortBy", "cursor", "with_delimiter", "expiresIn", "paths", "bucketId", "sourceKey", "destinationKey", "destinationBucket", "metadata", "copyMetadata", "name", "id", "public", "file_size_limit", "allowed_mime_types", "type", "column", "order",
)  # fmt: skip
REQUESTS = (
    "DELETE /object/open", "POST /object/list/open", "POST /object/list-v2/open", "POST /object/sign/open",
    "POST /object/sign/open/x", "POST /object/move", "POST /object/copy", "POST /bucket", "PUT /bucket/open",
)  # fmt: skip


@given(
    request=st.sampled_from(REQUESTS),
    body=JSON
    | st.dictionaries(
        st.sampled_from(NAMES), JSON | st.fixed_dictionaries({"column": JSON, "order": JSON}), max_size=6
    ),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_json_breaks_the_server(world: World, request: str, body: Any) -> None:
    method, path = request.split()
    answer = await world.http.request(method, path, headers=world.headers["owner"], json=body)
    assert answer.status_code in (200, 400), answer.text


@given(
    headers=st.dictionaries(
        st.sampled_from(
            [
                "range",
                "if-none-match",
                "if-modified-since",
                "x-metadata",
                "x-upsert",
                "content-type",
                "cache-control",
            ]
        ),
        st.text(
            st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=30
        ).map(str.strip),
    ),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_header_breaks_the_server(world: World, headers: dict[str, str], method: str) -> None:
    raw = [(name, value.encode("latin-1")) for name, value in {**world.headers["owner"], **headers}.items()]
    answer = await world.http.request(method, "/object/open/headers", headers=raw, content=b"x")
    assert answer.status_code in (200, 206, 304, 400, 416), answer.text
