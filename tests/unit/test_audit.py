"""The audit says what it knows: something, nothing, or that nobody was asked (which is not nothing)."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
FINE = {"name": "fine", "version": "1", "vulns": []}
SKIPPED = {"name": "unknown", "skip_reason": "not found"}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["3"]}]}


def audited(tmp_path: Path, report: Any) -> subprocess.CompletedProcess[str]:
    """Run it with an auditor that writes this report, as pip-audit writes its own."""
    auditor = tmp_path / "auditor.py"
    auditor.write_text(
        "import pathlib, sys\n"
        f"report = {json.dumps(report)!r}\n"
        "if report != 'null':\n"
        "    pathlib.Path(sys.argv[sys.argv.index('--output') + 1]).write_text(report)\n"
        "sys.exit('no such host')\n"
    )
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(auditor))}"
    return subprocess.run(
        [sys.executable, AUDIT],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"VERSO_AUDITOR": command},
    )


@pytest.mark.parametrize(
    ("packages", "status", "told"),
    [
        ([FINE], 0, "nothing is known against the 1 packages"),
        ([FINE, BAD], 1, "bad 2: CVE-2026-1, fixed in 3"),
        ([BAD, SKIPPED], 1, "CVE-2026-1"),
        ([FINE, SKIPPED], 3, "NOT DONE, nobody could be asked about 1 of 2 packages: unknown"),
        ([], 3, "NOT DONE"),
    ],
)
def test_the_report_decides(tmp_path: Path, packages: list[Any], status: int, told: str) -> None:
    done = audited(tmp_path, {"dependencies": packages})
    assert (done.returncode, done.stderr) == (status, "")
    assert told in done.stdout


@pytest.mark.parametrize("report", [None, "garbage"])
def test_no_report_is_no_good_news(tmp_path: Path, report: Any) -> None:
    done = audited(tmp_path, report)
    assert done.returncode == 3
    assert "NOT DONE" in done.stdout


def test_without_an_auditor_it_says_so() -> None:
    done = subprocess.run(
        [sys.executable, AUDIT],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"VERSO_AUDITOR": "/nonexistent/auditor"},
    )
    assert done.returncode == 3
    assert "NOT DONE" in done.stdout
