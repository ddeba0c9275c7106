"""An embedded Supabase for the directory, its API, and projects whose owners register webhooks."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.api.conftest import ROLES
from tests.api.world import Api, Contract, People, Person, Project, make_project, sign_in
from tests.stack import Stack
from tests.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[Api]:
    with Api(stack, webhooks_private="true") as running:
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
def project(people: People) -> Iterator[Project]:
    made = make_project(people)
    yield made
    # What a test leaves must not be sent by the next one's workers.
    for webhook in people.owner.get(f"{made.url}/webhooks").json()["items"]:
        people.owner.delete(f"{made.url}/webhooks/{webhook['id']}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


def sql(stack: Stack, statement: str, *args: Any) -> list[Any]:
    return asyncio.run(stack.psql(statement, *args))
