"""One Supabase and one API for the directory, with the breaking proxy between them; a project for each test."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import Proxy
from tests.faults.service import Service
from tests.faults.world import World, client_of
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from typing import Any

SILENCE_SECONDS = "2"
"""How long the API waits for a silent Supabase here; the default is longer than a test likes to be."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
async def proxy(stack: Stack) -> AsyncIterator[Proxy]:
    async with Proxy(stack.supabase_url) as running:
        yield running


@pytest.fixture(scope="session")
def arriving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arriving")


@pytest.fixture(scope="session")
def settings(stack: Stack, proxy: Proxy, arriving: Path) -> dict[str, str]:
    """What an API behind the proxy is told."""
    return {
        **stack.env,
        "SUPABASE_URL": proxy.url,
        "VERSO_JWT_ISSUER": f"{stack.supabase_url}/auth/v1",
        "VERSO_REQUEST_TIMEOUT": SILENCE_SECONDS,
        "VERSO_TRANSFER_TIMEOUT": SILENCE_SECONDS,
        "VERSO_SPOOL_DIR": str(arriving),
        "VERSO_CACHE_DIR": str(arriving / "cache"),
    }


@pytest.fixture(scope="session")
def service(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(settings, log=tmp_path_factory.mktemp("log") / "api.log") as running:
        yield running


@pytest.fixture(scope="session")
async def owner(stack: Stack) -> dict[str, Any]:
    return await stack.user()


@pytest.fixture
async def world(
    stack: Stack, proxy: Proxy, service: Service, owner: dict[str, Any], arriving: Path
) -> AsyncIterator[World]:
    slug = f"p{uuid.uuid4().hex[:12]}"
    async with client_of(service, owner["access_token"]) as client:
        made = await client.post("/v1/projects", json={"slug": slug})
        assert made.status_code == 201, made.text
        proxy.clear()
        yield World(stack, proxy, service, client, slug, owner, arriving)
        proxy.clear()
