"""`verso stage`: reports from a terminal, boards, history, and marks counted in files."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.client.stages import check_files
from app.errors import VersoError
from tests.api.world import Person, sign_in
from tests.client.test_import_commands import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.world import Api as Server
    from tests.stack import Stack


@pytest.fixture(scope="module")
def owner(stack: Stack, server: Server) -> Iterator[Person]:
    with Person(server, sign_in(stack, "piper"), None) as person:
        yield person


@pytest.fixture
def project(owner: Person) -> str:
    slug = f"p-{uuid.uuid4().hex[:10]}"
    owner.post("/v1/projects", json={"slug": slug}).raise_for_status()
    owner.post(f"/v1/projects/{slug}/sessions", json={"slug": "s", "title": "Crepe"}).raise_for_status()
    return slug


@pytest.fixture
def verso(tmp_path: Path, server: Server, owner: Person, project: str) -> Shell:
    home = tmp_path / "home"
    home.mkdir()
    return Shell(home, VERSO_API=server.url, VERSO_TOKEN=owner.token)


def test_a_stage_is_reported_and_looked_at(owner, project, verso):
    written = owner.put(f"/v1/projects/{project}/files/sessions/s/specs/spec.md", content=b"# What\n").json()
    begun = verso("stage", "report", "s", "spec", "in_progress", "--run", "r1", "-p", project)
    assert begun.returncode == 0, begun.stderr
    assert "spec: pending -> in_progress" in begun.stdout
    done = verso(
        "stage", "report", "s", "spec", "complete", "--run", "r1", "--checks", "9", "--errors", "0",
        "--produced", "sessions/s/specs/spec.md", "--consumed", written["version"]["hash"],
        "--started", "2026-03-02T09:00:00Z", "--note", "Ready", "-p", project, "--json",
    )  # fmt: skip
    made = json.loads(done.stdout)
    assert made["validation"] == {"checks": 9, "errors": 0, "warnings": 0, "requires_input": 0}
    assert [each["version"] for each in made["produced"] + made["consumed"]] == [
        written["version"]["hash"]
    ] * 2
    shown = verso("stage", "list", "s", "-p", project)
    assert "spec           complete" in shown.stdout, shown.stderr
    assert "sessions/s/specs/spec.md  v1  pending" in shown.stdout
    told = verso("stage", "history", "s", "--stage", "spec", "-p", project).stdout
    assert [line.split()[0] for line in told.splitlines()] == ["#2", "#1"]
    board = verso("stage", "list", "-p", project, "--state", "complete")
    assert "+spec" in board.stdout
    everywhere = json.loads(verso("stage", "list", "--all", "--json").stdout)
    assert project in {row["project"]["slug"] for row in everywhere}


def test_what_is_refused_ends_with_one(project, verso):
    refused = verso("stage", "report", "s", "spec", "complete", "-p", project)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Allowed: in_progress, skipped" in refused.stderr
    stale = verso("stage", "report", "s", "spec", "in_progress", "--newest", str(uuid.uuid4()), "-p", project)
    assert stale.returncode == 1
    first = verso("stage", "report", "s", "spec", "in_progress", "--newest", "none", "-p", project)
    assert first.returncode == 0, first.stderr
    half = verso("stage", "report", "s", "spec", "in_progress", "--checks", "3", "-p", project)
    assert half.returncode == 2


def test_what_says_it_is_empty_and_has_no_end_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr("app.client.stages.LONGEST", 4)
    with pytest.raises(VersoError, match="too long"):
        check_files([Path("/proc/version")])


def test_marks_are_counted_in_files_and_folders(tmp_path, verso):
    folder = tmp_path / "specs"
    (folder / ".git").mkdir(parents=True)
    (folder / "spec.md").write_text("One [REQUIRES INPUT]\n[requires input] [REQUIRES INPUTS]\n")
    (folder / "plan.md").write_text("[REQUIRES INPUT: which database?] and [REQUIRES INPUT]")
    (folder / ".git" / "x").write_text("[REQUIRES INPUT]")
    found = check_files([folder])
    assert (found.files, found.requires_input) == (2, 3)
    assert [(mark.line, mark.text) for mark in found.marks] == [
        (1, "[REQUIRES INPUT: which database?]"),
        (1, "[REQUIRES INPUT]"),
        (1, "[REQUIRES INPUT]"),
    ]
    told = verso("stage", "check", str(folder))
    assert told.returncode == 1
    assert told.stdout.endswith("3 in 2 files\n")
    (folder / "spec.md").write_text("done")
    assert verso("stage", "check", str(folder / "spec.md")).returncode == 0
