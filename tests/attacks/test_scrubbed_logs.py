"""After every route was asked by every role, the log holds nothing that belongs to anybody, even when it says most."""

from __future__ import annotations

import re
import shutil
import uuid
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.api.world import Api
from tests.attacks.world import ROLES, ask_all, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.world import World
    from tests.stack import Stack

SIGNS = {
    "a token": r"eyJ[A-Za-z0-9_-]{10,}",
    "content or a remark": r"secret (?:content|remark|own|2)",
    "an address": r"@example\.com|example%40",
    "a path": r"own/\d|own/all|specs/spec|n[0-9a-f]{10}",
    "a key": r"sb_(?:publishable|secret)_\w+",
    "a password": r"correct-horse",
    "an account": r"(?:owner|editor|reviewer|reader|outsider|removed|writer|spare)-[0-9a-f]{8}",
}


@pytest.fixture(scope="module")
def logged(stack: Stack, world: World) -> Iterator[tuple[Api, str]]:
    """A process that logs as much as it can, which was asked everything, and the marks of what was sent."""
    marks = uuid.uuid4().hex
    with Api(stack, log_level="debug") as api:
        cells = [(row, role) for row in read_table() for role in ROLES[::3]]
        asked = [world.ask(row, role) for row, role in cells]
        for each in asked:
            each.url = each.url.copy_with(port=api.port)
        assert len(ask_all(asked)) > 200
        form = {"email": f"{marks}@example.com", "password": f"password-{marks}", "state": f"state-{marks}"}
        same = {"Sec-Fetch-Site": "same-origin", "Cookie": f"verso-access={marks}; verso-refresh={marks}"}
        with httpx.Client(base_url=api.url, trust_env=False, timeout=30) as client:
            client.post("/auth/password", data=form, headers=same)
            client.get("/auth/callback", params={"code": f"code-{marks}", "state": f"state-{marks}"})
            client.get("/auth/login", params={"next": f"/{marks}"})
            client.get("/v1/me", headers={"Authorization": f"Basic {marks}"})
            client.get(f"/{marks}", headers={"X-Forwarded-For": marks, "User-Agent": marks})
            client.get("/v1/projects", params={"cursor": marks}, headers={"Authorization": f"Bearer {marks}"})
            client.post("/v1/projects", content=marks, headers={"Content-Type": "application/json"})
            client.request("PUT", "/v1/projects/x/files/y", content=marks, headers={"Content-Digest": marks})
        yield api, marks
    shutil.rmtree(api.directory)


def test_every_route_left_a_line_and_nothing_of_anybody(logged: tuple[Api, str]) -> None:
    api, marks = logged
    text = api.log.read_text()
    assert text.count('"event": "request"') > 200
    for what, sign in SIGNS.items():
        found = re.search(f".*(?:{sign}).*", text)
        assert found is None, f"{what} in the log: {found[0][:300]}"
    assert marks not in text


def test_what_someone_sends_never_makes_a_line_of_its_own(logged: tuple[Api, str]) -> None:
    """A line break in a header, a path or a name is not one in the log."""
    api, _ = logged
    httpx.get(f"{api.url}/%0A%7B%22event%22%3A%22forged%22%7D", trust_env=False)
    httpx.get(f"{api.url}/v1/projects/%0d%0aforged", trust_env=False)
    httpx.get(f"{api.url}/v1/me", headers={"X-Request-Id": '"}{"event":"forged"'}, trust_env=False)
    for line in api.log_lines():
        assert line["event"] != "forged"
    assert "forged" not in api.log.read_text()
