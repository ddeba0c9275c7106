"""The commands as people and programs run them: a process, its output, its exit code."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from app.cli.exits import until_interrupted
from tests.client.folders import Someone, tree_of
from tests.client.inside import run_inside
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """What a shell starts in the background ignores Ctrl-C, and so would all that is started from there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Shell:
    """Runs `verso` in a directory as somebody."""

    def __init__(self, person: Someone, directory: Path) -> None:
        self.directory = directory
        home = directory / "home"
        home.mkdir(parents=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("VERSO_")}
        self.environment = {
            **inherited,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "PYTHONPATH": str(REPOSITORY),
            "VERSO_API": person.url,
            "VERSO_TOKEN": person.token,
        }

    def start(self, *arguments: str, within: str = ".") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "app.cli", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.directory / within,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def unread(self, *arguments: str, within: str = ".") -> tuple[int, str]:
        """The exit code and stderr of a command whose output nobody reads any more."""
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "app.cli", *arguments]
        done = subprocess.run(
            command,
            cwd=self.directory / within,
            env=self.environment,
            text=True,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        os.close(writer)
        return done.returncode, done.stderr

    def run(self, *arguments: str, within: str = ".", code: int = 0) -> str:
        ran = run_inside(arguments, self.environment, self.directory / within)
        assert ran.exit_code == code, f"{ran.exit_code}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout + ran.stderr

    def json(self, *arguments: str, within: str = ".", code: int = 0) -> Any:
        ran = run_inside((*arguments, "--json"), self.environment, self.directory / within)
        assert ran.exit_code == code, f"{ran.exit_code}\n{ran.stdout}\n{ran.stderr}"
        assert ran.stderr == ""
        return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def zoe(stack: Stack, server: Server) -> Someone:
    return Someone(stack, server, "zoe")


@pytest.fixture
def project(zoe: Someone) -> str:
    return zoe.project()


@pytest.fixture
def shell(zoe: Someone, project: str, tmp_path: Path) -> Shell:
    shell = Shell(zoe, tmp_path)
    shell.run("clone", project, "work")
    return shell


def test_a_day_with_a_folder(shell: Shell, zoe: Someone, project: str) -> None:
    work = shell.directory / "work"
    (work / "a.md").write_text("one\n")
    (work / ".env").write_text("SECRET=1\n")
    assert shell.json("status", within="work")["added"] == ["a.md"]
    assert shell.json("push", "-m", "First", within="work")["change"] == 1
    (work / "a.md").write_text("two\n")
    shell.run("push", within="work")
    shell.run("mv", "a.md", "notes/b.md", within="work")
    assert shell.json("status", within="work")["moved"] == {"a.md": "notes/b.md"}
    shell.run("restore", "b.md", "--version", "1", within="work/notes")
    shell.run("push", "-m", "Moved and back", within="work")
    assert tree_of(zoe, project) == {"notes/b.md": b"one\n"}
    shell.run("rm", "notes", within="work")
    assert not (work / "notes").exists()
    shell.run("push", within="work")
    assert tree_of(zoe, project) == {}
    shell.run("restore", "notes/b.md", within="work")
    assert shell.json("push", within="work")["change"] == 5
    for command in (["log"], ["log", "--json"], ["show", "5"], ["status", "--json"], ["log", "--help"]):
        assert shell.unread(*command, within="work") == (0, ""), command
    with zoe.api() as api:
        change = api.get(f"/v1/projects/{project}/changes/5")
    assert [(each["action"], each["path"]) for each in change["versions"]] == [("restore", "notes/b.md")]


def test_exit_codes_tell_what_happened(shell: Shell, zoe: Someone, project: str) -> None:
    work = shell.directory / "work"
    assert shell.json("status", code=2)["error"]["code"] == "no_working_folder"
    shell.run("status", "--nonsense", code=2)
    (work / "a.md").write_text("one\n")
    shell.run("push", within="work")
    for verb in ("rm", "push"):
        assert shell.json(verb, "b.md", within="work", code=1)["error"]["code"] == "document_not_found"
    (work / "a.md").write_text("mine\n")
    assert shell.json("rm", "a.md", within="work", code=1)["error"]["code"] == "unsaved"
    with zoe.api() as api:
        head = api.get(f"/v1/projects/{project}/tree")["items"][0]["version"]
        item = {"path": "a.md", "base": head, "text": "theirs\n"}
        api.post(f"/v1/projects/{project}/changes", {"items": [item]})
    pulled = shell.json("pull", within="work", code=3)
    assert [(each["path"], each["beside"]) for each in pulled["conflicts"]] == [("a.md", "a.theirs.md")]
    assert "verso resolve" in shell.run("push", within="work", code=3)
    shell.run("resolve", "a.md", within="work")
    shell.run("push", within="work")
    assert tree_of(zoe, project) == {"a.md": b"mine\n"}
    shell.environment["VERSO_TOKEN"] = "nonsense"
    assert "verso login" in shell.run("pull", within="work", code=4)
    shell.environment["VERSO_API"] = "http://127.0.0.1:9"
    assert "can't be reached" in shell.run("pull", within="work", code=5)


@pytest.mark.slow
def test_a_push_that_is_killed_anywhere_writes_once(shell: Shell, zoe: Someone, project: str) -> None:
    work = shell.directory / "work"
    chance = random.Random(7)
    for turn in range(6):
        for number in range(20):
            (work / f"{number}.md").write_text(f"turn {turn}, file {number}\n")
        process = shell.start("push", "-m", f"turn {turn}", within="work")
        time.sleep(chance.uniform(0.3, 1.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        shell.run("push", "-m", f"turn {turn}", within="work")
        with zoe.api() as api:
            log = api.get(f"/v1/projects/{project}/changes")["items"]
        assert [each["message"] for each in log] == [f"turn {each}" for each in range(turn, -1, -1)]
    assert tree_of(zoe, project) == {f"{n}.md": f"turn 5, file {n}\n".encode() for n in range(20)}


def test_a_folder_that_is_watched_stays_in_step_and_stops_at_ctrl_c(
    shell: Shell, zoe: Someone, project: str
) -> None:
    work = shell.directory / "work"
    process = shell.start("watch", "--quiet-time", "0.2", "--every", "300", "--json", within="work")
    try:
        (work / "a.md").write_text("mine\n")
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["kind"], first["paths"]) == ("pushed", ["a.md"])
        with zoe.api() as api:
            item = {"path": "b.md", "create": True, "text": "theirs\n"}
            api.post(f"/v1/projects/{project}/changes", {"items": [item]})
        second = json.loads(process.stdout.readline())
        assert (second["kind"], second["paths"]) == ("pulled", ["b.md"])
        assert (work / "b.md").read_text() == "theirs\n"
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_events_are_told_and_followed_until_ctrl_c(shell: Shell, zoe: Someone, project: str) -> None:
    def post(path: str) -> None:
        item = {"path": path, "create": True, "text": "theirs\n"}
        with zoe.api() as api:
            api.post(f"/v1/projects/{project}/changes", {"items": [item], "message": "Why\nand more"})

    process = shell.start("events", "-f", "--json", "--path", "new/", "--after", "0", "--project", project)
    try:
        post("new/a.md")
        post("old.md")
        post("new/b.md")
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [each["change"]["versions"][0]["path"] for each in told] == ["new/a.md", "new/b.md"]
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    text = shell.run("events", "--kind", "change.*", "--after", str(told[0]["sequence"] - 1), within="work")
    lines = text.splitlines()
    assert len(lines) == 3
    assert lines[0].endswith("+new/a.md: Why")
    refused = shell.json("events", "--session", "none", within="work", code=1)
    assert refused["error"]["code"] == "session_not_found"


def test_an_interruption_that_python_drops_is_heard_all_the_same() -> None:
    """What is raised in a destructor goes nowhere; `verso watch` would have gone on."""

    class Interrupted:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def work() -> None:
        with until_interrupted() as stop:
            assert not stop.is_set()
            Interrupted()
            assert stop.is_set()

    dropped: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, dropped.append
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        sys.unraisablehook = before
    assert [each.exc_type for each in dropped] == [KeyboardInterrupt]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
