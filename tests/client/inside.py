"""A command in the tests' own process: as one of its own each would take ten times as long."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING
from unittest.mock import patch

import structlog
from click.testing import CliRunner, Result

from app.cli.commands import verso

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def run_inside(
    arguments: tuple[str, ...], environment: Mapping[str, str], cwd: Path, typed: str = ""
) -> Result:
    """Run it with this environment and no other, in that directory; a bug in it is raised."""
    logs = structlog.get_config()
    try:
        with patch.dict(os.environ, environment, clear=True), contextlib.chdir(cwd):
            time.tzset()
            return CliRunner(catch_exceptions=False).invoke(verso, arguments, input=typed, prog_name="verso")
    finally:
        time.tzset()
        structlog.configure(**logs)  # some commands are quiet, which is the whole process's
