"""An embedded Supabase for the whole directory, and a pool of connections that can become anybody."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from tests.schema.world import Team, World
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")


def lacking(what: str) -> None:
    """Skip a test whose means this machine lacks, or fail it where everything must run."""
    if os.environ.get("VERSO_TEST_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is needed, because VERSO_TEST_REQUIRE_ALL=1")
    pytest.skip(f"{what} is not here")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def stack_15(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if not (POSTGRES_15 / "postgres").exists():
        lacking("PostgreSQL 15 (Debian's)")
    with Stack(tmp_path_factory.mktemp("stack15"), bin_dir=POSTGRES_15) as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def world_18(stack: Stack) -> AsyncIterator[World]:
    async with asyncpg.create_pool(stack.dsn("supabase_admin"), min_size=1, max_size=24) as pool:
        yield World(stack, pool)


@pytest_asyncio.fixture(scope="session")
async def world_15(stack_15: Stack) -> AsyncIterator[World]:
    async with asyncpg.create_pool(stack_15.dsn("supabase_admin"), min_size=1, max_size=24) as pool:
        yield World(stack_15, pool)


@pytest.fixture(scope="session")
def world(world_18: World) -> World:
    """The world that most tests are about."""
    return world_18


@pytest.fixture(scope="session", params=["18", "15"])
def each_world(request: pytest.FixtureRequest) -> World:
    """The worlds of the newest and the oldest PostgreSQL that the schema must run on, one after the other."""
    return request.getfixturevalue(f"world_{request.param}")


@pytest_asyncio.fixture
async def team(world: World) -> Team:
    return await world.team()
