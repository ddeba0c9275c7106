"""`verso agents`: an operator with the key and an owner's login makes what a server without the key can't."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.api.world import Person, sign_in
from tests.client.test_import_commands import Shell

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack


@pytest.fixture(scope="module")
def owner(stack: Stack, server: Server) -> Iterator[Person]:
    with Person(server, sign_in(stack, "keeper"), None) as person:
        yield person


@pytest.fixture
def project(owner: Person) -> str:
    slug = f"p-{uuid.uuid4().hex[:10]}"
    owner.post("/v1/projects", json={"slug": slug}).raise_for_status()
    return slug


@pytest.fixture
def shell(tmp_path: Path, server: Server) -> Callable[..., Shell]:
    def made(name: str, **environment: str) -> Shell:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        return Shell(home, VERSO_API=server.url, **environment)

    return made


def inside(shell: Shell, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in the shell's working folder."""
    environment = {
        name: text for name, text in shell._environment.items() if name.startswith(("VERSO", "SUPA"))
    }
    there = Shell(shell._home, **environment)
    there._home = shell._home / "work"
    return there(*arguments)


def test_an_agents_life_from_the_terminal(stack, owner, project, shell):
    key = {"SUPABASE_URL": stack.supabase_url, "SUPABASE_SECRET_KEY": stack.secret_key}
    keeper = shell("keeper", VERSO_TOKEN=owner.token, **key)
    added = keeper("agents", "add", project, "planner")
    assert added.returncode == 0, added.stderr
    assert "acts for" in added.stderr
    assert json.loads(added.stdout)["password"] not in added.stderr

    agent = shell("agent")
    signed_in = agent("login", "--with-token", stdin=added.stdout)
    assert signed_in.returncode == 0, signed_in.stderr
    assert agent("clone", project, "work").returncode == 0
    (agent._home / "work" / "plan.md").write_text("a plan\n")
    pushed = inside(agent, "push", "-m", "The plan")
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    change = owner.get(f"/v1/projects/{project}/changes/1").json()
    assert (change["actor"], change["agent"]) == ("agent", "planner")
    assert change["on_behalf_of"]["id"] == owner.id

    logged = agent("log", "--project", project)
    assert f"(agent planner for {change['on_behalf_of']['name']})" in logged.stdout, (
        logged.stdout + logged.stderr
    )
    bundle = agent._home / "p.bundle"
    assert keeper("export", "bundle", str(bundle), "--project", project).returncode == 0
    checked = keeper.json("verify", str(bundle))
    assert (checked["whole"], checked["change_hash"]) == (True, change["hash"])

    rotated = keeper("agents", "rotate", project, "planner")
    assert rotated.returncode == 0, rotated.stderr
    assert inside(agent, "pull").returncode != 0
    assert agent("login", "--with-token", stdin=added.stdout).returncode != 0
    assert agent("login", "--with-token", stdin=rotated.stdout).returncode == 0
    assert inside(agent, "pull").returncode == 0

    revoked = keeper.json("agents", "revoke", project, "planner")
    assert (revoked["account_closed"], revoked["agent"]["active"]) == (True, False)
    assert agent("login", "--with-token", stdin=rotated.stdout).returncode != 0
    assert "planner: revoked" in keeper("agents", "list", project).stdout


def test_without_the_key_the_server_is_asked_and_names_what_an_operator_runs(owner, project, shell):
    keeper = shell("keeper", VERSO_TOKEN=owner.token)
    refused = keeper("agents", "add", project, "planner")
    assert refused.returncode == 1
    assert f"verso agents add {project} planner --role editor" in refused.stderr


def test_the_key_alone_makes_no_agent_and_goes_nowhere_that_was_not_named(
    stack, server, owner, project, shell
):
    with Person(server, sign_in(stack, "stranger"), None) as stranger:
        operator = shell(
            "operator",
            VERSO_TOKEN=stranger.token,
            SUPABASE_URL=stack.supabase_url,
            SUPABASE_SECRET_KEY=stack.secret_key,
        )
        assert "no such project" in operator("agents", "add", project, "planner").stderr
    nowhere = shell("nowhere", VERSO_TOKEN=owner.token, SUPABASE_SECRET_KEY=stack.secret_key)
    refused = nowhere("agents", "add", project, "planner")
    assert (refused.returncode, "SUPABASE_URL" in refused.stderr) == (2, True)
    wrong = shell("wrong", VERSO_TOKEN=owner.token, SUPABASE_URL=stack.supabase_url)
    refused = wrong("agents", "add", project, "planner", "--secret-key-stdin", stdin="sb_secret_wrong\n")
    assert refused.returncode == 1
    assert "doesn't take that key" in refused.stderr
    assert "sb_secret_wrong" not in refused.stderr
    signed_out = shell("out", SUPABASE_URL=stack.supabase_url, SUPABASE_SECRET_KEY=stack.secret_key)
    assert signed_out("agents", "add", project, "planner").returncode == 4
    assert owner.get(f"/v1/projects/{project}/agents").json()["items"] == []
