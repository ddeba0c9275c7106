"""What is measured against: the embedded Supabase by the official client, and the API in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from supabase import Client, ClientOptions, create_client

from tests.faults.service import Service
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECT = "bench"
SMALL = 2048
"""Bytes of a small document: the middle of those that IDSE Core has."""


@dataclass(frozen=True)
class Bench:
    """A running stack, and one person's two ways to it."""

    stack: Stack
    service: Service
    token: str
    api: httpx.Client
    supabase: Client
    project_id: str

    def put(self, path: str, content: bytes) -> httpx.Response:
        """Write a new document through Verso."""
        answer = self.api.put(f"/v1/projects/{PROJECT}/files/{path}", content=content)
        assert answer.status_code == 201, answer.text
        return answer

    def put_directly(self, path: str, content: bytes) -> None:
        """Do the same without Verso: one storage upload, and one rpc that writes the rows."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.store(f"{self.project_id}/{sha256}", content)
        item = {
            "path": path,
            "sha256": sha256,
            "size": len(content),
            "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "media_type": "text/markdown",
        }
        self.rpc("commit_change", project=PROJECT, items=[item], message="", idempotency_key=uuid.uuid4().hex)

    def store(self, name: str, content: bytes) -> None:
        options: Any = {"content-type": "application/octet-stream", "upsert": "false"}
        self.supabase.storage.from_("documents").upload(name, content, options)

    def rpc(self, function: str, **arguments: Any) -> Any:
        return self.supabase.rpc(function, arguments).execute().data

    def concurrent_api(self, clients: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.service.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
            limits=httpx.Limits(max_connections=clients, max_keepalive_connections=clients),
        )


@contextlib.contextmanager
def benches(directory: Path) -> Iterator[Bench]:
    """Start everything in processes of its own, as users do."""
    with Stack(directory / "stack", fresh=True) as stack:
        settings = {
            **stack.env,
            "VERSO_SPOOL_DIR": str(directory),
            "VERSO_CACHE_DIR": str(directory / "cache"),
        }
        with Service(settings, log=directory / "api.log") as service:
            token = asyncio.run(stack.user())["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=service.url, headers=headers, timeout=120) as api:
                made = api.post("/v1/projects", json={"slug": PROJECT}).raise_for_status().json()
                supabase = create_client(
                    stack.supabase_url, stack.publishable_key, ClientOptions(headers=headers)
                )
                yield Bench(stack, service, token, api, supabase, made["id"])


def small() -> bytes:
    """A small document that no other equals."""
    return os.urandom(SMALL // 2).hex().encode()


def name() -> str:
    """A path that nothing is at."""
    return f"{uuid.uuid4().hex[:2]}/{uuid.uuid4().hex}.md"
