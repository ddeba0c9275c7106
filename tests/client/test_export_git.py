"""`verso export git`: a project as a repository, continued, and the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from app.client.api import Api
from app.client.export_git import export_git
from app.errors import VersoError
from tests.api.world import People, Person, make_project, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.api.world import Project
    from tests.stack import Stack


@pytest.fixture(scope="module")
def people(stack: Stack, server: Server) -> Iterator[People]:
    everyone = People(*(Person(server, sign_in(stack, role), None) for role in ("owner", "editor", "reviewer", "reader", "outsider")))  # fmt: skip
    yield everyone
    for person in vars(everyone).values():
        person.close()


@pytest.fixture
def project(people: People) -> Project:
    return make_project(people)


@pytest.fixture
def api(server: Server, people: People) -> Iterator[Api]:
    with Api(server.url, people.reader.token) as client:
        yield client


def git(directory: Path, *arguments: str) -> str:
    command = ["git", "--git-dir", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def test_an_export_is_a_repository_and_is_continued(project: Project, api: Api, tmp_path: Path) -> None:
    first = project.written("docs/a.md", "1\n")
    project.change({"path": "docs/b.md", "text": "2\n"}, message="Add b")
    made = export_git(api, project.slug, tmp_path / "x")
    assert (made.changes, made.new_changes, made.contents, made.same_ids) == (2, 2, 2, 0)
    assert git(tmp_path / "x", "ls-tree", "-r", "--name-only", "main").split() == ["docs/a.md", "docs/b.md"]
    project.written("docs/a.md", os.urandom(17 << 20), base=first["hash"])
    tagged = project.people.editor.post(f"{project.url}/tags", json={"name": "v1.0", "message": "First"})
    assert tagged.status_code == 201
    again = export_git(api, project.id, tmp_path / "x")
    assert (again.changes, again.new_changes, again.tags) == (3, 1, 1)
    assert git(tmp_path / "x", "rev-parse", "main~1").strip() == made.head
    assert git(tmp_path / "x", "cat-file", "-s", "main:docs/a.md").strip() == str(17 << 20)
    assert git(tmp_path / "x", "rev-parse", "v1.0^{commit}").strip() == again.head
    assert git(tmp_path / "x", "fsck", "--strict") == ""
    assert export_git(api, project.id, tmp_path / "y").head == again.head
    assert export_git(api, project.id, tmp_path / "x").new_changes == 0


def test_a_project_without_changes_is_an_empty_repository(project: Project, api: Api, tmp_path: Path) -> None:
    made = export_git(api, project.id, tmp_path / "x")
    assert (made.head, made.changes) == (None, 0)
    assert git(tmp_path / "x", "symbolic-ref", "HEAD").strip() == "refs/heads/main"


def test_a_directory_of_something_else_is_refused(project: Project, api: Api, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(VersoError) as refused:
        export_git(api, project.id, tmp_path)
    assert refused.value.code == "other_export"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_killed_export_goes_on(project: Project, api: Api, tmp_path: Path, server: Server) -> None:
    for number in range(4):
        project.written(f"{number}.md", f"{number}")

    class KilledError(Exception):
        pass

    def kill(done: int, total: int, what: str) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        export_git(api, project.id, tmp_path / "x", progress=kill)
    made = export_git(api, project.id, tmp_path / "x")
    assert made.head == export_git(api, project.id, tmp_path / "y").head
    assert git(tmp_path / "x", "fsck", "--strict") == ""


def run(server: Server, person: Person, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VERSO_API": server.url, "VERSO_TOKEN": person.token}
    command = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(command, capture_output=True, check=False, text=True, env=environment)


def test_the_command_tells_what_it_did(project: Project, server: Server, tmp_path: Path) -> None:
    project.written("a.md", "1")
    done = run(
        server, project.people.reader, "export", "git", str(tmp_path / "x"), "-p", project.slug, "--json"
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["changes"], told["project"]) == (1, project.id)
    done = run(server, project.people.reader, "export", "git", str(tmp_path / "x"), "-p", project.slug)
    assert "0 new commits, 1 in all" in done.stdout
    done = run(server, project.people.outsider, "export", "git", str(tmp_path / "y"), "-p", project.id)
    assert done.returncode == 1
    assert not (tmp_path / "y").exists()
    done = run(server, project.people.reader, "export", "git", str(tmp_path / "y"))
    assert done.returncode == 2
