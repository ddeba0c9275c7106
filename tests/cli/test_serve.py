"""`verso serve`, `verso migrate` and the rest of the command line."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.cli.running import REPOSITORY, clean_environment, verso
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("serve")) as running:
        yield running


@contextlib.contextmanager
def serving(stack: Stack, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A running `verso serve` and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--port", str(port), *arguments],
        env=clean_environment(**stack.env),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/health/ready").status_code == 200:
                    break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, url
    finally:
        process.kill()
        process.wait(10)


def test_without_settings_it_says_what_to_set() -> None:
    done = verso("serve")
    assert done.returncode == 2
    assert done.stderr == "verso: Set SUPABASE_URL. `verso dev` prints one that works on this machine.\n"


def test_a_malformed_setting_is_named() -> None:
    done = verso(
        "serve", SUPABASE_URL="http://127.0.0.1:9", SUPABASE_PUBLISHABLE_KEY="k", VERSO_MAX_PAGE_SIZE="many"
    )
    assert done.returncode == 2
    assert "VERSO_MAX_PAGE_SIZE is 'many'" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_told_to_stop_and_then_ends_in_order(stack: Stack, number: int) -> None:
    with serving(stack) as (process, url):
        assert httpx.get(f"{url}/health/live").status_code == 200
        process.send_signal(number)
        assert process.wait(20) == 0


def test_an_upload_under_way_is_finished_before_it_stops(stack: Stack) -> None:
    session = asyncio.run(stack.user())
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    with serving(stack) as (process, url):
        httpx.post(f"{url}/v1/projects", json={"slug": "slow"}, headers=headers).raise_for_status()
        half_sent = threading.Event()
        told = threading.Event()

        def body() -> Iterator[bytes]:
            yield b"first half, "
            half_sent.set()
            told.wait(20)
            yield b"second half"

        answers: list[httpx.Response] = []
        upload = threading.Thread(
            target=lambda: answers.append(
                httpx.put(f"{url}/v1/projects/slow/files/a.txt", content=body(), headers=headers, timeout=30)
            )
        )
        upload.start()
        assert half_sent.wait(20)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        told.set()
        upload.join(30)
        assert answers[0].status_code == 201
        assert process.wait(20) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_busy_port_is_named_with_the_option_that_chooses_another(stack: Stack, workers: str) -> None:
    port = stack.supabase_url.rpartition(":")[2]
    done = verso("serve", "--port", port, "--workers", workers, **stack.env)
    assert done.returncode == 1
    assert f"Port {port} " in done.stderr
    assert "another port with --port" in done.stderr


def test_several_workers_serve_behind_one_port_and_end_together(stack: Stack) -> None:
    with serving(stack, "--workers", "2") as (process, url):
        workers = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "spawn_main" in " ".join(child.cmdline())
        ]
        assert len(workers) == 2
        assert httpx.get(f"{url}/health/live").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert psutil.wait_procs(workers, timeout=10)[1] == []


def test_migrate_applies_the_schema_once(tmp_path: Path) -> None:
    with Stack(tmp_path / "empty", migrations=None) as empty:
        first = verso("migrate", "--db-url", empty.db_url)
        second = verso("migrate", "--db-url", empty.db_url)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("applied 2") >= 12
    assert second.returncode == 0
    assert second.stdout == "Nothing to do: the database has every migration.\n"


@pytest.mark.parametrize("url", ["postgresql://postgres:x@127.0.0.1:9/postgres", "not a url"])
def test_migrate_without_a_database_says_what_to_check(url: str) -> None:
    done = verso("migrate", "--db-url", url)
    assert done.returncode == 1
    assert "--db-url" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_is_that_of_the_package() -> None:
    assert verso("--version").stdout == "verso 0.1.0\n"


def test_every_command_explains_itself() -> None:
    listed = verso("--help").stdout
    for command in ("dev", "serve", "doctor", "migrate"):
        assert command in listed
        assert verso(command, "--help").returncode == 0
