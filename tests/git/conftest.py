"""One embedded Supabase and one API process for the directory; each test has a project and a repository of its own."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING

import pytest

from app.client.api import Api as Client
from tests.api.world import Api, sign_in
from tests.git.making import Maker
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
def token(stack: Stack) -> str:
    return str(sign_in(stack, "owner")["access_token"])


@pytest.fixture
def server(api: Api, token: str) -> Iterator[Client]:
    """The server as the project's owner sees it."""
    with Client(api.url, token) as client:
        yield client


@pytest.fixture
def project(server: Client) -> str:
    """An empty project's slug."""
    slug = f"p-{uuid.uuid4().hex[:12]}"
    server.post("/v1/projects", {"slug": slug})
    return slug


@pytest.fixture
def git(tmp_path: Path) -> Maker:
    """An empty repository."""
    return Maker(tmp_path / "repository.git")
