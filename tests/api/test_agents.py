"""Agents over HTTP: made by an owner, rotated, revoked, and what a server without the secret key says."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.api.world import PASSWORD, Api, Contract, Person, code_of, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.world import People, Project
    from tests.stack import Stack


@pytest.fixture(scope="module")
def keyed(stack: Stack) -> Iterator[Api]:
    """A server that has the secret key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPABASE_SECRET_KEY", stack.secret_key)
        with Api(stack) as running:
            yield running
    shutil.rmtree(running.directory)


@pytest.fixture
def owner(keyed: Api, people: People, contract: Contract) -> Iterator[Person]:
    session = {
        "access_token": people.owner.token,
        "user": {"id": people.owner.id, "email": people.owner.email},
    }
    with Person(keyed, session, contract) as person:
        yield person


def signed_in(stack: Stack, api: Api, credential: dict[str, str], contract: Contract | None = None) -> Person:
    answer = httpx.post(
        f"{stack.supabase_url}/auth/v1/token?grant_type=password",
        headers={"apikey": stack.publishable_key},
        json=credential,
        trust_env=False,
    )
    answer.raise_for_status()
    return Person(api, answer.json(), contract)


def made(owner: Person, project: Project, name: str = "planner", role: str = "editor") -> dict[str, Any]:
    answer = owner.post(f"{project.url}/agents", json={"name": name, "role": role})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def test_an_agent_pushes_a_document_that_says_so_and_for_whom(stack, keyed, contract, project, owner):
    kept = made(owner, project)
    with signed_in(stack, keyed, kept["credential"], contract) as agent:
        assert [each["role"] for each in agent.get("/v1/me").json()["projects"]] == ["editor"]
        answer = agent.put(project.file("plan.md"), content=b"a plan\n")
        assert answer.status_code == 201, answer.text
        read = owner.get(f"{project.url}/changes/1").json()
        assert (read["actor"], read["agent"], read["author_name"]) == ("agent", "planner", "planner")
        assert read["on_behalf_of"]["id"] == owner.id
        listed = project.people.reader.get(f"{project.url}/agents").json()["items"]
        assert [(each["name"], each["acts_for"]["id"], each["active"]) for each in listed] == [
            ("planner", owner.id, True)
        ]
        assert kept["credential"]["password"] not in str(listed)


def test_rotating_ends_the_old_credential_and_every_session_at_once(stack, keyed, contract, project, owner):
    kept = made(owner, project)
    with signed_in(stack, keyed, kept["credential"], contract) as agent:
        assert agent.get(project.url).status_code == 200
        rotated = owner.post(f"{project.url}/agents/planner/rotate")
        assert rotated.status_code == 200, rotated.text
        assert code_of(agent.get(project.url)) == "project_not_found"
    with pytest.raises(httpx.HTTPStatusError):
        signed_in(stack, keyed, kept["credential"])
    with signed_in(stack, keyed, rotated.json()["credential"], contract) as agent:
        assert agent.get(project.url).status_code == 200


def test_rotating_takes_back_what_who_had_the_credential_changed(stack, keyed, contract, project, owner):
    kept = made(owner, project)
    account = f"{stack.supabase_url}/auth/v1/admin/users/{kept['agent']['id']}"
    theirs = f"thief-{kept['agent']['id'][:8]}@example.com"
    changed = httpx.put(
        account, headers={"apikey": stack.secret_key}, json={"email": theirs}, trust_env=False
    )
    assert changed.json()["email"] == theirs
    credential = owner.post(f"{project.url}/agents/planner/rotate").json()["credential"]
    assert credential["email"] == kept["credential"]["email"]
    with signed_in(stack, keyed, credential, contract) as agent:
        assert agent.get(project.url).status_code == 200
    linked = """insert into auth.identities (provider_id, user_id, identity_data, provider)
                values ($2, $1, jsonb_build_object('sub', $2::text), 'github')"""
    thief = uuid.UUID(kept["agent"]["id"])
    asyncio.run(stack.psql(linked, thief, f"thief-{thief}", role="supabase_auth_admin"))
    assert code_of(owner.post(f"{project.url}/agents/planner/rotate")) == "agent_altered"


def test_revoking_ends_the_agent_and_its_account(stack, keyed, contract, project, owner):
    kept = made(owner, project)
    with signed_in(stack, keyed, kept["credential"], contract) as agent:
        agent.put(project.file("plan.md"), content=b"a plan\n").raise_for_status()
        for _ in range(2):
            gone = owner.delete(f"{project.url}/agents/{kept['agent']['id']}")
            assert (gone.status_code, gone.json()["account_closed"]) == (200, True)
        assert code_of(agent.get(project.url)) == "project_not_found"
        assert agent.get("/v1/projects").json()["items"] == []
    with pytest.raises(httpx.HTTPStatusError):
        signed_in(stack, keyed, kept["credential"])
    assert code_of(owner.post(f"{project.url}/agents/{kept['agent']['id']}/rotate")) == "agent_revoked"
    assert owner.get(f"{project.url}/changes/1").json()["agent"] == "planner"
    assert made(owner, project)["agent"]["id"] != kept["agent"]["id"]


def test_who_may_not_makes_no_account(stack, keyed, contract, project, people):
    def accounts() -> int:
        headers = {"apikey": stack.secret_key}
        answer = httpx.get(f"{stack.supabase_url}/auth/v1/admin/users", headers=headers, trust_env=False)
        return int(answer.headers["x-total-count"])

    before = accounts()
    for role, code in (("editor", "role_too_low"), ("outsider", "project_not_found")):
        token = getattr(people, role).token
        answer = httpx.post(
            f"{keyed.url}{project.url}/agents",
            json={"name": "planner"},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert code_of(answer) == code
    assert accounts() == before


def test_what_cannot_be_an_agent_is_refused(project, owner):
    made(owner, project)
    assert code_of(owner.post(f"{project.url}/agents", json={"name": "planner"})) == "agent_exists"
    assert owner.post(f"{project.url}/agents", json={"name": "boss", "role": "owner"}).status_code == 400
    assert code_of(owner.post(f"{project.url}/agents/nobody/rotate")) == "agent_not_found"


def test_a_server_without_the_key_names_the_operators_command_and_still_revokes(project, people, owner):
    answer = people.owner.post(f"{project.url}/agents", json={"name": "planner"})
    assert (answer.status_code, code_of(answer)) == (409, "no_secret_key")
    assert answer.json()["command"] == f"verso agents add {project.id} planner --role editor"
    assert answer.json()["command"] in answer.json()["detail"]
    kept = made(owner, project)
    refused = people.owner.post(f"{project.url}/agents/planner/rotate")
    assert refused.json()["command"] == f"verso agents rotate {project.id} planner"
    revoked = people.owner.delete(f"{project.url}/agents/planner").json()
    assert (revoked["account_closed"], revoked["agent"]["id"]) == (False, kept["agent"]["id"])


def test_another_projects_agent_sees_nothing(stack, keyed, people, project, owner):
    elsewhere = make_project(people)
    kept = made(owner, elsewhere)
    with signed_in(stack, keyed, kept["credential"], owner.contract) as agent:
        for path in (project.url, f"{project.url}/agents", project.file("a.md")):
            assert agent.get(path).status_code == 404
        assert code_of(agent.post("/v1/projects", json={"slug": "mine"})) == "agent_bound"
        answer = people.owner.put(f"{project.url}/members/{agent.id}", json={"role": "reader"})
        assert code_of(answer) in {"agent_bound", "person_not_found"}


def test_a_credential_and_the_key_are_nowhere_in_the_log(stack, keyed, project, owner):
    kept = made(owner, project)
    log = keyed.log.read_text()
    assert '"route": "/v1/projects/{project}/agents"' in log
    for secret in (kept["credential"]["password"], stack.secret_key, PASSWORD):
        assert secret not in log
