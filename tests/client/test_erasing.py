"""`verso erase`: looked at, confirmed, done; and what broke off is finished."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.api.world import Person, sign_in
from tests.client.test_import_commands import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack

SECRET = b"Jane Roe\n"


@pytest.fixture(scope="module")
def owner(stack: Stack, server: Server) -> Iterator[Person]:
    with Person(server, sign_in(stack, "keeper"), None) as person:
        yield person


@pytest.fixture
def project(owner: Person) -> str:
    slug = f"p-{uuid.uuid4().hex[:10]}"
    owner.post("/v1/projects", json={"slug": slug}).raise_for_status()
    first = owner.put(f"/v1/projects/{slug}/files/a.md", content=SECRET).json()["version"]
    owner.put(
        f"/v1/projects/{slug}/files/a.md", content=b"clean\n", headers={"If-Match": f'"{first["hash"]}"'}
    ).raise_for_status()
    return slug


@pytest.fixture
def verso(tmp_path: Path, server: Server, owner: Person) -> Shell:
    return Shell(tmp_path, VERSO_API=server.url, VERSO_TOKEN=owner.token)


def test_a_content_is_looked_at_confirmed_and_erased(owner: Person, project: str, verso: Shell) -> None:
    looked = verso("erase", project, "a.md", "--at", "1", "--dry-run", "--json")
    assert looked.returncode == 0, looked.stderr
    told = json.loads(looked.stdout)
    assert (told["versions"], told["heads"]) == (1, 0)
    unsure = verso("erase", project, told["sha256"], "--reason", "A name.")
    assert unsure.returncode == 2
    assert told["sha256"] in unsure.stderr
    wrong = verso("erase", project, told["sha256"], "--reason", "A name.", "--confirm", "yes")
    assert wrong.returncode == 1
    assert verso("erasures", "list", project).stdout == "Nothing.\n"
    version = told["items"][0]["version"]
    done = verso("erase", project, version, "--reason", "A name.", "--confirm", told["sha256"])
    assert done.returncode == 0, done.stderr
    assert "no bytes any more in 1 version." in done.stdout
    assert owner.get(f"/v1/projects/{project}/contents/{told['sha256']}").status_code == 410
    again = verso("erase", project, told["sha256"])
    assert again.returncode == 0, again.stderr
    assert "A name." in verso("erasures", "list", project).stdout


async def test_what_storage_would_not_delete_is_finished_later(
    stack: Stack, project: str, verso: Shell
) -> None:
    told = json.loads(verso("erase", project, "a.md", "--dry-run", "--json").stdout)
    await stack.psql(
        "create policy nobody on storage.objects as restrictive for delete to authenticated using (false)",
        role="supabase_admin",
    )
    try:
        pending = verso("erase", project, told["sha256"], "--reason", "x", "--confirm", told["sha256"])
        assert "storage could not delete" in pending.stdout
        assert verso("erasures", "finish", project).returncode == 1
    finally:
        await stack.psql("drop policy nobody on storage.objects", role="supabase_admin")
    listed = json.loads(verso("erasures", "list", project, "--pending", "--json").stdout)
    assert [each["sha256"] for each in listed] == [told["sha256"]]
    assert verso("erasures", "finish", project).returncode == 0
    assert verso("erasures", "finish", project).stdout == "There is nothing left to delete.\n"
