"""A bridge from an older system: its tokens, for a while, as the accounts that its users became."""

from __future__ import annotations

import shutil
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

from tests.api.world import Api, Contract, Person, code_of, make_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.api.world import People, Project
    from tests.stack import Stack

SECRET = "the-secret-that-everybody-had-before"
NOW = datetime.now(UTC).replace(microsecond=0)
BRIDGE = {
    "bridge_secret": SECRET,
    "bridge_from": (NOW - timedelta(days=1)).isoformat(),
    "bridge_until": (NOW + timedelta(days=30)).isoformat(),
}


@pytest.fixture(scope="module")
def bridged(stack: Stack) -> Callable[..., Iterator[Api]]:
    def start(**settings: Any) -> Iterator[Api]:
        key = {"supabase_secret_key": stack.secret_key}
        with _Api(stack, key, **BRIDGE | settings) as running:
            yield running
        shutil.rmtree(running.directory)

    return start


class _Api(Api):
    """An API process that has the secret key as well."""

    def __init__(self, stack: Stack, key: dict[str, str], **settings: object) -> None:
        super().__init__(stack, **settings)
        self._environment |= {name.upper(): value for name, value in key.items()}


@pytest.fixture(scope="module")
def reading(bridged: Callable[..., Iterator[Api]]) -> Iterator[Api]:
    yield from bridged()


@pytest.fixture(scope="module")
def full(bridged: Callable[..., Iterator[Api]]) -> Iterator[Api]:
    yield from bridged(bridge_mode="full")


def imported(stack: Stack, *, old: str | None = None, **fields: Any) -> dict[str, Any]:
    """An account as `verso users import` makes it."""
    old = old or str(uuid.uuid4())
    body = {
        **({"id": old} if len(old) == 36 else {}),
        "email": f"old-{old}-{uuid.uuid4().hex[:6]}@example.com",
        "email_confirm": True,
        "app_metadata": {"verso_imported": {"id": old, "roles": []}},
        **fields,
    }
    answer = httpx.post(
        f"{stack.supabase_url}/auth/v1/admin/users",
        headers={"apikey": stack.secret_key, "Authorization": f"Bearer {stack.secret_key}"},
        json=body,
        trust_env=False,
    )
    answer.raise_for_status()
    return {**answer.json(), "old": old}


def old_token(subject: str, *, secret: str = SECRET, **claims: Any) -> str:
    return jwt.encode({"sub": subject, "exp": time.time() + 600, **claims}, secret, "HS256")


@pytest.fixture
def contract_of(contract: Contract) -> Contract:
    return contract


def caller(api: Api, account: dict[str, Any], contract: Contract | None, **claims: Any) -> Person:
    session = {"access_token": old_token(account["old"], **claims), "user": account}
    return Person(api, session, contract)


@pytest.fixture
def editor(stack: Stack, project: Project) -> dict[str, Any]:
    """Somebody of the older system, who is an editor here."""
    account = imported(stack)
    answer = project.people.owner.put(f"{project.url}/members/{account['id']}", json={"role": "editor"})
    assert answer.is_success, answer.text
    return account


def test_an_old_token_reads_as_the_account_and_every_answer_says_when_that_ends(
    reading: Api, project: Project, editor: dict[str, Any], contract: Contract
) -> None:
    project.written("a.md", "text")
    with caller(reading, editor, contract) as old:
        for path, status in ((project.file("a.md"), 200), (project.file("none.md"), 404), ("/v1/me", 200)):
            answer = old.get(path)
            assert answer.status_code == status, answer.text
            assert (
                answer.headers["deprecation"]
                == f"@{int(datetime.fromisoformat(BRIDGE['bridge_from']).timestamp())}"
            )
            assert parsedate_to_datetime(answer.headers["sunset"]) == datetime.fromisoformat(
                BRIDGE["bridge_until"]
            )
        assert old.get("/v1/me").json()["id"] == editor["id"]
        assert old.post(f"{project.url}/have", json={"sha256": ["0" * 64]}).json() == {"have": []}
    native = httpx.get(
        f"{reading.url}/v1/me",
        headers={"Authorization": f"Bearer {project.people.reader.token}"},
        trust_env=False,
    )
    assert native.status_code == 200
    assert not {"deprecation", "sunset"} & set(native.headers)


def test_read_only_is_the_rule_and_refuses_every_write(
    reading: Api, project: Project, editor: dict[str, Any], contract: Contract
) -> None:
    version = project.written("a.md", "text")
    based = {"If-Match": f'"{version["hash"]}"'}
    with caller(reading, editor, contract) as old:
        for answer in (
            old.put(project.file("b.md"), content="x"),
            old.delete(project.file("a.md"), headers=based),
            old.post(f"{project.url}/changes", json={"items": [{"path": "b.md", "text": "x"}]}),
            old.post(f"{project.url}/tags", json={"name": "t"}),
            old.post(f"/v1/versions/{version['hash']}/comments", json={"body": "x"}),
            old.patch("/v1/me", json={"name": "x"}),
            old.post("/v1/projects", json={"slug": "x"}),
        ):
            assert (answer.status_code, code_of(answer)) == (403, "bridge_read_only")
            assert answer.headers["sunset"]
    assert project.people.reader.get(project.file("b.md")).status_code == 404


def test_in_full_it_writes_with_the_rights_of_the_account_and_no_others(
    full: Api, project: Project, editor: dict[str, Any], people: People, contract: Contract
) -> None:
    other = make_project(people)
    with caller(full, editor, contract) as old:
        made = old.put(project.file("b.md"), content="x")
        assert made.status_code == 201, made.text
        assert made.json()["version"]["change"]["author"]["id"] == editor["id"]
        assert made.headers["deprecation"]
        assert code_of(old.put(other.file("b.md"), content="x")) == "project_not_found"
        assert (
            code_of(old.post(f"{project.url}/invitations", json={"role": "reader", "email": "a@b.example"}))
            == "role_too_low"
        )
        project.people.owner.delete(f"{project.url}/members/{editor['id']}").raise_for_status()
        assert code_of(old.get(project.file("b.md"))) == "project_not_found", "rights end at once, as always"


def test_a_session_is_made_once_for_many_requests(reading: Api, stack: Stack, contract: Contract) -> None:
    account = imported(stack)
    with caller(reading, account, contract) as old, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: old.get("/v1/me").status_code, range(16)))
        assert answers == [200] * 16
        assert reading.cost(old.get("/v1/me")) == 1
        assert caller(reading, account, contract, jti="another").get("/v1/me").status_code == 200
    made = [
        line
        for line in reading.log_lines()
        if line["event"] == "bridge.session" and line["account"] == account["id"]
    ]
    assert len(made) == 1


def test_every_use_is_logged_without_the_token_and_in_the_accounts_own_trail(
    reading: Api, stack: Stack, contract: Contract
) -> None:
    account = imported(stack)
    with caller(reading, account, contract) as old:
        old.get("/v1/me")
        assert code_of(old.post("/v1/projects", json={"slug": "x"})) == "bridge_read_only"
        used = [
            line
            for line in reading.log_lines()
            if line["event"] == "bridge.used" and line["account"] == account["id"]
        ]
        assert [(line["method"], line["route"], line["refused"], line["subject"]) for line in used] == [
            ("GET", "/v1/me", False, account["old"]),
            ("POST", "/v1/projects", True, account["old"]),
        ]
        log = reading.log.read_text()
        assert old.token not in log
        assert old.token.rpartition(".")[2] not in log
        assert SECRET not in log
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            kinds = {each["kind"] for each in old.get("/v1/me/audit").json()["items"]}
            if {"bridge.used", "account.session_started"} <= kinds:
                break
            time.sleep(0.2)
        assert {"bridge.used", "account.session_started"} <= kinds


@pytest.mark.parametrize(
    "wrong", ["secret", "expired", "unknown", "unconfirmed", "agent", "banned", "unmarked"]
)
def test_who_is_not_surely_meant_is_not_let_in(
    reading: Api, stack: Stack, contract: Contract, wrong: str
) -> None:
    fields: dict[str, dict[str, Any]] = {
        "unconfirmed": {"email_confirm": False},
        "banned": {"ban_duration": "1h"},
        "unmarked": {"app_metadata": {}},
    }
    old = str(uuid.uuid4())
    if wrong == "agent":
        fields["agent"] = {"app_metadata": {"verso_agent": "planner", "verso_imported": {"id": old}}}
    account = imported(stack, old=old, **fields.get(wrong, {}))
    if wrong == "unmarked":
        account["old"] = account["id"]
    if wrong == "unknown":
        account["old"] = "nobody"
    claims: dict[str, Any] = {"secret": {"secret": SECRET[::-1]}, "expired": {"exp": time.time() - 60}}.get(
        wrong, {}
    )
    with caller(reading, account, contract, **claims) as person:
        answer = person.get("/v1/me")
        assert (answer.status_code, code_of(answer)) == (401, "unauthenticated"), answer.text
        assert answer.headers["sunset"], "also who is refused is told"
    found = httpx.get(
        f"{stack.supabase_url}/auth/v1/admin/users/{account['id']}",
        headers={"apikey": stack.secret_key, "Authorization": f"Bearer {stack.secret_key}"},
        trust_env=False,
    ).json()
    assert bool(found.get("email_confirmed_at")) == (wrong != "unconfirmed"), "nothing was confirmed by it"
    assert found.get("last_sign_in_at") is None


def test_after_its_day_it_is_closed(
    bridged: Callable[..., Iterator[Api]], stack: Stack, contract: Contract
) -> None:
    past = {"bridge_from": NOW - timedelta(days=30), "bridge_until": NOW - timedelta(seconds=1)}
    for api in bridged(**{name: moment.isoformat() for name, moment in past.items()}):
        with caller(api, imported(stack), contract) as old:
            answer = old.get("/v1/me")
            assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")
            assert "not taken any more" in answer.json()["detail"]


def test_ids_that_were_numbers_are_found_as_well(full: Api, stack: Stack, contract: Contract) -> None:
    account = imported(stack, old="17")
    with caller(full, account, contract) as old:
        assert old.get("/v1/me").json()["id"] == account["id"]
        mine = old.post("/v1/projects", json={"slug": "mine"})
        assert mine.status_code == 201, mine.text


def test_unless_it_is_set_up_nobody_takes_an_old_token(api: Api, stack: Stack, contract: Contract) -> None:
    with caller(api, imported(stack), contract) as old:
        answer = old.get("/v1/me")
        assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")
        assert not {"deprecation", "sunset"} & set(answer.headers)
