"""One embedded Supabase, one API process and one project full of things for the whole directory."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.api.world import Api, Contract
from tests.attacks.world import World, build_world, read_table
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[Api]:
    with Api(stack) as running:
        yield running
    shutil.rmtree(running.directory)


@pytest.fixture(scope="session")
def contract(api: Api) -> Contract:
    return Contract(httpx.get(f"{api.url}/schema/openapi.json", trust_env=False).json())


@pytest.fixture(scope="session")
def world(stack: Stack, api: Api, contract: Contract) -> World:
    return build_world(stack, api, contract, read_table())
