"""Every page by every role: routes.txt says what each gets, the running service is asked, and they agree."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.web.router import ROUTES
from tests.attacks.world import Row, filled, read_table, telling
from tests.web.asks import FORMS

if TYPE_CHECKING:
    from tests.api.world import Project
    from tests.web.browsing import Site

TABLE = Path(__file__).with_name("routes.txt")
ROWS = read_table(TABLE.read_text())
POSTED = [row for row in ROWS if row.method == "POST" and row.template != "/theme"]
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def things(project: Project) -> dict[str, str]:
    """What the routes' addresses and forms name."""
    version = project.written("a.md", "# A\n")
    return {
        "project": project.id,
        "document": version["document"],
        "version": version["hash"],
        "path": "a.md",
        "digest": "0",
    }


def ask(site: Site, row: Row, role: str, things: dict[str, str], **headers: str) -> httpx.Response:
    """A page's request with the cookies of a role; forms are complete."""
    names = things | {"unique": uuid.uuid4().hex[:10], "role": role}
    if row.template.startswith("/static/"):
        names |= {"path": "verso.css"}
    form: dict[str, Any] = filled(FORMS.get(row.route, {}), names)
    cookies: dict[str, str] = {}
    if role != "anonymous":
        cookies = {each["name"]: each["value"] for each in site.states[role]["cookies"]}
    with httpx.Client(cookies=cookies, trust_env=False, timeout=30) as client:
        if row.method == "GET":
            return client.get(site.url + filled(row.template, names), headers=headers)
        token = {"csrf_token": cookies.get("verso-csrf", "")} if headers.get("token", "yes") == "yes" else {}
        files = {name: (None, value) for name, value in (token | form.pop("fields", {})).items()}
        files |= form.pop("files", {})
        sent = {"files": files} if len(files) > len(token) else {"data": token | form}
        return client.post(
            site.url + filled(row.template, names), headers=SAME_SITE | headers | {"token": ""}, **sent
        )


def outcome(answer: httpx.Response) -> str:
    if answer.headers["content-type"] == "application/problem+json":
        return str(answer.json()["code"])
    return str(answer.status_code)


def test_every_page_has_a_row() -> None:
    served = {
        f"{method} {path}" for handler in ROUTES for path in handler.paths for method in handler.http_methods
    }
    told = {row.route for row in ROWS}
    plain = {each.replace(":str}", "}").replace(":path}", "}").replace(":int}", "}") for each in served}
    assert plain == told, (
        f"{TABLE.name} lacks {sorted(plain - told)}, and has too much of {sorted(told - plain)}."
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.route)
def test_each_role_gets_what_the_table_says(row: Row, site: Site, things: dict[str, str]) -> None:
    assert {role: outcome(ask(site, row, role, things)) for role in row.cells} == row.cells


@pytest.mark.parametrize(
    "row", [row for row in ROWS if "{project}" in row.template], ids=lambda row: row.route
)
def test_an_outsider_is_told_of_what_is_there_what_is_told_of_nothing(
    row: Row, site: Site, things: dict[str, str]
) -> None:
    nothing = things | {"project": str(uuid.uuid4()), "document": str(uuid.uuid4())}
    for accept in ("text/html", "*/*"):
        there = telling(ask(site, row, "outsider", things, Accept=accept))
        of_nothing = telling(ask(site, row, "outsider", nothing, Accept=accept))
        # A page says its own address, for the sign-in and the choice of colours that lead back to it.
        same = of_nothing[2].decode().replace(nothing["project"], things["project"])
        same = same.replace(nothing["document"], things["document"])
        assert without_tokens(there[2].decode()) == without_tokens(same)
        assert there[0] == of_nothing[0] >= 400


@pytest.mark.parametrize("row", POSTED, ids=lambda row: row.route)
def test_a_form_without_the_session_s_token_or_from_elsewhere_writes_nothing(
    row: Row, site: Site, things: dict[str, str]
) -> None:
    assert outcome(ask(site, row, "owner", things, token="no")) == "csrf_token_needed"
    assert outcome(ask(site, row, "owner", things, **{"Sec-Fetch-Site": "cross-site"})) == "cross_site"


def without_tokens(page: str) -> list[str]:
    return [line for line in page.splitlines() if "csrf_token" not in line and "request" not in line]


def test_every_page_has_the_policy_and_no_answer_of_a_program_got_it(
    site: Site, things: dict[str, str]
) -> None:
    for row in ROWS:
        if row.method != "GET" or row.template.startswith("/static/"):
            continue
        answer = ask(site, row, "reader", things)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy, row.route
        assert "script-src 'self';" in policy, row.route
        assert answer.headers["x-frame-options"] == "DENY"
        assert "private" in answer.headers["cache-control"]
        for inline in (" style=", "<script>", "<style", " onclick", "javascript:"):
            assert inline not in answer.text, row.route
