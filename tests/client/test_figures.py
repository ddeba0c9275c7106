"""`verso analytics` and `verso rollups`: figures for people and programs; the operator's recount."""

from __future__ import annotations

import csv
import io
import json
import stat
import uuid
from typing import TYPE_CHECKING

import pytest

from app.cli.figures import span
from tests.api.world import Person, sign_in
from tests.client.test_import_commands import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack


@pytest.fixture(scope="module")
def owner(stack: Stack, server: Server) -> Iterator[Person]:
    with Person(server, sign_in(stack, "figures"), None) as person:
        yield person


@pytest.fixture
def project(owner: Person) -> str:
    slug = f"p-{uuid.uuid4().hex[:10]}"
    owner.post("/v1/projects", json={"slug": slug}).raise_for_status()
    owner.post(f"/v1/projects/{slug}/sessions", json={"slug": "s"}).raise_for_status()
    for path in ("sessions/s/specs/spec.md", "notes.md"):
        owner.put(f"/v1/projects/{slug}/files/{path}", content=b"# What\n").raise_for_status()
    return slug


@pytest.fixture
def verso(tmp_path: Path, server: Server, owner: Person) -> Shell:
    home = tmp_path / "home"
    home.mkdir()
    return Shell(home, VERSO_API=server.url, VERSO_TOKEN=owner.token)


def test_figures_come_as_a_table_as_json_and_as_csv(project, verso):
    table = verso("analytics", project, "--by", "stage")
    assert table.returncode == 0, table.stderr
    assert "spec" in table.stdout
    assert "lead p50" in table.stdout
    told = json.loads(verso("analytics", project, "--by", "stage", "--json").stdout)
    assert {row["stage"]: row["versions"] for row in told["rows"]} == {"spec": 1, None: 1}
    rows = list(csv.DictReader(io.StringIO(verso("analytics", project, "--by", "stage", "--csv").stdout)))
    assert [(row["stage"], row["versions"]) for row in rows] == [("spec", "1"), ("", "1")]
    past = verso(
        "analytics", project, "--from", "2020-01-01", "--to", "2020-01-31", "--group", "week", "--json"
    )
    assert [row["versions"] for row in json.loads(past.stdout)["rows"]] == [0] * 5


def test_without_a_project_the_figures_are_of_all(project, verso):
    told = json.loads(verso("analytics", "--by", "project", "--json").stdout)
    assert project in {row["project"]["slug"] for row in told["rows"]}
    assert project in verso("analytics", "--by", "project").stdout


def test_what_is_refused_ends_with_one(project, verso):
    wrong = verso("analytics", project, "--from", "2026-03-02", "--to", "2026-03-01")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "first day" in wrong.stderr
    assert verso("analytics", project, "--csv", "--json").returncode == 2
    assert verso("analytics", "nobodys").returncode == 1


def test_gauges_are_written_for_an_exporter_whole_or_not_at_all(project, verso, tmp_path):
    file = tmp_path / "verso.prom"
    assert verso("analytics", "--metrics", str(file)).returncode == 0
    assert f'slug="{project}"' in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert file.read_text() == verso("analytics", "--metrics", "-").stdout
    before = file.read_text()
    assert verso("analytics", "--metrics", str(file), "--api", "http://127.0.0.1:9").returncode == 5
    assert file.read_text() == before
    assert [each.name for each in tmp_path.iterdir() if "verso.prom" in each.name] == ["verso.prom"]


async def test_an_operator_checks_the_rollups_and_mends_them(stack, owner, project, verso):
    whole = verso("rollups", "check", "--db-url", stack.db_url)
    assert (whole.returncode, "a recount gives" in whole.stdout) == (0, True), whole.stderr
    found = owner.get(f"/v1/projects/{project}").json()["id"]
    await stack.psql(
        f"update public.analytics_counts set versions = versions + 1 where project_id = '{found}'"
    )
    wrong = verso("rollups", "check", "--db-url", stack.db_url)
    assert wrong.returncode == 1
    assert f"{project} ({found})" in wrong.stdout
    # A check changes nothing.
    assert verso("rollups", "check", "--db-url", stack.db_url, "-p", project, "--json").returncode == 1
    # That nothing is wrong with a project that isn't there says nothing.
    unknown = verso("rollups", "check", "--db-url", stack.db_url, "-p", "nowhere")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "no project nowhere" in unknown.stderr
    mended = verso("rollups", "rebuild", "--db-url", stack.db_url, "-p", found)
    assert mended.returncode == 0
    assert "were mended" in mended.stdout
    assert verso("rollups", "check", "--db-url", stack.db_url).returncode == 0
    assert verso("rollups", "check", "--db-url", "postgresql://nobody@127.0.0.1:9/x").returncode == 5


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0 s"), (59, "59 s"), (90, "1.5 min"), (5400, "1.5 h"), (180_000, "2.1 d")]
)
def test_a_time_is_told_in_its_largest_unit(seconds, told):
    assert span(seconds) == told
