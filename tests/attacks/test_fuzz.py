"""Every operation of the OpenAPI document, each of its parameters and fields with what it can't mean.

Nothing makes a fault: every answer is one that the document has for its operation, a refusal's code is
among those that it names, and no words tell what Verso is made of.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.api.world import PROBLEM, Contract, Person, code_of, sign_in
from tests.attacks.asks import ASKS, PLAIN
from tests.attacks.world import NOTHING, PLACEHOLDER, ask_all, filled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.world import Api
    from tests.stack import Stack

PATHS = ("%00", "%ED%A0%80", "9" * 5000)
QUERIES = ("%00", "%FF", "1e400", "9" * 30, "")
FIELDS = ('"a\\u0000b"', '"\\ud800"', "1e400", "9" * 30, "[" * 2000, f'"{"x" * 9000}"')
ACCEPT = "text/csv;q=1e400, image/png;q=nan, */*;q=0.1"
MADE_OF = re.compile(
    r"Traceback|msgspec|litestar|postg|PGRST|SQLSTATE|\bapp\.|private\.|constraint|<class", re.IGNORECASE
)


@pytest.fixture(scope="module")
def owner(stack: Stack, api: Api) -> Iterator[Person]:
    """Somebody with a project of their own, in nobody else's way."""
    with Person(api, sign_in(stack, "fuzzer"), None) as person:
        yield person


@pytest.fixture(scope="module")
def names(owner: Person) -> dict[str, str]:
    """What there is in the project."""
    project = owner.post("/v1/projects", json={"slug": "fuzzed"}).json()["id"]
    home = f"/v1/projects/{project}"
    version = owner.put(f"{home}/files/docs/a.md", content=b"one\n").json()["version"]
    owner.post(f"{home}/sessions", json={"slug": "s"}).raise_for_status()
    report = owner.post(f"{home}/sessions/s/stages/spec/reports", json={"state": "in_progress"}).json()
    comment = owner.post(f"/v1/versions/{version['hash']}/comments", json={"body": "x"}).json()
    hook = owner.post(f"{home}/webhooks", json={"url": "https://example.com/hook"}).json()
    return {
        **NOTHING,
        "project": project,
        "session": "s",
        "stage": "spec",
        "report": report["id"],
        "comment": comment["id"],
        "webhook": hook["id"],
        "document": version["document"],
        "version": version["hash"],
        "hash": version["hash"],
        "sha256": version["sha256"],
        "path": "docs/a.md",
        "agent": "nobody",
        "name": "n",
        "number": "1",
        "sequence": "1",
        "part": "changes",
        "code": "stale_base",
    }


def asked(contract: Contract, names: dict[str, str], owner: Person) -> Iterator[httpx.Request]:
    """The requests: one thing is wrong with each."""
    for template, item in contract.document["paths"].items():
        for method, operation in item.items():
            route = f"{method.upper()} {template}"
            ask = ASKS.get(route, PLAIN)
            headers = {"Authorization": f"Bearer {owner.token}"} | filled(ask.headers, names)
            query = "&".join(f"{name}={value}" for name, value in filled(ask.query, names).items())

            def request(
                *,
                at: str = filled(template, names),
                query: str = query,
                method: str = method,
                headers: dict[str, str] = headers,
                content: bytes | None = ask.content,
                **more: str,
            ) -> httpx.Request:
                url = f"{owner.base_url}{at}?{query}"
                return httpx.Request(method, url, headers=headers | more, content=content)

            yield request(Accept=ACCEPT)
            for name in PLACEHOLDER.findall(template):
                yield from (request(at=filled(template, names | {name: bad})) for bad in PATHS)
            for parameter in operation["parameters"]:
                if parameter["in"] == "query":
                    yield from (request(query=f"{query}&{parameter['name']}={bad}") for bad in QUERIES)
            if isinstance(ask.json, dict):
                body = filled(ask.json, names)
                for name in body:
                    whole = json.dumps(body | {name: "@"})
                    for bad in FIELDS:
                        content = whole.replace('"@"', bad).encode()
                        yield request(content=content, **{"Content-Type": "application/json"})


def test_nothing_that_is_sent_makes_a_fault(contract: Contract, owner: Person, names: dict[str, str]) -> None:
    answers = ask_all(list(asked(contract, names, owner)))
    wrong = [said for answer in answers if (said := fault_of(answer, contract)) is not None]
    assert len(answers) > 1000
    assert not wrong, "\n".join(wrong[:20])


def test_no_body_is_looked_at_of_who_is_not_signed_in(
    contract: Contract, owner: Person, names: dict[str, str]
) -> None:
    """It could be 8 MiB of brackets, and its parts would tell what the route takes."""
    takes_json = [
        httpx.Request(
            method.upper(),
            f"{owner.base_url}{filled(template, names)}",
            headers={"Content-Type": "application/json"} | headers,
            content=b"[" * 2000,
        )
        for template, item in contract.document["paths"].items()
        for method, operation in item.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
        for headers in ({}, {"Authorization": "Bearer x.y.z"})
    ]
    assert len(takes_json) > 40
    assert {code_of(answer) for answer in ask_all(takes_json)} == {"unauthenticated"}


def fault_of(answer: httpx.Response, contract: Contract) -> str | None:
    """What is wrong with an answer, if anything is."""
    about = (
        f"{answer.request.method} {str(answer.request.url)[:300]}: {answer.status_code} {answer.text[:300]}"
    )
    try:
        contract.check(answer)
    except AssertionError as error:
        return f"{about}: {error}"[:900]
    if answer.headers.get("content-type") != PROBLEM or not answer.content:
        return None
    if len(answer.content) > 8000:
        return f"repeats what was sent: {about}"
    if MADE_OF.search(answer.text):
        return f"tells what Verso is made of: {about}"
    operation = contract.operation(answer.request.method, answer.request.url.path)
    documented = (operation or {}).get("responses", {}).get(str(answer.status_code))
    code = answer.json()["code"]
    if documented is not None and code not in documented["content"][PROBLEM]["examples"]:
        return f"{code} is not documented: {about}"
    return None
