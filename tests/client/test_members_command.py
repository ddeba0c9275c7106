"""`verso members` and `verso invitations`: somebody is invited, comes, is kept to a folder, and goes."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from tests.api.world import Person, sign_in
from tests.client.test_import_commands import Shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack


def shell(home: Path, server: Server, person: Person) -> Shell:
    home.mkdir()
    return Shell(home, VERSO_API=server.url, VERSO_TOKEN=person.token)


def test_a_members_life_from_the_terminal(stack: Stack, server: Server, tmp_path: Path) -> None:
    with (
        Person(server, sign_in(stack, "keeper"), None) as owner,
        Person(server, sign_in(stack, "guest"), None) as guest,
    ):
        project = f"p-{uuid.uuid4().hex[:10]}"
        owner.post("/v1/projects", json={"slug": project}).raise_for_status()
        mine, theirs = shell(tmp_path / "owner", server, owner), shell(tmp_path / "guest", server, guest)

        invited = mine("members", "invite", project, "--email", guest.email, "--role", "editor", "--json")
        assert invited.returncode == 0, invited.stderr
        assert json.loads(invited.stdout)["state"] == "pending"
        assert guest.email in mine("members", "invited", project).stdout
        assert theirs("members", "list", project).returncode == 1, "an invitation is no membership"

        (waiting,) = json.loads(theirs("invitations", "list", "--json").stdout)
        accepted = theirs("invitations", "accept", waiting["id"])
        assert f"You are editor of {project}" in accepted.stdout, accepted.stderr
        assert theirs("invitations", "list").stdout == "You are invited to nothing.\n"

        kept = mine("members", "folders", project, guest.handle, "docs/", "notes/deep")
        assert f"editor   {guest.handle}" in kept.stdout
        assert kept.stdout.endswith(" in docs, notes/deep\n")
        outside = guest.put(f"/v1/projects/{project}/files/a.md", content=b"x")
        assert outside.json()["code"] == "outside_folders"
        assert mine("members", "folders", project, guest.handle).returncode == 2
        everywhere = mine("members", "folders", project, guest.handle, "--everywhere")
        assert " in " not in everywhere.stdout
        assert mine("members", "set", project, guest.handle, "reader").stdout.startswith("reader")
        assert theirs("members", "set", project, guest.handle, "owner").returncode == 1
        assert len(theirs("members", "list", project).stdout.splitlines()) == 2

        gone = theirs("members", "remove", project, guest.handle)
        assert "no member" in gone.stdout, gone.stderr
        assert guest.get(f"/v1/projects/{project}").status_code == 404
        again = json.loads(mine("members", "invite", project, "--github", "octocat", "--json").stdout)
        assert mine("members", "uninvite", project, again["id"]).returncode == 0
        no_id = mine("members", "uninvite", project, "octocat")
        assert (no_id.returncode, "not a valid UUID" in no_id.stderr) == (2, True)
        assert mine("members", "invited", project).stdout == "Nobody.\n"
        assert "revoked" in mine("members", "invited", project, "--ended").stdout
        assert mine("members", "remove", project, owner.handle).returncode == 1, "an owner stays"
