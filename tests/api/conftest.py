"""One embedded Supabase and one API process for the whole directory; each test has a project of its own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.api.world import Api, Contract, People, Person, Project, make_project, sign_in
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLES = ("owner", "editor", "reviewer", "reader", "outsider")


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
    return Contract(httpx.get(f"{api.url}/schema/openapi.json").json())


@pytest.fixture(scope="session")
def people(stack: Stack, api: Api, contract: Contract) -> Iterator[People]:
    everyone = People(*(Person(api, sign_in(stack, role), contract) for role in ROLES))
    yield everyone
    for role in ROLES:
        getattr(everyone, role).close()


@pytest.fixture
def project(people: People) -> Project:
    return make_project(people)
