"""A Supabase with one bucket under the policies of wire/storage.md, section 2, and everybody who calls it."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.local.keys import Keys
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BYTES = b"0123456789"
ETAG = f'"{hashlib.md5(BYTES).hexdigest()}"'
POLICIES = """
create policy own_insert on storage.objects for insert to authenticated
    with check (bucket_id = 'docs' and (storage.foldername(name))[1] = (select auth.uid()::text));
create policy own_select on storage.objects for select to authenticated
    using (bucket_id = 'docs' and (storage.foldername(name))[1] = (select auth.uid()::text));
create policy drop_insert on storage.objects for insert to authenticated with check (bucket_id = 'dropbox');
create policy drop_delete on storage.objects for delete to authenticated using (bucket_id = 'dropbox');
create policy open_all on storage.objects for all to authenticated
    using (bucket_id in ('open', 'small', 'text')) with check (bucket_id in ('open', 'small', 'text'));
"""
BUCKETS: tuple[dict[str, Any], ...] = (
    {"name": "docs"},
    {"name": "dropbox"},
    {"name": "open"},
    {"name": "public", "public": True},
    {"name": "small", "file_size_limit": 100},
    {"name": "text", "allowed_mime_types": ["text/plain", "image/*"]},
)


@dataclass(frozen=True)
class World:
    stack: Stack
    http: httpx.AsyncClient
    ids: dict[str, str]
    headers: dict[str, dict[str, str]]

    async def put(self, who: str, key: str, body: bytes = b"hello", **headers: str) -> httpx.Response:
        """Upload a raw body; `key` begins with the bucket."""
        return await self.http.post(f"/object/{key}", headers={**self.headers[who], **headers}, content=body)

    async def get(self, who: str, key: str, **headers: str) -> httpx.Response:
        return await self.http.get(f"/object/{key}", headers={**self.headers[who], **headers})

    def files(self) -> set[str]:
        """The names of all files below the storage directory."""
        return {str(path) for path in (self.stack.data / "storage").rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    with Stack(tmp_path_factory.mktemp("storage"), migrations=None) as stack:
        await stack.psql(POLICIES)
        keys = Keys.load(stack.data)
        owner, other = await stack.user(), await stack.user()
        now = int(time.time())
        claims = {"sub": owner["user"]["id"], "role": "authenticated", "iat": now - 60, "exp": now - 30}
        tokens = {
            "owner": owner["access_token"],
            "other": other["access_token"],
            "anon": stack.anon_key,
            "publishable": stack.publishable_key,
            "service": stack.service_role_key,
            "secret": stack.secret_key,
            "expired": keys.sign(claims),
            "forged": owner["access_token"][:-8] + "AAAAAAAA",
            "garbage": "not-a-token",
            "unknown role": keys.sign({**claims, "role": "nobody", "exp": now + 600}),
            "no uuid": keys.sign({**claims, "sub": "abc", "exp": now + 600}),
        }
        headers = {
            name: {"apikey": stack.publishable_key, "authorization": f"Bearer {token}"}
            for name, token in tokens.items()
        }
        headers["nobody"] = {"apikey": stack.publishable_key}
        async with httpx.AsyncClient(base_url=f"{stack.supabase_url}/storage/v1", timeout=20) as http:
            for bucket in BUCKETS:
                (await http.post("/bucket", headers=headers["service"], json=bucket)).raise_for_status()
            ids = {"owner": owner["user"]["id"], "other": other["user"]["id"]}
            yield World(stack, http, ids, headers)


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


async def still_there(world: World, key: str, content: bytes) -> None:
    assert (await world.get("service", key)).content == content
