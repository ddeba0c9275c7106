"""The audit trail as clients meet it: what is noted of requests, who reads it, and what noting costs: nothing."""

from __future__ import annotations

import csv
import io
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.supabase.audit import KINDS, NOUNS
from tests.api.browser import Browser
from tests.api.world import Api, Contract, People, Person, Project, code_of, sign_in
from tests.stack import MIGRATIONS, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stack import Stack

WAIT_S = 20


def trail(project: Project, **filters: Any) -> list[dict[str, Any]]:
    answer = project.people.owner.get(f"{project.url}/audit", params=filters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def await_entries(read: Callable[[], list[dict[str, Any]]], count: int = 1) -> list[dict[str, Any]]:
    """What is noted is said a moment after the answer."""
    deadline = time.monotonic() + WAIT_S
    while len(found := read()) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_exports_are_noted_with_whom_and_from_where_and_cost_no_round_trip(
    project: Project, api: Api
) -> None:
    project.written("a.md", "a")
    reader = project.people.reader
    sha256 = reader.get(f"{project.url}/history").json()["items"][0]["versions"][0]["sha256"]
    costs = [
        api.cost(reader.get(f"{project.url}/archive", headers={"User-Agent": "=cmd|' /C calc'!A0"})),
        api.cost(reader.get(f"{project.url}/rows/events")),
        api.cost(reader.get(f"{project.url}/history")),
    ]
    assert costs[1:] == [1, 1]
    with reader.stream("POST", f"{project.url}/contents", json={"sha256": [sha256]}) as answer:
        answer.read()
    kinds = {"export.archive", "export.bundle", "export.history", "export.contents"}
    found = await_entries(lambda: trail(project, kind="export"), len(kinds))
    assert {each["kind"] for each in found} == kinds
    assert {each["person"]["id"] for each in found} == {reader.id}
    archive = next(each for each in found if each["kind"] == "export.archive")
    assert archive["witness"] == "caller"
    assert archive["told"]["address"] == "127.0.0.1"
    assert archive["told"]["user_agent"] == "=cmd|' /C calc'!A0"
    assert archive["told"]["route"] == "GET /v1/projects/{project}/archive"
    # The database's own look at who asked it: the API, not the reader.
    assert archive["known"]["via"]["user_agent"] != archive["told"]["user_agent"]
    assert archive["session"]


def test_a_fetch_by_git_is_an_export_and_a_stranger_to_git_is_refused_like_any_other(
    project: Project, people: People
) -> None:
    project.written("a.md", "a")
    kind = {"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"}
    ask = {"headers": kind, "content": b"0014command=ls-refs\n0000"}
    url = f"/git/{project.id}/git-upload-pack"
    with people.reader.stream("POST", url, **ask) as answer:
        assert answer.status_code == 200, answer.read()
    with people.outsider.stream("POST", url, **ask) as answer:
        assert answer.status_code == 404
    found = await_entries(lambda: [*trail(project, kind="export.git"), *trail(project, kind="refused")], 2)
    assert [each["person"]["id"] for each in found] == [people.reader.id, people.outsider.id]


def test_who_is_refused_is_noted_and_what_is_there_stays_unsaid(
    stack: Stack, api: Api, contract: Contract, project: Project, people: People
) -> None:
    editor = people.editor
    # Somebody who was never in one project with anybody: names of acquaintances are told.
    with Person(api, sign_in(stack, "stranger"), contract) as stranger:
        assert code_of(stranger.get(project.url)) == "project_not_found"
        assert code_of(stranger.get(f"/v1/projects/{uuid.uuid4()}")) == "project_not_found"
        document = project.written("a.md", "a")["document"]
        assert code_of(stranger.get(f"/v1/documents/{document}")) == "document_not_found"
        assert code_of(editor.patch(project.url, json={"description": "x"})) == "role_too_low"
        assert code_of(editor.get(project.file("nothing.md"))) == "document_not_found"
        assert code_of(editor.get(f"/v1/documents/{uuid.uuid4()}")) == "document_not_found"

        def noted() -> list[dict[str, Any]]:
            found = trail(project, kind="refused")
            # The project and its document: one entry with a count, or two when a minute ended between.
            return found if sum(each["count"] for each in found) == 3 else []

        found = await_entries(noted, 2)
        assert {(each["kind"], each["person"]["id"]) for each in found} == {
            ("refused.role", editor.id),
            ("refused.absent", stranger.id),
        }
        absent = next(each for each in found if each["kind"] == "refused.absent")
        assert absent["person"] == {
            "id": stranger.id,
            "handle": None,
            "name": None,
            "avatar_url": None,
            "github_login": None,
        }
        mine = stranger.get("/v1/me/audit", params={"kind": "refused.absent"}).json()["items"]
    assert mine
    assert all(each["project"] is None for each in mine)


def test_only_owners_read_a_projects_and_only_oneself_ones_own(project: Project) -> None:
    for role, person in project.people.members().items():
        answer = person.get(f"{project.url}/audit")
        assert answer.status_code == (200 if role == "owner" else 403)
    assert code_of(project.people.outsider.get(f"{project.url}/audit")) == "project_not_found"
    ids = {each["person"]["id"] for each in project.people.reader.get("/v1/me/audit").json()["items"]}
    assert ids == {project.people.reader.id}


def test_pages_join_and_filters_hold(project: Project) -> None:
    whole = trail(project, limit=200)
    assert {each["kind"] for each in whole} == {"project.added", "member.added"}
    url: str | None = f"{project.url}/audit?limit=1&kind=member"
    paged: list[dict[str, Any]] = []
    while url is not None:
        answer = project.people.owner.get(url)
        paged += answer.json()["items"]
        url = answer.links["next"]["url"] if "next" in answer.links else None
    assert paged == [each for each in whole if each["kind"] == "member.added"]
    assert [each["event"] for each in paged] == [4, 3, 2]
    assert trail(project, until="2020-01-01T00:00:00Z") == []
    assert len(trail(project, since="2020-01-01T00:00:00Z")) == 4
    assert trail(project, person=project.people.reader.id) == []
    owner = project.people.owner
    assert code_of(owner.get(f"{project.url}/audit", params={"cursor": "x"})) == "bad_cursor"
    assert code_of(owner.get(f"{project.url}/audit", params={"limit": 0})) == "bad_value"
    assert owner.get(f"{project.url}/audit", params={"since": "yesterday"}).status_code == 400


def test_csv_has_a_line_an_entry_and_nothing_that_a_spreadsheet_runs(project: Project) -> None:
    project.written("a.md", "a")
    for agent in ("=HYPERLINK(0)", 'a,b"c\r\nd'):
        project.people.reader.get(f"{project.url}/archive", headers={"User-Agent": agent.replace("\r\n", "")})
    await_entries(lambda: trail(project, kind="export"))
    answer = project.people.owner.get(f"{project.url}/audit", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["kind"] for row in rows if row["witness"] == "event"] == ["member.added"] * 3 + [
        "project.added"
    ]
    export = next(row for row in rows if row["kind"] == "export.archive")
    assert export["user_agent"] == "'=HYPERLINK(0)"
    assert (export["address"], export["handle"]) == ("127.0.0.1", project.people.reader.handle)
    await_entries(lambda: trail(project, kind="export.audit"))


def test_csv_comes_by_accept_as_well_and_format_is_stronger(project: Project) -> None:
    owner = project.people.owner
    for url in (f"{project.url}/audit", "/v1/me/audit"):
        asked = owner.get(url, headers={"Accept": "text/csv"})
        assert asked.headers["content-type"].startswith("text/csv")
        assert asked.text.startswith("at,last_at,count,kind")
        both = owner.get(url, params={"format": "json"}, headers={"Accept": "text/csv"})
        assert both.headers["content-type"] == "application/json"
        assert code_of(owner.get(url, headers={"Accept": "image/png"})) == "not_acceptable"


def test_a_kind_that_there_is_not_is_refused_with_those_that_there_are(project: Project) -> None:
    owner = project.people.owner
    for url in (f"{project.url}/audit", "/v1/me/audit"):
        for kind in ("member.aded", "change", "member.*", "mem"):
            answer = owner.get(url, params={"kind": kind})
            assert code_of(answer) == "bad_value", kind
            assert "member.added" in answer.json()["detail"]
    assert {each["kind"] for each in trail(project, kind="member")} == {"member.added"}


def test_every_kind_that_the_database_writes_into_a_trail_may_be_asked_for() -> None:
    migrations = "".join(path.read_text() for path in MIGRATIONS.glob("*.sql"))
    written = set(re.findall(rf"'((?:{'|'.join(NOUNS)})\.[a-z_]+)'", migrations))
    assert written == KINDS
    everything = (REPOSITORY / "docs" / "audit.md").read_text() + (
        REPOSITORY / "docs" / "events.md"
    ).read_text()
    assert all(f"`{kind}`" in everything for kind in KINDS)


def test_wrong_passwords_are_in_the_accounts_own_trail(stack: Stack, api: Api, contract: Contract) -> None:
    session = sign_in(stack, "tried")
    with Person(api, session, contract) as person:
        for password in ("wrong", "wronger", ""):
            answer = httpx.post(
                f"{stack.supabase_url}/auth/v1/token?grant_type=password",
                headers={"apikey": stack.publishable_key},
                json={"email": session["user"]["email"], "password": password},
                trust_env=False,
            )
            assert answer.status_code == 400
        found = person.get("/v1/me/audit", params={"kind": "refused"}).json()["items"]
    assert {(each["kind"], each["witness"]) for each in found} == {("refused.password", "database")}
    assert sum(each["count"] for each in found) == 3


def test_signing_in_and_out_is_in_ones_own_trail_with_the_browsers_address(
    api: Api, contract: Contract
) -> None:
    with Browser(api, contract) as browser:
        browser.headers["User-Agent"] = "Lynx/2.9"
        browser.sign_in(f"zoe-{uuid.uuid4().hex[:8]}")
        token = browser.cookies["verso-access"]
        found = await_entries(lambda: browser.get("/v1/me/audit").json()["items"], 2)
        assert {each["kind"] for each in found} == {"account.session_started", "page.signed_in"}
        page = next(each for each in found if each["kind"] == "page.signed_in")
        session = next(each for each in found if each["kind"] == "account.session_started")
        assert page["session"] == session["session"]
        assert (page["told"]["user_agent"], page["told"]["address"]) == ("Lynx/2.9", "127.0.0.1")
        assert (page["witness"], session["witness"]) == ("caller", "database")
        out = browser.post("/auth/logout", headers=browser.page_fields())
        assert out.status_code == 200, out.text
    bearer = {"Authorization": f"Bearer {token}"}
    read = lambda: httpx.get(f"{api.url}/v1/me/audit", headers=bearer, trust_env=False).json()["items"]  # noqa: E731
    assert {each["kind"] for each in await_entries(read, 4)} >= {"account.session_ended", "page.signed_out"}


def test_a_client_that_says_an_address_of_its_own_is_not_believed(stack: Stack, project: Project) -> None:
    project.written("a.md", "a")
    reader = project.people.reader
    reader.get(f"{project.url}/archive", headers={"X-Forwarded-For": "8.8.8.8"})
    [entry] = await_entries(lambda: trail(project, kind="export.archive"))
    assert entry["told"]["address"] == "127.0.0.1"


@pytest.fixture
def deaf(stack: Stack) -> Any:
    """A database whose trail takes nothing."""
    import asyncio  # noqa: PLC0415

    async def rename(old: str, new: str) -> None:
        await stack.psql(f"alter function public.{old}(jsonb) rename to {new}")

    asyncio.run(rename("record_audit", "record_audit_no_more"))
    yield
    asyncio.run(rename("record_audit_no_more", "record_audit"))
    # The REST interface is told of it a moment later, and what others have to note until then would be lost.
    url, key = f"{stack.supabase_url}/rest/v1/rpc/record_audit", {"apikey": stack.publishable_key}
    deadline = time.monotonic() + 20
    while httpx.post(url, headers=key, json={"entries": []}, trust_env=False).status_code == 404:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_no_request_fails_by_a_trail_that_takes_nothing_and_the_log_says_so(
    stack: Stack, project: Project, deaf: None
) -> None:
    project.written("a.md", "a")
    with Api(stack) as api:
        person = Person(
            api,
            {"access_token": project.people.reader.token, "user": {"id": "x", "email": "x"}},
            None,
        )
        with person:
            for _ in range(3):
                assert person.get(f"{project.url}/archive").status_code == 200
    # The process said what it had when it was told to stop.
    lost = [line for line in api.log_lines() if line["event"] == "audit.lost"]
    assert sum(line["entries"] for line in lost) >= 1


def test_the_same_again_and_again_is_one_entry_with_its_number(project: Project) -> None:
    reader = project.people.reader
    for _ in range(30):
        assert reader.patch(project.url, json={"description": "x"}).status_code == 403
    deadline = time.monotonic() + WAIT_S
    while True:
        found = trail(project, kind="refused")
        if sum(each["count"] for each in found) == 30:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    assert len(found) <= 2


def test_refused_tokens_are_lines_of_the_log_one_a_minute(stack: Stack) -> None:
    with Api(stack) as api, httpx.Client(base_url=api.url, trust_env=False) as client:
        for _ in range(25):
            assert client.get("/v1/me", headers={"Authorization": "Bearer a.b.c"}).status_code == 401
        assert client.get("/v1/me").status_code == 401
    lines = [line for line in api.log_lines() if line["event"] == "refused"]
    assert [(line["what"], line["address"]) for line in lines] == [("token", "127.0.0.1")]


def test_who_calls_the_function_says_nothing_of_others(stack: Stack, api: Api, contract: Contract) -> None:
    """The function is anybody's to call; it writes of its caller only."""
    person = sign_in(stack, "teller")
    victim = sign_in(stack, "victim")
    body = {"entries": [{"kind": "page.signed_in", "account_id": victim["user"]["id"], "address": "6.6.6.6"}]}
    answer = httpx.post(
        f"{stack.supabase_url}/rest/v1/rpc/record_audit",
        json=body,
        headers={"apikey": stack.publishable_key, "Authorization": f"Bearer {person['access_token']}"},
        trust_env=False,
    )
    assert answer.status_code == 204, answer.text
    with Person(api, victim, contract) as reader:
        assert {each["kind"] for each in reader.get("/v1/me/audit").json()["items"]} == {
            "account.session_started"
        }
