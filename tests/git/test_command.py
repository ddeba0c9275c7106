"""`verso import git` as people and programs call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.git.test_planning import text
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.world import Api


@pytest.fixture
def verso(api: Api, token: str, tmp_path: Path) -> Any:
    home = {"VERSO_CONFIG_DIR": str(tmp_path), "HOME": str(tmp_path), "COLUMNS": "100"}
    environment = os.environ | home | {"VERSO_API": api.url, "VERSO_TOKEN": token}

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "app.cli", "import", "git", *map(str, arguments)]
        return subprocess.run(
            command, env=environment | more, cwd=REPOSITORY, capture_output=True, text=True, check=False
        )

    return run


def test_a_history_comes_in_and_the_report_says_what_was_done(verso, git, project, tmp_path):
    git.line({"a.md": text(1), ".env": b"S=1"}, {"b.md": text(1) + b"x\n"})
    git.tag("first", str(git.repository.head.target))
    report = tmp_path / "report.json"
    done = verso(git.path, "-p", f"{project}-new", "--create", "--report", report, "--proof", "full")
    assert done.returncode == 0, done.stderr
    for line in (
        "commits    2; 0 merges, 0 empty",
        "versions   2 (1 add, 1 move)",
        "renames    1; copies 0",
        "1 paths left out",
        ".env: may hold credentials",
        "tags       1 made",
        "1 trees have Git's own id",
        "1 equal Git's without what was left out",
    ):
        assert line in done.stdout
    assert done.stderr == ""
    written = json.loads(report.read_text())
    assert written["renamed"][0]["source"] == "a.md"
    assert written["proof"]["differences"] == []
    again = verso(git.path, "-p", f"{project}-new")
    assert "Nothing is new: all 2 commits are there." in again.stdout


def test_a_dry_run_needs_no_server(verso, git):
    git.line({"a.md": b"1"}, {"a.md": b"2"})
    done = verso(git.path, "--dry-run", "--json", VERSO_API="http://127.0.0.1:9", VERSO_TOKEN="")
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert (planned["commits"], planned["versions"]) == (2, {"add": 1, "edit": 1})
    assert planned["dry_run"]


def test_an_authors_file_may_come_from_windows_and_must_be_text(verso, git, tmp_path):
    git.line({"a.md": b"1"})
    authors = tmp_path / "authors"
    authors.write_bytes(b"\xff")
    done = verso(git.path, "--dry-run", "--authors", str(authors))
    assert done.returncode == 2
    assert "can't be read as text in UTF-8" in done.stderr
    authors.write_bytes(b"\xef\xbb\xbf# nobody\n")
    assert verso(git.path, "--dry-run", "--authors", str(authors)).returncode == 0


def test_a_dry_run_of_a_project_that_would_be_made_makes_none(verso, git, server, project):
    git.line({"a.md": b"1"})
    done = verso(git.path, "-p", f"{project}-dry", "--create", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["commits"] == 1
    assert f"{project}-dry" not in [each["slug"] for each in server.get("/v1/projects")["items"]]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("/nowhere", "-p", "x"), 1, "neither a folder"),
        (("GIT",), 2, "--project"),
        (("GIT", "-p", "no-such-project"), 1, "--create makes it"),
        (("GIT", "-p", "PROJECT", "--branch", "develop"), 1, "no branch develop"),
        (("GIT", "-p", "PROJECT", "--include", "!"), 1, "pattern"),
    ],
)
def test_what_cannot_be_is_said(verso, git, project, arguments, code, said):  # noqa: PLR0917
    git.line({"a.md": b"1"})
    names = {"GIT": str(git.path), "PROJECT": project}
    done = verso(*(names.get(argument, argument) for argument in arguments))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.startswith("verso: ")
    assert "Traceback" not in done.stderr
