"""Invitations as clients meet them, and that access ends with a membership: for requests that run, too."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
import socket
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.api.world import Api, Contract, Person, Project, code_of, make_project, read_answer, sign_in
from tests.webhooks.working import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack import Stack


@pytest.fixture
def invited(stack: Stack, api: Api, contract: Contract) -> Iterator[Person]:
    """Somebody who belongs to nothing yet."""
    with Person(api, sign_in(stack, "invited"), contract) as person:
        yield person


def invite(project: Project, role: str = "editor", **address: str) -> httpx.Response:
    return project.people.owner.post(f"{project.url}/invitations", json={"role": role, **address})


def sign_in_with_github(stack: Stack, login: str) -> dict[str, Any]:
    """What a browser does: leave for GitHub, say who one is, come back with a code."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "provider": "github",
        "redirect_to": "http://127.0.0.1:8000/auth/callback",
        "code_challenge": challenge,
        "code_challenge_method": "s256",
    }
    with httpx.Client(base_url=stack.supabase_url, timeout=30, trust_env=False) as browser:
        there = browser.get("/auth/v1/authorize", params=query).headers["location"]
        state = re.search(r'name="state" value="([^"]+)"', browser.get(there).text)
        assert state is not None
        chosen = browser.post(there, data={"state": html.unescape(state[1]), "login": login})
        back = browser.get(chosen.headers["location"]).headers["location"]
        answer = browser.post(
            "/auth/v1/token?grant_type=pkce",
            headers={"apikey": stack.publishable_key},
            json={"auth_code": parse_qs(urlsplit(back).query)["code"][0], "code_verifier": verifier},
        )
        answer.raise_for_status()
        return dict(answer.json())


def test_an_invitation_by_address_is_made_seen_and_accepted(project: Project, invited: Person) -> None:
    made = invite(project, email=invited.email.upper())
    assert made.status_code == 201
    body = made.json()
    assert (body["email"], body["role"], body["state"]) == (invited.email, "editor", "pending")
    assert body["invited_by"]["id"] == project.people.owner.id
    assert invited.get(project.url).status_code == 404
    (seen,) = invited.get("/v1/me/invitations").json()["items"]
    assert seen["project"] == {"id": project.id, "slug": project.slug, "name": project.slug}
    assert seen["invited_by"]["handle"] == project.people.owner.handle
    url = f"/v1/me/invitations/{seen['id']}/accept"
    joined = invited.post(url)
    assert (joined.status_code, joined.json()["role"]) == (200, "editor")
    assert invited.post(url).json()["id"] == project.id, "twice is once"
    assert project.put("a", "1", by=invited).status_code == 201
    assert invited.get("/v1/me/invitations").json()["items"] == []
    for fresh in (make_project(project.people), make_project(project.people)):
        invite(fresh, email=invited.email).raise_for_status()
    newer = invited.get("/v1/me/invitations", params={"limit": 1})
    older = invited.get(newer.links["next"]["url"])
    (last,) = older.json()["items"]
    assert last["created_at"] < newer.json()["items"][0]["created_at"]
    assert older.json()["next"] is None
    listed = project.people.owner.get(f"{project.url}/invitations", params={"ended": True}).json()["items"]
    assert [(each["state"], each["accepted_by"]["id"]) for each in listed] == [("accepted", invited.id)]


def test_somebody_signs_in_with_github_for_the_first_time_and_joins(
    stack: Stack, api: Api, contract: Contract, project: Project
) -> None:
    login = f"u{uuid.uuid4().hex[:10]}"
    made = invite(project, "reviewer", github_login=f"@{login.upper()}")
    assert made.json()["github_login"] == login
    with Person(api, sign_in_with_github(stack, login), contract) as newcomer:
        (seen,) = newcomer.get("/v1/me/invitations").json()["items"]
        assert newcomer.post(f"/v1/me/invitations/{seen['id']}/accept").json()["role"] == "reviewer"
        assert newcomer.get("/v1/me").json()["github_login"] == login
    again = invite(project, github_login=login)
    assert (again.status_code, code_of(again)) == (409, "already_member")


def test_a_name_that_a_user_gave_themselves_invites_nobody(
    stack: Stack, project: Project, invited: Person
) -> None:
    login = f"u{uuid.uuid4().hex[:10]}"
    made = invite(project, "owner", github_login=login).json()
    with httpx.Client(base_url=f"{stack.supabase_url}/auth/v1", trust_env=False) as auth:
        auth.put(
            "/user",
            headers={"apikey": stack.publishable_key, "Authorization": f"Bearer {invited.token}"},
            json={"data": {"user_name": login, "preferred_username": login, "provider": "github"}},
        ).raise_for_status()
    assert invited.get("/v1/me/invitations").json()["items"] == []
    refused = invited.post(f"/v1/me/invitations/{made['id']}/accept")
    assert (refused.status_code, code_of(refused)) == (404, "invitation_not_found")


def test_inviting_says_nothing_of_accounts(project: Project, invited: Person) -> None:
    nobody = f"nobody-{uuid.uuid4().hex[:8]}@example.com"
    varying = {"id", "sequence", "email", "created_at", "expires_at"}
    answers = [
        {name: value for name, value in invite(project, email=address).json().items() if name not in varying}
        for address in (invited.email, nobody, project.people.reader.email)
    ]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("ending", ["decline", "revoke", "replace"])
def test_an_invitation_ends(project: Project, invited: Person, ending: str) -> None:
    owner = project.people.owner
    made = invite(project, email=invited.email).json()
    if ending == "decline":
        for _ in range(2):
            assert invited.post(f"/v1/me/invitations/{made['id']}/decline").status_code == 204
    elif ending == "revoke":
        for _ in range(2):
            assert owner.delete(f"{project.url}/invitations/{made['id']}").status_code == 204
    else:
        assert invite(project, "reader", email=invited.email).status_code == 201
    refused = invited.post(f"/v1/me/invitations/{made['id']}/accept")
    assert (refused.status_code, code_of(refused)) == (410, "invitation_over")
    assert refused.json()["state"] == f"{ending.removesuffix('e')}ed"
    assert invited.get(project.url).status_code == 404


def test_only_owners_see_and_make_invitations(project: Project) -> None:
    made = invite(project, email="a@example.com").json()
    url = f"{project.url}/invitations"
    for role in ("editor", "reviewer", "reader"):
        person = project.people.members()[role]
        for refused in (
            person.get(url),
            person.post(url, json={"role": "reader", "email": "b@example.com"}),
            person.delete(f"{url}/{made['id']}"),
        ):
            assert (refused.status_code, code_of(refused)) == (403, "role_too_low")
    outsider = project.people.outsider
    for refused in (outsider.get(url), outsider.delete(f"{url}/{made['id']}")):
        assert (refused.status_code, code_of(refused)) == (404, "project_not_found")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"role": "reader"}, 422, "bad_invitee"),
        ({"role": "reader", "email": "a@b.c", "github_login": "a"}, 422, "bad_invitee"),
        ({"role": "reader", "email": "nobody"}, 422, "bad_invitee"),
        ({"role": "reader", "email": "a\u0000@b.c"}, 400, "bad_request"),
        ({"role": "god", "email": "a@b.c"}, 400, "bad_request"),
        ({"email": "a@b.c"}, 400, "bad_request"),
        ({"role": "reader", "email": "x" * 300 + "@b.c"}, 400, "bad_request"),
        ({"role": "reader", "github_login": 7}, 400, "bad_request"),
    ],
)
def test_an_invitation_that_is_none_is_refused(
    project: Project, body: dict[str, Any], status: int, code: str
) -> None:
    refused = project.people.owner.post(f"{project.url}/invitations", json=body)
    assert (refused.status_code, code_of(refused)) == (status, code), refused.text


def test_ids_of_nothing(project: Project, invited: Person) -> None:
    for url in ("/v1/me/invitations/{}/accept", "/v1/me/invitations/{}/decline"):
        assert code_of(invited.post(url.format(uuid.uuid4()))) == "invitation_not_found"
        assert invited.post(url.format("x")).status_code == 404
    gone = project.people.owner.delete(f"{project.url}/invitations/{uuid.uuid4()}")
    assert (gone.status_code, code_of(gone)) == (404, "invitation_not_found")


def test_invitations_come_in_pages_newest_first(project: Project) -> None:
    for number in range(3):
        invite(project, email=f"p{number}@example.com").raise_for_status()
    owner = project.people.owner
    first = owner.get(f"{project.url}/invitations", params={"limit": 2})
    assert [each["email"] for each in first.json()["items"]] == ["p2@example.com", "p1@example.com"]
    following = owner.get(first.links["next"]["url"]).json()
    assert [each["email"] for each in following["items"]] == ["p0@example.com"]
    assert following["next"] is None


def test_a_project_changes_hands(project: Project, invited: Person) -> None:
    """Invite an owner, who accepts; the old one leaves; nobody else could have left it without one."""
    owner = project.people.owner
    mine = f"{project.url}/members/{owner.id}"
    made = invite(project, "owner", email=invited.email).json()
    assert code_of(owner.delete(mine)) == "last_owner", "an invited owner is none yet"
    assert invited.post(f"/v1/me/invitations/{made['id']}/accept").json()["role"] == "owner"
    assert owner.delete(mine).status_code == 204
    assert owner.get(project.url).status_code == 404
    assert code_of(invited.delete(f"{project.url}/members/{invited.id}")) == "last_owner"


# Access ends at once -------------------------------------------------------------------------------


def test_an_upload_that_runs_while_its_writer_is_removed_writes_nothing(
    api: Api, project: Project, invited: Person
) -> None:
    """The check before the bytes passes; the one under the project's lock, after them, doesn't."""
    project.people.owner.put(
        f"{project.url}/members/{invited.id}", json={"role": "editor"}
    ).raise_for_status()
    body = secrets.token_bytes(600_000)
    head = (
        f"PUT {project.file('late.bin')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {invited.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        connection.sendall(head.encode() + body[:400_000])
        until(lambda: [*api.spool.iterdir()])  # bytes are taken in once it was asked whether it may
        gone = project.people.owner.delete(f"{project.url}/members/{invited.id}")
        assert gone.status_code == 204
        connection.sendall(body[400_000:])
        answer = read_answer(connection)
    assert answer.startswith(b"HTTP/1.1 404"), answer[:200]
    request_id = re.search(rb"(?i)x-request-id: ([^\r]+)", answer)
    assert request_id is not None
    line = api.logged(httpx.Response(404, headers={"x-request-id": request_id[1].decode()}))
    assert line["round_trips"] >= 2
    assert project.people.reader.get(project.file("late.bin")).status_code == 404
    assert project.people.reader.get(project.url).json()["change_sequence"] == 0


def test_what_was_read_and_kept_here_is_not_served_to_a_former_member(
    project: Project, invited: Person
) -> None:
    """Neither from the cache, nor as 304, nor by hashes that they still know."""
    version = project.written("a.md", "secret\n")
    member = f"{project.url}/members/{invited.id}"
    project.people.owner.put(member, json={"role": "reader"}).raise_for_status()
    urls = (
        project.file("a.md"),
        f"/v1/versions/{version['hash']}/comments",
        f"/v1/documents/{version['document']}/versions/1/content",
        f"{project.url}/contents/{version['sha256']}",
        f"{project.url}/archive?format=zip",
        f"{project.url}/history",
    )
    tags = {url: invited.get(url).headers.get("etag") for url in urls}
    assert {invited.get(url).status_code for url in urls} == {200}
    assert invited.delete(member).status_code == 204
    for url in urls:
        headers = {"If-None-Match": tags[url]} if tags[url] else {}
        assert invited.get(url, headers=headers).status_code == 404, url
    assert invited.post(f"{project.url}/have", json={"sha256": [version["sha256"]]}).status_code == 404


def test_storage_gives_members_no_links_that_outlive_their_membership(
    stack: Stack, project: Project, invited: Person
) -> None:
    version = project.written("a.md", "secret\n")
    name = f"{project.id}/{version['sha256']}"
    member = f"{project.url}/members/{invited.id}"
    project.people.owner.put(member, json={"role": "editor"}).raise_for_status()
    keys = {"apikey": stack.publishable_key, "Authorization": f"Bearer {invited.token}"}
    base = f"{stack.supabase_url}/storage/v1/object"
    with httpx.Client(headers=keys, trust_env=False) as storage:
        assert storage.get(f"{base}/authenticated/documents/{name}").content == b"secret\n"
        for path, body in (
            (f"sign/documents/{name}", {"expiresIn": 10**9}),
            (f"upload/sign/documents/{project.id}/{'0' * 64}", {}),
        ):
            assert storage.post(f"{base}/{path}", json=body).status_code in {400, 403, 404}, path
        many = storage.post(f"{base}/sign/documents", json={"expiresIn": 10**9, "paths": [name]})
        assert [each["signedURL"] for each in many.json()] == [None]
        assert project.people.owner.delete(member).status_code == 204
        assert storage.get(f"{base}/authenticated/documents/{name}").status_code in {400, 403, 404}
