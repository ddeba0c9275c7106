"""An import that is killed anywhere goes on where it was, and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from app.client.import_git import import_into
from tests.git.random_history import make_history
from tests.git.reading import read
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from app.client.api import Api as Client
    from tests.api.world import Api

pytestmark = pytest.mark.slow

COMMITS = 300
KILLS = 10


def start(api: Api, token: str, project: str, repository: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"VERSO_API": api.url, "VERSO_TOKEN": token}
    command = [sys.executable, "-m", "app.cli", "import", "git", str(repository), "-p", project, "--json"]
    command += ["--batch", "10"]
    return subprocess.Popen(
        command, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def story(server: Client, project: str) -> list[Any]:
    """All that an import decides, with documents by their first appearance."""
    names: dict[str, int] = {}
    told = []
    after: int | None = 0
    while after is not None:
        page = server.get(f"/v1/projects/{project}/history", after=after)
        for change in page["items"]:
            versions = [
                (
                    names.setdefault(v["document"], len(names)),
                    *(
                        v.get(field)
                        for field in ("number", "action", "path", "sha256", "size", "media_type", "mode")
                    ),
                )
                for v in change["versions"]
            ]
            fields = ("sequence", "message", "author_name", "authored_at", "committed_at", "actor", "source")
            told.append((change["origin"]["id"], *(change[field] for field in fields), versions))
        after = page["next"]
    return told


def count(server: Client, project: str) -> int:
    return int(server.get(f"/v1/projects/{project}/imports/git")["count"])


def test_ten_kills_change_nothing(server, api, token, git, project):
    chance = random.Random(20261122)
    make_history(git, chance, COMMITS)
    import_into(server, project, read(git.path), source="undisturbed").run()

    other = f"p-{uuid.uuid4().hex[:12]}"
    server.post("/v1/projects", {"slug": other})
    reached = [0]
    for _ in range(KILLS):
        process = start(api, token, other, git.path)
        goal = reached[-1] + chance.randrange(COMMITS // KILLS)
        while process.poll() is None and count(server, other) <= goal:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.1)
        process.kill()
        process.communicate()
        reached.append(count(server, other))
    assert len(set(reached)) > KILLS // 2, "the kills hit imports under way"
    process = start(api, token, other, git.path)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    report = json.loads(output)
    assert report["proof"]["differences"] == []
    assert reached == sorted(reached)
    assert story(server, other) == story(server, project)
