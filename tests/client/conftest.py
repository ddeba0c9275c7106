"""One embedded Supabase and one API process for the whole directory."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from app.client.api import Api
from tests.api.world import Api as Server
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks again in the tests' process does so as often as ever, but soon: the pauses have tests of their own."""
    pauses = Api.__init__.__kwdefaults__
    monkeypatch.setitem(pauses, "sleep", lambda seconds: time.sleep(min(seconds, 0.02)))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def server(stack: Stack) -> Iterator[Server]:
    with Server(stack) as running:
        yield running
    shutil.rmtree(running.directory)
