"""A demo that was loaded once, and copies of it to start from."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.running import Dev

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def first_run() -> Iterator[Dev]:
    """A first `verso dev`, which loaded the demo and was stopped with Ctrl-C."""
    directory = Path(tempfile.mkdtemp(prefix="verso-dev-"))
    dev = Dev(directory / "first")
    dev.exit_status = dev.stop()
    yield dev
    shutil.rmtree(directory)


@pytest.fixture
def loaded(first_run: Dev, tmp_path: Path) -> Path:
    """A data directory with the demo in it, of the test's own."""
    # A socket can't be copied, and is made anew.
    return Path(shutil.copytree(first_run.data, tmp_path / "data", ignore=shutil.ignore_patterns("run")))
