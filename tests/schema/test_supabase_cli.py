"""The Supabase CLI and our own migration tool take each other's work, and the CLI's linter has no complaint.

The CLI is the npm package, pinned in tests/schema/js; nothing that it does here needs Docker.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from app.local.migrate import migrate
from tests.schema.conftest import lacking
from tests.stack import MIGRATIONS, REPOSITORY, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

JS = Path(__file__).parent / "js"
BIN = REPOSITORY / ".venv" / "bin"


@pytest.fixture(scope="module")
def cli() -> Path:
    """The CLI's launcher, installed on the first run."""
    launcher = JS / "node_modules" / "supabase" / "dist" / "supabase.js"
    if not launcher.exists():
        npm = subprocess.run(
            # Not `ci`: the lock names this platform's program only, which `ci` takes for out of date.
            [BIN / "npm", "install", "--no-save", "--no-audit", "--no-fund"],
            cwd=JS,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        )
        if npm.returncode != 0:
            lacking(f"the Supabase CLI ({npm.stderr.strip()[-200:]})")
    return launcher


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: the CLI leaves files of its own beside the configuration."""
    copy = tmp_path_factory.mktemp("workdir") / "storage_schema"
    shutil.copytree(MIGRATIONS.parents[1], copy)
    return copy


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A project as it is when it is new, reachable over TCP as a hosted one is."""
    data = tmp_path_factory.mktemp("empty")
    with Stack(data, migrations=None, arguments=("--db-port", "0")) as running:
        yield running


def run(cli: Path, workdir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "node", cli, *arguments, "--workdir", workdir],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "SUPABASE_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1", "CI": "1"},
    )


def address(stack: Stack) -> str:
    return f"{stack.db_url}?sslmode=disable"


async def recorded(stack: Stack) -> list[tuple[str, str, int]]:
    conn = await asyncpg.connect(stack.db_url)
    try:
        rows = await conn.fetch(
            "select version, name, cardinality(statements) from supabase_migrations.schema_migrations order by 1"
        )
        return [tuple(row) for row in rows]
    finally:
        await conn.close()


async def test_push_applies_them_all_and_ours_has_nothing_left_to_do(cli, workdir, empty):
    pushed = run(cli, workdir, "db", "push", "--db-url", address(empty), "--yes")
    assert pushed.returncode == 0, pushed.stderr
    files = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    assert [f"{version}_{name}" for version, name, _ in await recorded(empty)] == files
    assert await migrate(empty.db_url, MIGRATIONS) == []


async def test_push_has_nothing_left_to_do_after_ours(cli, workdir, tmp_path):
    with Stack(tmp_path / "ours", arguments=("--db-port", "0")) as ours:
        before = await recorded(ours)
        pushed = run(cli, workdir, "db", "push", "--db-url", address(ours), "--yes")
        assert pushed.returncode == 0, pushed.stderr
        assert "up to date" in pushed.stdout + pushed.stderr
        listed = run(cli, workdir, "migration", "list", "--db-url", address(ours))
        assert listed.returncode == 0, listed.stderr
        for version, _, _ in before:
            assert listed.stdout.count(version) == 2, listed.stdout  # local and remote
        assert await recorded(ours) == before


async def test_both_record_the_same_statements(empty, world):
    theirs = await recorded(empty)
    rows = await world.sql(
        "select version, name, cardinality(statements) from supabase_migrations.schema_migrations order by 1",
        role="supabase_admin",
    )
    assert [tuple(row) for row in rows] == theirs


def test_the_linter_finds_nothing_to_warn_of(cli, workdir, empty):
    linted = run(
        cli, workdir, "db", "advisors", "--db-url", address(empty), "--level", "info", "--fail-on", "warn"
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr
    findings = json.loads(linted.stdout[linted.stdout.index("[") :])
    # An empty database hasn't used its indexes; that is all there is to inform of.
    assert {finding["name"] for finding in findings} <= {"unused_index"}
