"""Every answer of every route says that nothing of it runs, is framed or is embedded elsewhere."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import httpx
import pytest

from app.api.examples import PARAMETERS
from tests.api.world import Api, Contract, People, Project, check_policy

if TYPE_CHECKING:
    from tests.stack import Stack

PUBLIC = {"/v1/sign-in"}
"""What caches may keep for everybody: it says the same to all."""


@pytest.mark.parametrize("who", ["nobody", "owner"])
def test_every_route_sends_them_whatever_it_answers(
    api: Api, contract: Contract, people: People, project: Project, who: str
) -> None:
    project.written("notes.md", "one\n")
    fields = {"Authorization": f"Bearer {people.owner.token}"} if who == "owner" else {}
    values = {name: str(value) for name, value in PARAMETERS.items()} | {
        "project": project.id,
        "path": "notes.md",
    }
    statuses = set()
    with httpx.Client(base_url=api.url, headers=fields, trust_env=False, timeout=60) as client:
        for path, item in contract.document["paths"].items():
            for method in item:
                names = {name: values.get(name, "x") for name in re.findall(r"{(\w+)}", path)}
                answer = client.request(method, path.format(**names))
                check_policy(answer.headers)
                assert ("public" in answer.headers["cache-control"]) == (path in PUBLIC), path
                statuses.add(answer.status_code)
    assert {200, 401} <= statuses


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/schema"),
        ("GET", "/schema/openapi.json"),
        ("GET", "/schema/style.css"),
        ("GET", "/nothing"),
        ("POST", "/v1/me"),
        ("OPTIONS", "/v1/me"),
        ("TRACE", "/v1/me"),
        ("GET", "/v1/projects?limit=x"),
        ("GET", "/%00"),
    ],
)
def test_so_does_what_is_no_route(api: Api, method: str, path: str) -> None:
    check_policy(httpx.request(method, api.url + path, trust_env=False).headers)


def test_documents_and_differences_send_them(project: Project) -> None:
    first = project.written("a.html", "<script>alert(1)</script>\n", base=None)
    project.written("a.html", "<script>alert(2)</script>\n", base=first["hash"])
    reader = project.people.reader
    for accept in ("text/html", "text/x-diff", "application/json"):
        address = f"/v1/documents/{first['document']}/diff?from=1&to=2"
        answer = reader.get(address, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        check_policy(answer.headers)
    answer = reader.get(project.file("a.html"))
    check_policy(answer.headers)
    assert answer.headers["content-disposition"].startswith("attachment")
    blame = reader.get(f"/v1/documents/{first['document']}/blame", headers={"Accept": "text/plain"})
    check_policy(blame.headers)


def test_where_the_address_is_https_browsers_are_told_to_keep_to_it(stack: Stack, api: Api) -> None:
    assert "strict-transport-security" not in httpx.get(f"{api.url}/health/live", trust_env=False).headers
    with Api(stack, public_url="https://verso.example.com") as behind:
        answer = httpx.get(f"{behind.url}/health/live", trust_env=False)
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
    shutil.rmtree(behind.directory)
