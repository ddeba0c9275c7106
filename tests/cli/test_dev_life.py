"""How `verso dev` begins and ends: nothing is left behind, nothing is lost, nothing is told twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.cli.running import REPOSITORY, Dev, clean_environment, verso

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def state(dev: Dev) -> tuple[int, str, dict[str, str]]:
    """What must stay: the number of changes and the hash over all history, and who the people are."""
    values = dev.values
    project = httpx.get(f"{values['api']}/v1/projects/idse-demo", headers=dev.headers("owner")).json()
    people = {role: person["id"] for role, person in values["people"].items()}
    return project["change_sequence"], project["change_hash"], people


def test_ctrl_c_ends_the_first_run_in_order_and_leaves_no_process(first_run: Dev) -> None:
    assert first_run.exit_status == 0
    assert "Telling the demo's history" in first_run.output
    assert first_run.left_over() == []


def test_a_second_start_keeps_the_data_and_tells_nothing_again(loaded: Path) -> None:
    with Dev(loaded) as second:
        before = state(second)
    with Dev(loaded) as third:
        assert state(third) == before
        assert "Telling" not in third.output
    assert third.left_over() == []


def test_every_start_hands_out_fresh_tokens(loaded: Path) -> None:
    old = (loaded / "editor.header").read_text()
    with Dev(loaded) as dev:
        token = dev.values["people"]["editor"]["access_token"]
        assert (loaded / "editor.header").read_text() == f"Authorization: Bearer {token}\n"
        assert token not in old


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_and_a_polite_kill_end_it_too(loaded: Path, number: int) -> None:
    dev = Dev(loaded)
    assert dev.stop(number) == 0
    assert dev.left_over() == []


def test_after_kill_9_no_process_is_left(loaded: Path) -> None:
    dev = Dev(loaded)
    assert len(dev.note_family()) >= 3  # the API, Supabase, PostgreSQL
    dev.kill()
    assert dev.left_over() == []


@pytest.mark.parametrize("same_ports", [True, False], ids=["same ports", "other ports"])
def test_right_after_kill_9_it_starts_again_with_all_data(loaded: Path, same_ports: bool) -> None:
    killed = Dev(loaded)
    before = state(killed)
    ports = [killed.values[name].rpartition(":")[2] for name in ("api", "supabase_url")]
    killed.kill()
    again = ("--port", ports[0], "--supabase-port", ports[1]) if same_ports else ()
    with Dev(loaded, *again) as dev:
        assert state(dev) == before


def test_tokens_are_replaced_before_they_are_too_old(loaded: Path) -> None:
    code = (
        "import app.cli.run, app.cli, sys\n"
        "app.cli.run.REFRESH_SECONDS = 1.0\n"
        f"sys.argv[1:] = ['dev', '--data', {str(loaded)!r}, '--port', '0', '--supabase-port', '0']\n"
        "app.cli.main()\n"
    )
    (loaded / "dev.json").unlink()
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=clean_environment(), cwd=REPOSITORY, stdout=subprocess.DEVNULL
    )
    seen: set[str] = set()
    deadline = time.monotonic() + 60
    while len(seen) < 2 and time.monotonic() < deadline:
        if (loaded / "dev.json").exists():
            seen.add(json.loads((loaded / "dev.json").read_text())["people"]["reader"]["access_token"])
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert len(seen) == 2
    newest = json.loads((loaded / "dev.json").read_text())["people"]["reader"]["access_token"]
    assert (loaded / "reader.header").read_text() == f"Authorization: Bearer {newest}\n"


def test_a_demo_that_was_interrupted_is_told_to_its_end_by_the_next_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "dev", "--data", str(data), "--port", "0", "--supabase-port", "0"],
        env=clean_environment(),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert "Telling" in process.stdout.readline()
    time.sleep(0.3)
    process.kill()
    process.wait(10)
    process.stdout.close()
    with Dev(data) as dev:
        assert "Telling the demo's history" in dev.output
        assert state(dev)[0] == 32


def test_ctrl_c_during_the_start_ends_it_in_order(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "app.cli",
            "dev",
            "--data",
            str(tmp_path / "data"),
            "--port",
            "0",
            "--supabase-port",
            "0",
        ],
        env=clean_environment(),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watched = psutil.Process(process.pid)
    children: list[psutil.Process] = []
    deadline = time.monotonic() + 20
    while len(children) < 2 and time.monotonic() < deadline:
        children = watched.children(recursive=True)
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert psutil.wait_procs(children, timeout=20)[1] == []


def test_with_parent_it_ends_when_make_is_killed(loaded: Path) -> None:
    command = f"{sys.executable} -m app.cli dev --data {loaded} --port 0 --supabase-port 0 --with-parent"
    (loaded / "dev.json").unlink()
    # A shell in make's place: it starts the command and waits.
    shell = subprocess.Popen(
        ["bash", "-c", f"{command} >/dev/null; true"], env=clean_environment(), cwd=REPOSITORY
    )
    deadline = time.monotonic() + 60
    while not (loaded / "dev.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    family = psutil.Process(shell.pid).children(recursive=True)
    assert len(family) >= 4
    shell.kill()
    shell.wait(10)
    assert psutil.wait_procs(family, timeout=20)[1] == []


def test_reset_starts_anew(loaded: Path) -> None:
    with Dev(loaded) as dev:
        before = state(dev)
    with Dev(loaded, "--reset") as dev:
        after = state(dev)
    assert after[0] == before[0]
    assert set(after[2].values()).isdisjoint(before[2].values())


def test_without_the_demo_there_is_nobody(tmp_path: Path) -> None:
    with Dev(tmp_path / "data", "--no-demo") as dev:
        values = dev.values
        assert values["people"] == {}
        assert values["project"] is None
        assert httpx.get(f"{values['api']}/health/ready").status_code == 200


def test_data_of_another_schema_says_what_to_do(loaded: Path) -> None:
    with Dev(loaded) as dev:
        url = dev.values["db_url"]
        change = (
            "insert into supabase_migrations.schema_migrations (version, name, statements) "
            "values ('99990101000000', 'from_the_future', '{}')"
        )
        run_sql(url, change)
    done = verso("dev", "--data", str(loaded), "--port", "0", "--supabase-port", "0")
    assert done.returncode == 1
    assert "99990101000000" in done.stderr
    assert "verso dev --reset" in done.stderr
    assert "Traceback" not in done.stderr


def run_sql(url: str, statement: str) -> None:
    code = (
        "import asyncio, asyncpg, sys\n"
        "async def main():\n"
        "    conn = await asyncpg.connect(sys.argv[1])\n"
        "    await conn.execute(sys.argv[2])\n"
        "    await conn.close()\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code, url, statement], check=True)
