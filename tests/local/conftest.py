"""The embedded Supabase under test: one for the session, with the project's own migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running
