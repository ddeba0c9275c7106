"""Every page by every role: routes.txt says what each gets, the running service is asked, and they agree."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.web.router import ROUTES
from tests.api.world import sign_in
from tests.attacks.world import PLACEHOLDER, Row, filled, read_table, telling
from tests.web.asks import FORMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.world import Project
    from tests.stack import Stack
    from tests.web.browsing import Site

TABLE = Path(__file__).with_name("routes.txt")
ROWS = read_table(TABLE.read_text())
POSTED = [row for row in ROWS if row.method == "POST" and row.template != "/theme"]
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
OF_DOCUMENTS = {"content", "document", "version", "path", "number", "comment", "sequence"}


@pytest.fixture(scope="module")
def things(project: Project, stack: Stack) -> dict[str, str]:
    """What the routes' addresses name; the spare person is a member whom the owner may remove."""
    spare = str(sign_in(stack, "spare")["user"]["id"])
    added = project.people.owner.put(f"{project.url}/members/{spare}", json={"role": "reader"})
    added.raise_for_status()
    hook = project.people.owner.post(f"{project.url}/webhooks", json={"url": "https://example.com/"}).json()[
        "id"
    ]
    return {
        "project": project.id,
        "digest": "0",
        "person": project.people.owner.id,
        "spare": spare,
        "answer": "accept",
        "agent": "nobody",
        "act": "pause",
        "webhook": hook,
    }


@pytest.fixture(scope="module")
def standing(project: Project, things: dict[str, str]) -> Callable[[Row], dict[str, str]]:
    """What requests that change nothing name: they share one thing of each kind."""
    made: dict[tuple[str, frozenset[str]], dict[str, str]] = {}

    def of(row: Row) -> dict[str, str]:
        kind = (row.template.rpartition("/")[2] if row.method == "POST" else "", frozenset(named(row)))
        if kind not in made:
            made[kind] = own_things(project, row)
        return things | made[kind]

    return of


def named(row: Row) -> set[str]:
    """What a route's address and form name."""
    return set(PLACEHOLDER.findall(row.template + json.dumps(FORMS.get(row.route))))


def own_things(project: Project, row: Row) -> dict[str, str]:
    """What a route names, of a cell's own: a document with two versions; of undelete, a deleted one."""
    names = {"invitation": invitation(project, row)}
    if "session" in named(row):
        slug = f"s-{uuid.uuid4().hex[:8]}"
        session = {"slug": slug, "type": "blueprint", "root": f"sessions/{slug}"}
        project.people.editor.post(f"{project.url}/sessions", json=session).raise_for_status()
        names |= {"session": slug, "stage": "intent"}
    return names | own_document(project, row) if named(row) & OF_DOCUMENTS else names


def own_document(project: Project, row: Row) -> dict[str, str]:
    path = f"{uuid.uuid4().hex}.md"
    first = project.written(path, "one")
    version = project.written(path, "two", base=first["hash"])
    if row.template.endswith("/undelete"):
        gone = project.people.editor.delete(project.file(path), headers={"If-Match": f'"{version["hash"]}"'})
        version = gone.json()["version"]
    if row.template.endswith("/erasures"):  # what was erased is refused from then on: no other test's bytes
        version = project.written(path, path, base=version["hash"])
    names = {
        "content": version["sha256"],
        "document": version["document"],
        "version": version["hash"],
        "path": path,
        "number": "1",
        "sequence": str(version["change"]["sequence"]),
    }
    if "{comment}" in row.template:
        said = project.people.reviewer.post(f"/v1/versions/{version['hash']}/comments", json={"body": "Why?"})
        names["comment"] = said.json()["id"]
    return names


def invitation(project: Project, row: Row) -> str:
    """An open invitation of the project's, where a route takes one back; else of nobody's."""
    if not row.template.endswith("/revoke") or "{invitation}" not in row.template:
        return str(uuid.uuid4())
    asked = {"role": "reader", "email": f"{uuid.uuid4().hex}@example.com"}
    return str(project.people.owner.post(f"{project.url}/invitations", json=asked).json()["id"])


def ask(
    site: Site, row: Row, role: str, names: dict[str, str], *, token: bool = True, **headers: str
) -> httpx.Response:
    """A page's request with the cookies of a role; forms are complete."""
    names = {"unique": uuid.uuid4().hex[:10], "role": role} | names
    if row.template.startswith("/static/"):
        names |= {"path": "verso.css"}
    if role == "owner" and "spare" in names:
        names |= {"person": names["spare"]}
    cookies: dict[str, str] = {}
    if role != "anonymous":
        cookies = {each["name"]: each["value"] for each in site.states[role]["cookies"]}
    url = site.url + filled(row.template, names)
    with httpx.Client(cookies=cookies, trust_env=False, timeout=30) as client:
        if row.method == "GET":
            return client.get(url, headers=headers)
        form: dict[str, Any] = filled(FORMS.get(row.route, {}), names)
        said = {"csrf_token": cookies.get("verso-csrf", "")} if token else {}
        if "fields" not in form:
            return client.post(url, headers=SAME_SITE | headers, data=said | form)
        parts = {name: (None, value) for name, value in (said | form["fields"]).items()}
        parts |= {name: tuple(file) for name, file in form.get("files", {}).items()}
        return client.post(url, headers=SAME_SITE | headers, files=parts)


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
def test_each_role_gets_what_the_table_says(
    row: Row, site: Site, project: Project, things: dict[str, str], standing: Callable[[Row], dict[str, str]]
) -> None:
    got = {}
    for role, cell in row.cells.items():
        changes = row.method == "POST" and cell.isdigit()
        names = things | own_things(project, row) if changes else standing(row)
        got[role] = outcome(ask(site, row, role, names))
    assert got == row.cells


@pytest.mark.parametrize(
    "row", [row for row in ROWS if "{project}" in row.template], ids=lambda row: row.route
)
def test_an_outsider_is_told_of_what_is_there_what_is_told_of_nothing(
    row: Row, site: Site, standing: Callable[[Row], dict[str, str]]
) -> None:
    things = standing(row) | {"unique": "same"}
    missing = {name: str(uuid.uuid4()) for name in ("project", "document", "comment")}
    nothing = things | missing | {"version": "0" * 64}
    for accept in ("text/html", "*/*"):
        there = telling(ask(site, row, "outsider", things, Accept=accept))
        of_nothing = telling(ask(site, row, "outsider", nothing, Accept=accept))
        # A page says its own address, for the sign-in and the choice of colours that lead back to it.
        same = of_nothing[2].decode().replace(nothing["project"], things["project"])
        for name in ("document", "version", "comment"):
            same = same.replace(nothing[name], things.get(name, ""))
        assert without_tokens(there[2].decode()) == without_tokens(same)
        assert there[0] == of_nothing[0] >= 400


@pytest.mark.parametrize("row", POSTED, ids=lambda row: row.route)
def test_a_form_without_the_session_s_token_or_from_elsewhere_writes_nothing(
    row: Row, site: Site, standing: Callable[[Row], dict[str, str]]
) -> None:
    names = standing(row)
    assert outcome(ask(site, row, "owner", names, token=False)) == "csrf_token_needed"
    assert outcome(ask(site, row, "owner", names, **{"Sec-Fetch-Site": "cross-site"})) == "cross_site"


def without_tokens(page: str) -> list[str]:
    return [line for line in page.splitlines() if "csrf_token" not in line and "request" not in line]


def test_every_page_has_the_policy_and_nothing_inline(
    site: Site, standing: Callable[[Row], dict[str, str]]
) -> None:
    for row in ROWS:
        if row.method != "GET" or row.template.startswith("/static/"):
            continue
        answer = ask(site, row, "owner", standing(row))
        assert answer.status_code == 200, (row.route, answer.text)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy, row.route
        assert "script-src 'self';" in policy, row.route
        assert answer.headers["x-frame-options"] == "DENY"
        assert "private" in answer.headers["cache-control"]
        for inline in (" style=", "<script>", "<style", " onclick", "javascript:"):
            assert inline not in answer.text, row.route
