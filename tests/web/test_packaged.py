"""What is installed has the pages' templates and static files, and no more."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def test_a_wheel_holds_every_template_and_static_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("templates", "static"):
        files = [each for each in (REPOSITORY / "app" / "web" / folder).rglob("*") if each.is_file()]
        assert len(files) > 3
        assert {str(each.relative_to(REPOSITORY)) for each in files} <= packed
