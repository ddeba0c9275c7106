"""The table, the people and things it speaks of, and the two questions behind each of its cells."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import jwt

from app.main import HANDLERS
from tests.api.world import PROBLEM, People, Person, make_project, sign_in
from tests.attacks.asks import ASKS, PLAIN

if TYPE_CHECKING:
    from tests.api.world import Api, Contract, Project
    from tests.stack import Stack

TABLE = Path(__file__).with_name("matrix.txt")
TYPED = re.compile(r":\w+\}")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Row:
    """One route and what each role gets: a status when it succeeds, else the problem's code."""

    route: str
    cells: dict[str, str]

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def template(self) -> str:
        return self.route.partition(" ")[2]


def read_table(text: str | None = None) -> list[Row]:
    lines = [
        line for line in (text or TABLE.read_text()).splitlines() if line.strip() and not line.startswith("#")
    ]
    _, *roles = lines[0].split()
    rows = []
    for line in lines[1:]:
        method, template, *cells = line.split()
        assert len(cells) == len(roles), f"{TABLE.name} needs one cell for each of {roles}: {line}"
        rows.append(Row(f"{method} {template}", dict(zip(roles, cells, strict=True))))
    return rows


ROLES = list(read_table()[0].cells)
STRANGERS = ("outsider", "removed", "agent", "deleted", "expired", "anonymous")
"""Those to whom nothing may be told, not even that something is there."""


@dataclass(frozen=True)
class World:
    """A project full of things, and a token for each role."""

    url: str
    tokens: dict[str, str | None]
    shared: dict[str, str]
    own: dict[tuple[str, str], dict[str, str]]
    """Things of one cell, by route and role."""

    def ask(self, row: Row, role: str, *, nothing: bool = False) -> httpx.Request:
        """The request of a cell, about what is there or about what is not."""
        names = self.shared | self.own[row.route, role]
        if nothing:
            names |= NOTHING
        ask = ASKS.get(row.route, PLAIN)
        token = self.tokens[role]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Request(
            row.method,
            self.url + filled(row.template, names),
            params=filled(ask.query, names) or None,
            headers=headers | filled(ask.headers, names),
            json=filled(ask.json, names),
            content=ask.content,
        )


NOTHING = {
    **{
        name: str(uuid.uuid4())
        for name in ("project", "document", "session", "comment", "person", "invitation", "report")
    },
    "webhook": str(uuid.uuid4()),
    "version": "f" * 64,
    "hash": "f" * 64,
    "sha256": "e" * 64,
    "path": "no/such.md",
}
"""Ids of nothing: what a stranger is told of these is all that a stranger may be told."""


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: names.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {name: filled(each, names) for name, each in value.items()}
    return [filled(each, names) for each in value] if isinstance(value, list) else value


def outcome(answer: httpx.Response) -> str:
    """What a cell of the table says: the problem's code, or the status of a success."""
    if answer.headers.get("content-type") == PROBLEM and answer.content:
        return str(answer.json()["code"])
    return str(answer.status_code)


def routes_of(contract: Contract) -> set[str]:
    """Every route of the OpenAPI document, and those that are served without being in it."""
    documented = {
        f"{method.upper()} {path}"
        for path, item in contract.document["paths"].items()
        for method in item
        if method in {"get", "head", "put", "post", "patch", "delete"}
    }
    served = {
        f"{method} {TYPED.sub('}', path)}"
        for handler in HANDLERS
        for path in handler.paths
        for method in handler.http_methods
    }
    return documented | served


def telling(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """All that an answer tells, byte for byte, but for the request's own id and the time of day."""
    request_id = answer.headers["x-request-id"]
    fields = [(name, value) for name, value in answer.headers.items() if name not in {"date", "x-request-id"}]
    return answer.status_code, fields, answer.content.replace(request_id.encode(), b"")


def build_world(stack: Stack, api: Api, contract: Contract, rows: list[Row]) -> World:
    """Make the accounts, then the project, then each cell's own document, comment, member and invitation."""
    cells = [(row.route, role) for row in rows for role in ROLES]
    needs_spare = [cell for cell in cells if "{person}" in cell[0]]
    needs_invitation = [cell for cell in cells if "{invitation}" in cell[0]]
    needs_comment = [cell for cell in cells if "{comment}" in cell[0]]
    with ThreadPoolExecutor(8) as pool:
        roles = ("owner", "editor", "reviewer", "reader", "outsider", "removed", "writer", "deleted")
        people = dict(
            zip(roles, pool.map(lambda role: Person(api, sign_in(stack, role), contract), roles), strict=True)
        )
        spares = dict(
            zip(needs_spare, pool.map(lambda cell: sign_in(stack, _spare(cell)), needs_spare), strict=True)
        )
        project = make_project(
            People(*(people[role] for role in ("owner", "editor", "reviewer", "reader", "outsider")))
        )
        owner, writer = people["owner"], people["writer"]
        owner.put(f"{project.url}/members/{writer.id}", json={"role": "editor"}).raise_for_status()
        for gone in ("removed", "deleted"):
            owner.put(f"{project.url}/members/{people[gone].id}", json={"role": "editor"}).raise_for_status()
        for cell, spare in spares.items():
            member = f"{project.url}/members/{spare['user']['id']}"
            role = "editor" if _spare(cell) == "scribe" else "reader"
            owner.put(member, json={"role": role}).raise_for_status()
        elsewhere = people["outsider"].post("/v1/projects", json={"slug": f"other-{uuid.uuid4().hex[:8]}"})
        own_agent = Person(api, _agent(stack, "ours", project.id, owner), contract)
        agent = Person(api, _agent(stack, "theirs", elsewhere.json()["id"], people["outsider"]), contract)
        own = _cells_own(project, writer, cells)
        for cell, spare in spares.items():
            own[cell]["person"] = spare["user"]["id"]
        shared = _shared(project, writer)

        def commented(_cell: tuple[str, str]) -> str:
            made = writer.post(f"/v1/versions/{shared['version']}/comments", json={"body": "secret remark"})
            return str(made.json()["id"])

        def invited(_cell: tuple[str, str]) -> str:
            somebody = {"role": "reader", "email": f"{uuid.uuid4().hex}@example.com"}
            return str(owner.post(f"{project.url}/invitations", json=somebody).json()["id"])

        for cell, invitation in zip(needs_invitation, pool.map(invited, needs_invitation), strict=True):
            own[cell]["invitation"] = invitation
        hook = {"url": "https://example.com/hook"}
        shared["webhook"], fleeting = (
            str(owner.post(f"{project.url}/webhooks", json=hook).json()["id"]) for _ in range(2)
        )
        for cell in cells:
            if cell[0].startswith("DELETE") and "{webhook}" in cell[0]:
                own[cell]["webhook"] = fleeting
        for cell, comment in zip(needs_comment, pool.map(commented, needs_comment), strict=True):
            own[cell]["comment"] = comment
    owner.delete(f"{project.url}/members/{people['removed'].id}").raise_for_status()
    httpx.delete(
        f"{stack.supabase_url}/auth/v1/admin/users/{people['deleted'].id}",
        headers={"apikey": stack.secret_key},
    ).raise_for_status()
    tokens: dict[str, str | None] = {role: person.token for role, person in people.items()}
    claims = jwt.decode(owner.token, options={"verify_signature": False})
    tokens |= {"own_agent": own_agent.token, "agent": agent.token, "anonymous": None}
    tokens["expired"] = stack.sign(**claims | {"exp": claims["iat"] - 60, "iat": claims["iat"] - 3660})
    for person in (*people.values(), own_agent, agent):
        person.close()
    return World(api.url, tokens, shared, own)


def _spare(cell: tuple[str, str]) -> str:
    """What the member is called to whom a cell's request is done; folders are an editor's."""
    return "scribe" if cell[0].endswith("/folders") else "spare"


def _agent(stack: Stack, name: str, project: str, owner: Person) -> dict[str, Any]:
    """An agent that an owner registered, editor of a project: made as `verso agents add` makes it."""
    email, password = f"{name}-{uuid.uuid4().hex[:8]}@example.com", "correct-horse"
    said = {"verso_agent": "planner", "verso_project": project, "verso_owner": owner.id}
    body = {"email": email, "password": password, "email_confirm": True, "app_metadata": said}
    with httpx.Client(base_url=stack.supabase_url, timeout=30, trust_env=False) as supabase:
        made = supabase.post("/auth/v1/admin/users", headers={"apikey": stack.secret_key}, json=body)
        made.raise_for_status()
        supabase.post(
            "/rest/v1/rpc/register_agent",
            headers={"apikey": stack.publishable_key, "Authorization": f"Bearer {owner.token}"},
            json={"project": project, "account": made.json()["id"], "role": "editor"},
        ).raise_for_status()
        answer = supabase.post(
            "/auth/v1/token?grant_type=password",
            headers={"apikey": stack.publishable_key},
            json={"email": email, "password": password},
        )
        answer.raise_for_status()
        return dict(answer.json())


def _cells_own(
    project: Project, writer: Person, cells: list[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, str]]:
    """A document of its own for each cell that names one, made in change 1; the others have one together.

    Some have a second version, some are deleted since. A thousand more would be in every archive and clone.
    """
    paths = {
        cell: f"own/{number}.md" if _names_document(cell[0]) else "own/all.md"
        for number, cell in enumerate(cells)
    }
    items = [{"path": path, "text": f"secret {path}"} for path in sorted(set(paths.values()))]
    versions = _written(project, writer, items)
    edited = [paths[cell] for cell in cells if cell[0].endswith(("/restore", "/bisect"))]
    versions |= _written(project, writer, [{**_based(versions[path]), "text": "secret 2"} for path in edited])
    deleted = [paths[cell] for cell in cells if cell[0].endswith("/undelete")]
    versions |= _written(project, writer, [{**_based(versions[path]), "delete": True} for path in deleted])
    return {
        cell: {
            "document": versions[path]["document"],
            "hash": versions[path]["hash"],
            "path": path,
            "name": f"n{uuid.uuid4().hex[:10]}",
            "person": project.people.reader.id,
        }
        for cell, path in paths.items()
    }


def _names_document(route: str) -> bool:
    asked = f"{route} {ASKS.get(route, PLAIN)}"
    return any(name in asked for name in ("{document}", "{path}", "{hash}"))


def _written(project: Project, writer: Person, items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """One change, and its versions by path."""
    if not items:
        return {}
    answer = writer.post(f"{project.url}/changes", json={"items": items})
    assert answer.status_code == 201, answer.text
    return {each["path"]: each for each in answer.json()["change"]["versions"]}


def _based(version: dict[str, Any]) -> dict[str, str]:
    return {"document": version["document"], "base": version["hash"]}


def _shared(project: Project, writer: Person) -> dict[str, str]:
    version = project.written("sessions/s/specs/spec.md", "secret content", by=writer)
    made = writer.post(f"{project.url}/sessions", json={"slug": "s"}).json()
    writer.post(f"{project.url}/tags", json={"name": "t"}).raise_for_status()
    remark = writer.post(f"/v1/versions/{version['hash']}/comments", json={"body": "secret remark"})
    stage = f"{project.url}/sessions/s/stages/spec"
    report = writer.post(f"{stage}/reports", json={"state": "in_progress", "note": "secret note"})
    return {
        "project": project.id,
        "session": made["id"],
        "stage": "spec",
        "report": report.json()["id"],
        "version": version["hash"],
        "comment": remark.json()["id"],
        "sha256": version["sha256"],
        "sequence": "1",
        "number": "1",
        "part": "changes",
        "code": "stale_base",
    }


def ask_all(requests: list[httpx.Request]) -> list[httpx.Response]:
    """Send them side by side, and read each answer whole."""
    limits = httpx.Limits(max_connections=16)
    with httpx.Client(timeout=60, trust_env=False, limits=limits) as client, ThreadPoolExecutor(12) as pool:
        return list(pool.map(client.send, requests))


def draw(rows: list[Row]) -> str:
    """The table as text, its columns aligned."""
    lines = [["route", *ROLES], *([row.route, *(row.cells[role] for role in ROLES)] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(ROLES) + 1)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )
