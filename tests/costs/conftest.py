"""A Supabase for each file: what a call costs depends on what PostgreSQL knows of the tables, so nobody else fills them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from tests.schema.world import Team, World
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def world(stack: Stack) -> AsyncIterator[World]:
    async with asyncpg.create_pool(stack.dsn("supabase_admin"), min_size=1, max_size=24) as pool:
        yield World(stack, pool)


@pytest_asyncio.fixture
async def team(world: World) -> Team:
    return await world.team()
