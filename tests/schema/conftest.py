"""One embedded Supabase for the whole directory, and a pool of connections that can become anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from tests.schema.world import Team, World
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def world(stack: Stack) -> AsyncIterator[World]:
    async with asyncpg.create_pool(stack.dsn("supabase_admin"), min_size=1, max_size=24) as pool:
        yield World(stack, pool)


@pytest_asyncio.fixture
async def team(world: World) -> Team:
    return await world.team()
