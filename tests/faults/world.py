"""A project in a Supabase, people in it, and what the fault tests ask again and again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.proxy import Proxy
    from tests.faults.service import Service
    from tests.stack import Stack


@dataclass
class World:
    """One editor at work in a fresh project, through an API that reaches Supabase through the proxy."""

    stack: Stack
    proxy: Proxy
    service: Service
    client: httpx.AsyncClient
    project: str
    owner: dict[str, Any]
    arriving: Path
    """Where the API keeps uploads and cached blobs."""

    def where(self, path: str) -> str:
        return f"/v1/projects/{self.project}/files/{path}"

    async def put(
        self, path: str, content: Any, *, base: str | None = None, key: str | None = None, **more: Any
    ) -> httpx.Response:
        headers = more.pop("headers", {})
        if base is not None:
            headers["If-Match"] = base
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.client.put(self.where(path), content=content, headers=headers, **more)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(self.where(path), headers=headers)

    async def rows(self, sql: str) -> list[Any]:
        """Ask the database itself, with $1 the project's id."""
        return await self.stack.psql(sql, await self.project_id())

    async def project_id(self) -> uuid.UUID:
        found = await self.stack.psql("select id from public.projects where slug = $1", self.project)
        return uuid.UUID(str(found[0]["id"]))

    async def versions(self) -> int:
        return int((await self.rows("select count(*) from public.versions where project_id = $1"))[0][0])

    async def objects(self) -> list[str]:
        """The names of the project's objects in storage."""
        sql = "select name from storage.objects where bucket_id = 'documents' and starts_with(name, $1::uuid::text)"
        return [row["name"] for row in await self.rows(sql)]

    def left_behind(self) -> list[Path]:
        """Files of uploads that nobody waits for any more."""
        return left_behind(self.arriving)

    async def file_of(self, sha256: str) -> Path:
        """The file in which storage keeps the object that is named by a hash."""
        sql = "select version from storage.objects where name = $1::uuid::text || '/' || $2"
        found = await self.stack.psql(sql, await self.project_id(), sha256)
        (file,) = (self.stack.data / "storage").rglob(f"*{found[0]['version']}*")
        return file

    def as_user(self, person: dict[str, Any], service: Service | None = None) -> httpx.AsyncClient:
        return client_of(service or self.service, person["access_token"])


def left_behind(directory: Path) -> list[Path]:
    """Files of uploads that are below a directory."""
    return sorted(directory.rglob(".verso-arriving-*"))


def client_of(service: Service, token: str, *, connections: int = 20) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=service.url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
    )


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer, which must be that one."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    assert body["detail"]
    return body
