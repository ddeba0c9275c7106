"""The commands: what they print, and how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Person, sign_in
from tests.client.inside import run_inside
from tests.stack import REPOSITORY, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.world import Api as Server


@pytest.fixture(scope="module")
def owner(stack: Stack, server: Server) -> Iterator[Person]:
    with Person(server, sign_in(stack, "commander"), None) as person:
        person.post("/v1/projects", json={"slug": "p"}).raise_for_status()
        yield person


class Shell:
    """Runs `verso` with an environment of its own: no login of this machine is seen."""

    def __init__(self, home: Path, **environment: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "TMPDIR") if name in os.environ}
        self._environment = {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home), **environment}
        self._home = home

    def __call__(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        if "SUPABASE_SECRET_KEY" not in self._environment and arguments[0] != "rollups":
            ran = run_inside(arguments, self._environment, self._home, stdin)
            return subprocess.CompletedProcess(arguments, ran.exit_code, ran.stdout, ran.stderr)
        # What takes the key silences the logs of its process; the other one has an event loop of its own.
        command = [sys.executable, "-c", "from app.cli import main; main()", *arguments]
        return subprocess.run(
            command,
            env={**self._environment, "PYTHONPATH": str(REPOSITORY)},
            cwd=self._home,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        done = self(*arguments, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def verso(server: Server, owner: Person, tmp_path: Path) -> Shell:
    home = tmp_path / "home"
    home.mkdir()
    return Shell(home, VERSO_API=server.url, VERSO_TOKEN=owner.token)


def test_a_folder_in_a_bundle_out_checked_with_nothing_and_put_back(verso, stack, tmp_path, tmp_path_factory):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.md").write_text("one\n")
    (folder / ".env").write_text("KEY=1\n")
    planned = verso("import", "folder", str(folder), "--project", "p", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "Would be: 1 added" in planned.stdout
    assert "left out (may hold credentials): .env" in planned.stdout
    assert verso.json("import", "folder", str(folder), "--project", "p")["added"] == ["a.md"]
    missing = verso("import", "folder", str(folder), "--project", "made")
    assert (missing.returncode, "--create makes it" in missing.stderr) == (1, True)
    assert verso.json("import", "folder", str(folder), "--project", "made", "--create")["added"] == ["a.md"]

    bundle = tmp_path / "p.bundle"
    made = verso.json("export", "bundle", str(bundle), "--project", "p")
    assert made["changes"] == 1
    again = verso.json("export", "bundle", str(bundle), "--project", "p", code=1)
    assert again["error"]["code"] == "file_exists"

    nobody = Shell(tmp_path)
    checked = nobody("verify", str(bundle))
    assert checked.returncode == 0, checked.stderr
    assert "Whole" in checked.stdout
    assert nobody.json("verify", str(bundle), "--hash", made["change_hash"])["whole"]
    assert nobody.json("verify", str(bundle), "--hash", "0" * 64, code=1)["error"]["code"] == "other_history"
    assert verso.json("verify", "--project", "p")["change_hash"] == made["change_hash"]

    with Stack(tmp_path_factory.mktemp("there")) as there:
        refused = nobody("import", "bundle", str(bundle), "--supabase", there.supabase_url)
        assert (refused.returncode, "SUPABASE_SECRET_KEY" in refused.stderr) == (2, True)
        piped = nobody(
            "import", "bundle", str(bundle), "--supabase", there.supabase_url, "--secret-key-stdin",
            stdin=there.secret_key + "\n",
        )  # fmt: skip
        assert piped.returncode == 0, piped.stderr
        assert "run this again with --owner" in piped.stdout
        assert there.secret_key not in piped.stdout + piped.stderr
        operator = Shell(tmp_path, SUPABASE_URL=there.supabase_url, SUPABASE_SECRET_KEY=there.secret_key)
        assert operator.json("import", "bundle", str(bundle), "--dry-run")["changes"] == 0

    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 4
    bundle.write_bytes(data)
    broken = nobody.json("verify", str(bundle), code=1)
    assert not broken["whole"]
    assert broken["findings"]


def test_an_idse_tree_is_told_before_it_is_written(verso, owner):
    tree = str(REPOSITORY / "fixtures" / "idse" / "present")
    people = str(REPOSITORY / "fixtures" / "idse" / "people")
    planned = verso("import", "idse", tree, "--people", people, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "Nothing was written. This would be:" in planned.stdout
    assert "milkdown-crepe: feature of blueprint, in_progress" in planned.stdout
    assert owner.get("/v1/projects/editor").status_code == 404
    done = verso.json("import", "idse", tree, "--people", people)
    assert [project["slug"] for project in done["projects"]] == ["editor"]
    assert owner.get("/v1/projects/editor").status_code == 200


def test_what_is_asked_wrongly_ends_as_usage(verso, tmp_path):
    assert verso("verify").returncode == 2
    assert verso("import", "folder", str(tmp_path / "nowhere"), "--project", "p").returncode == 2
    (tmp_path / "a.md").write_text("one\n")
    assert (
        verso.json("import", "folder", str(tmp_path), "--project", "none", code=1)["error"]["code"]
        == "project_not_found"
    )
