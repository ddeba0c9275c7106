"""A Git history into Verso and out again: the very same commits, by export and by clone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.api.world import People, Person, make_project, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.api.world import Project
    from tests.stack import Stack

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Zoë Ahlgren",
    "GIT_AUTHOR_EMAIL": "zoe@example.com",
    "GIT_AUTHOR_DATE": "2020-02-02T02:02:02+0130",
    "GIT_COMMITTER_NAME": "Émile",
    "GIT_COMMITTER_EMAIL": "emile@example.com",
    "GIT_COMMITTER_DATE": "2021-01-01T01:01:01-0800",
}


def git(*arguments: str, cwd: Path, **more: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, check=False, cwd=cwd, env=ENVIRONMENT | more, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def commits(directory: Path) -> list[str]:
    return sorted(git("rev-list", "--all", cwd=directory).split())


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """Two roots, a merge of them, modes, a link, a rename, a delete and back, a strange message, tags."""
    root = tmp_path / "original"
    root.mkdir()
    git("init", "-q", "-b", "main", cwd=root)
    (root / "docs").mkdir()
    (root / "docs" / "a.md").write_text("1\n" * 30)
    (root / "run.sh").write_text("#!/bin/sh\n")
    git("add", ".", cwd=root)
    git("commit", "-qm", "One\n\nCo-authored-by: Bo <bo@example.com>", cwd=root)
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("docs/a.md")
    git("add", ".", cwd=root)
    git("commit", "-qm", "Modes", cwd=root, GIT_COMMITTER_DATE="2019-01-01T00:00:00+0000")
    git("mv", "docs/a.md", "moved.md", cwd=root)
    git("commit", "-qm", "Move", cwd=root)
    git("rm", "-q", "moved.md", cwd=root)
    git("commit", "-qm", "Delete", cwd=root)
    (root / "moved.md").write_text("1\n" * 30)
    git("add", ".", cwd=root)
    git("commit", "-qm", "Back", cwd=root)
    git("commit", "-q", "--allow-empty", "-m", "Nothing", cwd=root)
    git("checkout", "-q", "--orphan", "other", cwd=root)
    git("rm", "-rfq", ".", cwd=root)
    (root / "other ü.md").write_bytes(b"\0\r\n")
    git("add", ".", cwd=root)
    git("commit", "-qm", "Another root", cwd=root)
    git("checkout", "-q", "main", cwd=root)
    git("merge", "-q", "--allow-unrelated-histories", "-m", "Merge", "other", cwd=root)
    git("tag", "light", cwd=root)
    git("tag", "-a", "-m", "Noted", "noted", "HEAD~1", cwd=root)
    return root


@pytest.fixture(scope="module")
def people(stack: Stack, server: Server) -> Iterator[People]:
    everyone = People(*(Person(server, sign_in(stack, role), None) for role in ("owner", "editor", "reviewer", "reader", "outsider")))  # fmt: skip
    yield everyone
    for person in vars(everyone).values():
        person.close()


@pytest.fixture
def project(people: People) -> Project:
    return make_project(people)


def verso(server: Server, person: Person, *arguments: str) -> None:
    environment = os.environ | {"VERSO_API": server.url, "VERSO_TOKEN": person.token}
    command = [sys.executable, "-m", "app.cli", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_what_came_from_git_leaves_with_the_same_ids(
    server: Server, project: Project, original: Path, tmp_path: Path
) -> None:
    people = project.people
    verso(server, people.owner, "import", "git", str(original), "-p", project.slug)
    verso(server, people.reader, "export", "git", str(tmp_path / "x"), "-p", project.slug)
    host = urlsplit(server.url).netloc
    url = f"http://x:{people.reader.token}@{host}/git/{project.slug}"
    git("clone", "-q", url, "clone", cwd=tmp_path)
    for copy in (tmp_path / "x", tmp_path / "clone"):
        assert commits(copy) == commits(original)
        tags = ("for-each-ref", "--format=%(refname) %(objectname)", "refs/tags")
        assert git(*tags, cwd=copy) == git(*tags, cwd=original)
        assert git("fsck", "--strict", cwd=copy) == ""

    # What is written in Verso from now on follows as a fast-forward.
    answer = project.put("new.md", "native")
    assert answer.status_code == 201, answer.text
    git("pull", "-q", "--ff-only", cwd=tmp_path / "clone")
    verso(server, people.reader, "export", "git", str(tmp_path / "x"), "-p", project.slug)
    assert commits(tmp_path / "x") == commits(tmp_path / "clone")
    head = git("rev-parse", "main~1", cwd=tmp_path / "x")
    assert head == git("rev-parse", "main", cwd=original)


def test_an_export_comes_in_again_and_goes_out_the_same(
    server: Server, project: Project, tmp_path: Path
) -> None:
    first = project.written("docs/a.md", "1\n" * 40)
    project.change(
        {"path": "docs/a.md", "text": "1\n" * 40 + "2\n", "base": first["hash"]},
        {"path": "b.md", "text": "b"},
        message="Édit",
    )
    head = project.history(first["document"])[0]["hash"]
    project.change({"document": first["document"], "path": "moved/a.md", "base": head}, message="Move")
    people = project.people
    verso(server, people.reader, "export", "git", str(tmp_path / "x"), "-p", project.slug)
    again = make_project(people)
    verso(server, people.owner, "import", "git", str(tmp_path / "x"), "-p", again.slug)
    verso(server, people.reader, "export", "git", str(tmp_path / "y"), "-p", again.slug)
    assert commits(tmp_path / "x") == commits(tmp_path / "y")

    def told(which: Project) -> list[list[tuple[str, str, str | None]]]:
        changes = people.reader.get(f"{which.url}/history").json()["items"]
        return [
            sorted((each["action"], each["path"], each["sha256"]) for each in change["versions"])
            for change in changes
        ]

    assert told(again) == told(project)
