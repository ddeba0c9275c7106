"""What comes too often is refused early, with the time to wait, and only to those who ask too often."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.api.world import Api, Contract, People, Person, code_of, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.stack import Stack


@pytest.fixture
def limited(stack: Stack) -> Iterator[Callable[..., Api]]:
    running: list[Api] = []

    def start(**settings: object) -> Api:
        running.append(Api(stack, **settings).__enter__())
        return running[-1]

    yield start
    for each in running:
        each.__exit__()
        shutil.rmtree(each.directory)


def at(api: Api, person: Person, contract: Contract | None = None) -> Person:
    return Person(
        api, {"access_token": person.token, "user": {"id": person.id, "email": person.email}}, contract
    )


def garbage(api: Api, token: str = "a.b.c", **headers: str) -> httpx.Response:
    fields = {"Authorization": f"Bearer {token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return httpx.get(f"{api.url}/v1/me", headers=fields, trust_env=False)


def test_an_account_has_its_rate_and_the_answer_says_how_long_to_wait(
    limited: Callable[..., Api], people: People, contract: Contract
) -> None:
    api = limited(account_rate=0.5, account_burst=5)
    with at(api, people.reader, contract) as reader, at(api, people.editor) as editor:
        # The first one has a token that nobody knows yet, and counts for its address.
        assert [reader.get("/v1/me").status_code for _ in range(6)] == [200] * 6
        refused = next(answer for _ in range(20) if (answer := reader.get("/v1/projects")).status_code != 200)
        assert (refused.status_code, code_of(refused)) == (429, "too_many_requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 2
        assert refused.json()["retry_after"] == int(refused.headers["retry-after"])
        assert editor.get("/v1/me").status_code == 200, "it is the account's limit, not the address's"
        time.sleep(int(refused.headers["retry-after"]))
        assert reader.get("/v1/me").status_code == 200


def test_an_account_that_asks_too_often_has_it_in_its_trail(
    limited: Callable[..., Api], stack: Stack, api: Api, contract: Contract
) -> None:
    session = sign_in(stack, "hasty")
    strict = limited(account_rate=0.01, account_burst=2)
    with Person(strict, session, None) as hasty, Person(api, session, contract) as same:
        assert [hasty.get("/v1/me").status_code for _ in range(6)] == [200] * 3 + [429] * 3
        deadline = time.monotonic() + 10
        while sum(each["count"] for each in trail_of(same)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        found = trail_of(same)
    assert {(each["witness"], each["told"]["code"]) for each in found} == {("caller", "too_many_requests")}


def trail_of(person: Person) -> list[dict[str, Any]]:
    items = person.get("/v1/me/audit", params={"kind": "refused.rate"}).json()["items"]
    return list(items)


def test_a_refusal_costs_no_call_and_reads_no_body(limited: Callable[..., Api], people: People) -> None:
    api = limited(account_rate=0.001, account_burst=1)
    with at(api, people.reader) as reader:
        reader.get("/v1/me")
        reader.get("/v1/me")
        refused = reader.get("/v1/projects")
        assert refused.status_code == 429
        assert api.logged(refused)["round_trips"] == 0
        request = (
            f"PUT /v1/projects/x/files/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {reader.token}\r\n"
            "Content-Length: 1000000000\r\n\r\n"
        )
        answer = api.raw(request.encode(), seconds=20)
        assert answer.startswith(b"HTTP/1.1 429")
        assert b"connection: close" in answer.lower()
        head = reader.head("/v1/projects/x/files/a")
        assert (head.status_code, head.content) == (429, b"")
        looked = reader.get("/p/x", headers={"Accept": "text/html,*/*"})
        assert (looked.status_code, looked.headers["content-type"]) == (429, "text/html; charset=utf-8")
        assert "has asked too often" in looked.text
        assert "retry-after" in looked.headers


def test_failures_from_an_address_shut_out_guesses_and_not_those_who_are_signed_in(
    limited: Callable[..., Api], people: People
) -> None:
    api = limited(failure_rate=0.001, failure_burst=5)
    with at(api, people.reader) as reader, at(api, people.editor) as late:
        assert reader.get("/v1/me").status_code == 200
        assert [garbage(api, f"guess.{n}.x").status_code for n in range(6)] == [401] * 5 + [429]
        assert garbage(api, "another.guess.x").status_code == 429
        assert reader.get("/v1/me").status_code == 200
        assert late.get("/v1/me").status_code == 429, "a token that was never seen could be a guess"
        assert httpx.get(f"{api.url}/health/ready", trust_env=False).status_code == 200


def test_a_guess_is_a_failure_however_its_address_is_written(limited: Callable[..., Api]) -> None:
    api = limited(failure_rate=0.001, failure_burst=4)
    callback = f"{api.url}/auth/callback?state=made-up&code=guess"
    assert httpx.get(callback, trust_env=False).status_code == 400
    form = {"email": "a@example.com", "password": "guess", "state": "none"}
    answers = [
        httpx.post(
            api.url + path, data=form, headers={"Sec-Fetch-Site": "same-origin"}, trust_env=False
        ).status_code
        for path in ("/auth/password", "//auth/password", "/auth//password", "//auth//password")
    ]
    assert answers == [400] * 3 + [429]


def test_who_shows_no_token_fails_at_nothing_and_has_the_address_s_rate(limited: Callable[..., Api]) -> None:
    api = limited(failure_rate=0.001, failure_burst=1, address_rate=0.001, address_burst=10)
    answers = [httpx.get(f"{api.url}/v1/me", trust_env=False).status_code for _ in range(12)]
    assert answers == [401] * 10 + [429] * 2


def test_a_client_s_own_x_forwarded_for_is_nobody_s_address(limited: Callable[..., Api]) -> None:
    for hops, field in ((0, "198.51.100.{n}"), (1, "198.51.100.{n}, 203.0.113.1")):
        api = limited(failure_rate=0.001, failure_burst=3, trusted_hops=hops)
        answers = [garbage(api, X_Forwarded_For=field.format(n=n)).status_code for n in range(5)]
        assert answers == [401] * 3 + [429] * 2, hops
    assert garbage(api, X_Forwarded_For="203.0.113.2").status_code == 401, "another client of our proxy"


def test_git_s_password_is_a_token_like_any_other(limited: Callable[..., Api], people: People) -> None:
    api = limited(account_rate=0.001, account_burst=2)
    url = f"{api.url}/git/nothing/info/refs?service=git-upload-pack"
    ask = [httpx.get(url, auth=("any", people.reader.token), trust_env=False).status_code for _ in range(4)]
    assert ask == [404] * 3 + [429]
