"""The official clients against the embedded Storage: supabase-py (storage3) here, supabase-js in js/test_storage.mjs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from storage3.exceptions import StorageApiError
from supabase import AsyncClientOptions, acreate_client

from tests.local.storage_cases.world import World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from storage3 import AsyncStorageClient

__all__ = ["world"]

JS = Path(__file__).parent / "js"


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


async def storage(world: World, http: httpx.AsyncClient, who: str) -> AsyncStorageClient:
    """storage3 through supabase-py, as a user (or anybody) with that Authorization."""
    options = AsyncClientOptions(
        headers={"Authorization": world.headers[who]["authorization"]},
        httpx_client=http,
        auto_refresh_token=False,
        persist_session=False,
    )
    key = world.stack.secret_key if who == "service" else world.stack.publishable_key
    return (await acreate_client(world.stack.supabase_url, key, options)).storage


@pytest.fixture
def name(world: World) -> str:
    return f"{world.ids['owner']}/{uuid.uuid4().hex}"


async def test_upload_bytes_reader_file_and_path(
    world: World, http: httpx.AsyncClient, name: str, tmp_path: Path
) -> None:
    docs = (await storage(world, http, "owner")).from_("docs")
    content = os.urandom(300_000)
    path = tmp_path / "source"
    path.write_bytes(content)
    made = await docs.upload(f"{name}-bytes", content)
    assert (made.path, made.full_path) == (f"{name}-bytes", f"docs/{name}-bytes")
    with path.open("rb") as reader:
        await docs.upload(f"{name}-reader", reader)
    with path.open("rb", buffering=0) as raw:
        await docs.upload(f"{name}-raw", raw)
    await docs.upload(f"{name}-path", path)
    await docs.upload(
        f"{name}-text",
        str(path),
        {"content-type": "text/markdown", "cache-control": "9", "metadata": {"a": 1}},
    )
    for kind in ("bytes", "reader", "raw", "path", "text"):
        assert await docs.download(f"{name}-{kind}") == content
    plain = await docs.info(f"{name}-bytes")
    assert (plain["content_type"], plain["cache_control"], plain["size"]) == (
        "text/plain",
        "max-age=3600",
        300_000,
    )
    told = await docs.info(f"{name}-text")
    assert (told["content_type"], told["cache_control"], told["metadata"]) == (
        "text/markdown",
        "max-age=9",
        {"a": 1},
    )


async def test_errors_as_the_client_shows_them(world: World, http: httpx.AsyncClient, name: str) -> None:
    """The status is a text, and code is the old `error` name, not KeyAlreadyExists."""
    docs = (await storage(world, http, "owner")).from_("docs")
    await docs.upload(name, b"x")
    with pytest.raises(StorageApiError) as again:
        await docs.upload(name, b"x")
    assert (again.value.status, again.value.code, again.value.message) == (
        "409",
        "Duplicate",
        "The resource already exists",
    )
    with pytest.raises(StorageApiError) as upsert:
        await docs.upload(name, b"x", {"upsert": "true"})
    assert (upsert.value.status, upsert.value.code) == ("403", "Unauthorized")
    with pytest.raises(StorageApiError) as update:
        await docs.update(name, b"x")
    assert update.value.status == "403"
    with pytest.raises(StorageApiError) as missing:
        await docs.download(f"{name}-missing")
    assert (missing.value.status, missing.value.code) == ("404", "not_found")
    with pytest.raises(StorageApiError) as nowhere:
        await (await storage(world, http, "owner")).from_("none").info("x")
    assert (nowhere.value.status, nowhere.value.code) == ("404", "Bucket not found")


async def test_exists(world: World, http: httpx.AsyncClient, name: str) -> None:
    docs = (await storage(world, http, "owner")).from_("docs")
    await docs.upload(name, b"x")
    assert await docs.exists(name) is True
    assert await docs.exists(f"{name}-missing") is False
    assert await (await storage(world, http, "other")).from_("docs").exists(name) is False
    with pytest.raises(StorageApiError, match="Bucket not found"):
        await (await storage(world, http, "expired")).from_("docs").exists(name)


async def test_lists(world: World, http: httpx.AsyncClient, name: str) -> None:
    docs = (await storage(world, http, "owner")).from_("docs")
    for key in ("a", "b/c", "b/d"):
        await docs.upload(f"{name}/{key}", b"x")
    entries = await docs.list(name)
    assert sorted((entry["name"], entry["id"] is None) for entry in entries) == [("a", False), ("b", True)]
    assert [entry["name"] for entry in await docs.list(name, {"search": "a", "limit": 100_000})] == ["a"]
    assert await (await storage(world, http, "other")).from_("docs").list(name) == []
    page = await docs.list_v2({"prefix": f"{name}/", "limit": 1, "with_delimiter": True})
    assert (page.hasNext, [entry.name for entry in page.objects]) == (True, [f"{name}/a"])
    assert page.nextCursor is not None
    rest = await docs.list_v2(
        {"prefix": f"{name}/", "limit": 5, "with_delimiter": True, "cursor": page.nextCursor}
    )
    assert (rest.hasNext, [folder.name for folder in rest.folders]) == (False, [f"{name}/b/"])
    flat = await docs.list_v2({"prefix": f"{name}/"})
    assert [entry.name for entry in flat.objects] == [f"{name}/{key}" for key in ("a", "b/c", "b/d")]


async def test_signed_urls(world: World, http: httpx.AsyncClient, name: str) -> None:
    docs = (await storage(world, http, "owner")).from_("docs")
    await docs.upload(f"{name} (1).txt", b"signed")
    one = await docs.create_signed_url(f"{name} (1).txt", 60, {"download": "n.txt"})
    assert one["signedURL"] is not None
    answer = await http.get(one["signedURL"])
    assert (answer.content, answer.headers["content-disposition"][:27]) == (
        b"signed",
        "attachment; filename=n.txt;",
    )
    several = await docs.create_signed_urls([f"{name} (1).txt", "foreign"], 60)
    assert [item["error"] is None for item in several] == [True, False]
    assert (await http.get(str(several[0]["signedURL"]))).content == b"signed"


async def test_signed_uploads(world: World, http: httpx.AsyncClient, name: str) -> None:
    owner = (await storage(world, http, "owner")).from_("docs")
    stranger = (await storage(world, http, "anon")).from_("docs")
    signed = await owner.create_signed_upload_url(name)
    made = await stranger.upload_to_signed_url(
        name, signed["token"], b"by a stranger", {"content-type": "text/x"}
    )
    assert made.full_path == f"docs/{name}"
    assert await owner.download(name) == b"by a stranger"
    with pytest.raises(StorageApiError) as again:
        await stranger.upload_to_signed_url(name, signed["token"], b"again")
    assert again.value.status == "409"
    with pytest.raises(StorageApiError) as existing:
        await owner.create_signed_upload_url(name)
    assert existing.value.status == "409"


async def test_remove_move_and_copy(world: World, http: httpx.AsyncClient) -> None:
    bucket = (await storage(world, http, "owner")).from_("open")
    name = uuid.uuid4().hex
    await bucket.upload(name, b"x")
    assert (await bucket.move(name, f"{name}/moved"))["message"] == "Successfully moved"
    assert (await bucket.copy(f"{name}/moved", f"{name}/copied"))["Key"] == f"open/{name}/copied"
    await bucket.update(f"{name}/moved", b"changed")
    assert await bucket.download(f"{name}/copied") == b"x"
    gone = await bucket.remove([f"{name}/moved", f"{name}/copied", f"{name}/missing"])
    assert sorted(item["name"] for item in gone) == [f"{name}/copied", f"{name}/moved"]
    assert await (await storage(world, http, "owner")).from_("docs").remove([f"{world.ids['other']}/x"]) == []
    with pytest.raises(StorageApiError, match="fewer than 1"):
        await bucket.remove([])


async def test_buckets(world: World, http: httpx.AsyncClient) -> None:
    service = await storage(world, http, "service")
    name = f"b{uuid.uuid4().hex}"
    await service.create_bucket(name, options={"public": True, "file_size_limit": 10})
    found = await service.get_bucket(name)
    assert (found.id, found.public, found.file_size_limit, found.owner) == (name, True, 10, "")
    assert name in {bucket.id for bucket in await service.list_buckets()}
    await service.update_bucket(name, {"public": False, "allowed_mime_types": ["text/*"]})
    changed = await service.get_bucket(name)
    assert (changed.public, changed.file_size_limit, changed.allowed_mime_types) == (False, 10, ["text/*"])
    await service.from_(name).upload("x", b"x")
    with pytest.raises(StorageApiError) as filled:
        await service.delete_bucket(name)
    assert filled.value.status == "409"
    await service.empty_bucket(name)
    await service.delete_bucket(name)
    with pytest.raises(StorageApiError) as missing:
        await service.get_bucket(name)
    assert missing.value.status == "404"
    owner = await storage(world, http, "owner")
    assert await owner.list_buckets() == []
    with pytest.raises(StorageApiError) as denied:
        await owner.create_bucket("mine")
    assert denied.value.status == "403"


async def test_a_public_url(world: World, http: httpx.AsyncClient) -> None:
    service = (await storage(world, http, "service")).from_("public")
    await service.upload("open to all.txt", b"public", {"upsert": "true"})
    assert (await http.get(await service.get_public_url("open to all.txt"))).content == b"public"


async def test_supabase_js(world: World) -> None:
    """The JavaScript client's own view, from js/test_storage.mjs: it prints one JSON line of what it found."""
    node = Path(__file__).parents[2] / ".venv" / "bin" / "node"
    program = str(node) if node.exists() else shutil.which("node")
    if program is None or not (JS / "node_modules" / "@supabase" / "supabase-js").exists():
        missing = "node or @supabase/supabase-js is missing: run `npm ci` in tests/local/js"
        if os.environ.get("VERSO_TEST_REQUIRE_ALL") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    environment: dict[str, Any] = {
        **os.environ,
        "SUPABASE_URL": world.stack.supabase_url,
        "SUPABASE_PUBLISHABLE_KEY": world.stack.publishable_key,
        "SUPABASE_SECRET_KEY": world.stack.secret_key,
        "OWNER": world.ids["owner"],
        "OTHER": world.ids["other"],
        "TOKEN": world.headers["owner"]["authorization"].removeprefix("Bearer "),
    }
    process = await asyncio.create_subprocess_exec(
        program, "test_storage.mjs", cwd=JS, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    assert json.loads(out) == {"checks": 20}
