"""An API process on the embedded Supabase, the people who call it, and the contract that they hold it to.

Every answer that a Person gets is compared with the OpenAPI document and with the conventions that hold
for all routes, so each test of behaviour is a test of these as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import bcrypt
import httpx

from tests.api.process import start_service
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

    from tests.stack import Stack

PROBLEM = "application/problem+json"
PASSWORD = "correct-horse"
MAKE_PROJECT = """
create or replace function public.made_for_a_test(slug text, members jsonb) returns text language plpgsql as $$
declare
  made text := public.create_project(slug) ->> 'id';
begin
  perform public.set_member(made, m.person, m.role)
  from jsonb_to_recordset(members) as m (person text, role public.member_role);
  return made;
end
$$
"""
"""What a test's project takes, in one request and not in four: it is the half of most tests' time."""


class Api:
    """One API process with a log, a spool and a cache directory of its own."""

    def __init__(self, stack: Stack, **settings: object) -> None:
        self.stack = stack
        self.directory = Path(tempfile.mkdtemp(prefix="verso-api-"))
        self.spool = self.directory / "spool"
        self.spool.mkdir()
        self.log = self.directory / "log"
        given = {"spool_dir": self.spool, "cache_dir": self.directory / "cache", **settings}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("VERSO_")}
        self._environment = inherited | stack.env | {f"VERSO_{k.upper()}": str(v) for k, v in given.items()}
        self._process: ForkServerProcess | None = None

    def __enter__(self) -> Self:
        # As `verso serve` has it: what uvicorn says goes through the service's own log.
        log_config = self.directory / "log.json"
        log_config.write_text(json.dumps({"version": 1, "disable_existing_loggers": False}))
        options = ["--no-access-log", "--log-level", "warning", "--log-config", str(log_config)]
        options += ["--no-server-header", "--no-proxy-headers"]
        # As `verso serve` has it, too: after five seconds a busy machine meets the next request on its way.
        options += ["--timeout-keep-alive", "75"]
        self.log.touch()
        self._process = start_service(
            self._listener,
            directory=REPOSITORY,
            log=self.log,
            environment=self._environment,
            options=options,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                ready = httpx.get(f"{self.url}/health/ready", timeout=30)
                assert ready.status_code == 200, ready.text
            except httpx.TransportError:
                assert self._process.is_alive(), self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        if self.ended(15) is None:
            self.kill()
        self._listener.close()

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def ended(self, seconds: float) -> int | None:
        """Wait for its end: the exit status, a signal's number below zero, or None when it goes on."""
        assert self._process is not None
        self._process.join(seconds)
        return self._process.exitcode

    def kill(self) -> None:
        """End it as a crash would. It can be entered again, on the same listening socket."""
        assert self._process is not None
        self._process.kill()
        self._process.join(5)

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._written()]

    def metric(self, pattern: str) -> int:
        """The sum of a metric's samples."""
        text = httpx.get(f"{self.url}/metrics", trust_env=False).text
        return int(sum(map(float, re.findall(rf"^{pattern} ([\d.e+]+)$", text, re.MULTILINE))))

    def logged(self, response: httpx.Response) -> dict[str, Any]:
        """The log line of a request; it is written once the answer has been sent."""
        request_id = response.headers["x-request-id"]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for line in reversed(self._written()):
                if request_id in line and '"event": "request"' in line:
                    return dict(json.loads(line))
            time.sleep(0.01)
        raise TimeoutError(f"No log line of {request_id}")

    def _written(self) -> list[str]:
        """The log's lines, but for one that is being written."""
        return self.log.read_text().rpartition("\n")[0].splitlines()

    def cost(self, response: httpx.Response) -> int:
        """How many requests to Supabase an answer took; what goes on behind it is not counted."""
        assert response.is_success or response.status_code in {304, 428}, response.text
        return int(self.logged(response)["round_trips"])

    def raw(self, request: bytes, *, seconds: float = 20) -> bytes:
        """Send bytes as they are and return the answer up to its end, or what came in that time."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(request)
            return read_answer(connection)


def read_answer(connection: socket.socket) -> bytes:
    answer = b""
    while True:
        head, end, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if end and length and len(body) >= int(length[1]):
            return answer
        piece = connection.recv(65536)
        if not piece:
            return answer
        answer += piece


class Contract:
    """What the OpenAPI document and the conventions say of an answer."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.operations: list[tuple[re.Pattern[str], str, dict[str, Any]]] = []
        for template, item in document["paths"].items():
            pattern = re.sub(r"\\\{path\\\}", ".*", re.escape(template))
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", pattern)
            for method, operation in item.items():
                self.operations.append((re.compile(pattern + r"\Z"), method.upper(), operation))
        self.seen: set[tuple[str, int]] = set()

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        for pattern, known, operation in self.operations:
            if known == method and pattern.match(path):
                return operation
        return None

    def check(self, response: httpx.Response) -> None:
        status, headers = response.status_code, response.headers
        about = f"{response.request.method} {response.request.url}: {status} {response.text[:500]}"
        assert status < 500, about
        assert headers["x-content-type-options"] == "nosniff", about
        check_policy(headers)
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", headers["x-request-id"]), about
        assert headers["cache-control"], about
        if status in {204, 304} or response.request.method == "HEAD":
            assert response.content == b"", about
        if status >= 400 and response.request.method != "HEAD":
            assert headers["content-type"] == PROBLEM, about
            problem = response.json()
            assert problem["type"] == f"/problems/{problem['code']}", about
            assert problem["status"] == status, about
            assert problem["request_id"] == headers["x-request-id"], about
            assert problem["detail"].endswith((".", "`", ")")), about
            assert problem["title"], about
        operation = self.operation(response.request.method, response.request.url.path)
        if operation is not None:
            assert str(status) in operation["responses"], f"undocumented: {about}"
            self.seen.add((operation["operationId"], status))


def check_policy(headers: httpx.Headers) -> None:
    """Nothing of an answer runs, is framed, or is embedded by another site; what is private is kept so."""
    policy = {
        words[0]: words[1:]
        for each in headers["content-security-policy"].split(";")
        if (words := each.split())
    }
    assert policy["default-src"] == ["'none'"], policy
    assert policy["base-uri"] == policy["frame-ancestors"] == ["'none'"], policy
    assert policy["form-action"] in (["'none'"], ["'self'"]), policy
    assert not {"script-src-elem", "object-src", "frame-src"} & set(policy), policy
    # Pages run their own static files, and nothing else; answers for programs run nothing.
    assert policy.get("script-src", ["'self'"]) == policy.get("connect-src", ["'self'"]) == ["'self'"], policy
    assert "allow-scripts" not in policy.get("sandbox", []), policy
    styles = policy.get("style-src", [])
    assert all(each == "'self'" or each.startswith("'sha256-") for each in styles) or "sandbox" in policy, (
        policy
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] in {"no-referrer", "same-origin"}
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["permissions-policy"]
    assert "access-control-allow-origin" not in headers
    assert {"private", "no-store", "no-cache", "public"} & set(re.split(r"[\s,]+", headers["cache-control"]))


class Person(httpx.Client):
    """Someone signed in, whose every answer is held to the contract."""

    def __init__(self, api: Api, session: dict[str, Any], contract: Contract | None) -> None:
        self.token: str = session["access_token"]
        self.id: str = session["user"]["id"]
        self.email: str = session["user"]["email"]
        self.contract = contract
        self.api = api
        super().__init__(
            base_url=api.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60, trust_env=False
        )

    def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        response = super().send(request, stream=stream, **options)
        if self.contract is not None and not stream:
            self.contract.check(response)
        return response

    @property
    def handle(self) -> str:
        return str(self.get("/v1/me").json()["handle"])


def sign_in(stack: Stack, name: str) -> dict[str, Any]:
    """A new confirmed account, through the front door of Auth."""
    email = f"{name}-{uuid.uuid4().hex[:8]}@example.com"
    with httpx.Client(base_url=f"{stack.supabase_url}/auth/v1", timeout=30, trust_env=False) as auth:
        # The cheapest bcrypt there is: tests make many people.
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        body = {"email": email, "password_hash": hashed, "email_confirm": True}
        auth.post("/admin/users", headers={"apikey": stack.secret_key}, json=body).raise_for_status()
        answer = auth.post(
            "/token?grant_type=password",
            headers={"apikey": stack.publishable_key},
            json={"email": email, "password": PASSWORD},
        )
        answer.raise_for_status()
        return dict(answer.json())


@dataclass(frozen=True)
class People:
    """One of each role, and someone who is no member."""

    owner: Person
    editor: Person
    reviewer: Person
    reader: Person
    outsider: Person

    def members(self) -> dict[str, Person]:
        return {"owner": self.owner, "editor": self.editor, "reviewer": self.reviewer, "reader": self.reader}


@dataclass(frozen=True)
class Project:
    """A project of one test, with a member of each role."""

    id: str
    slug: str
    url: str
    people: People

    def file(self, path: str) -> str:
        return f"{self.url}/files/{quote(path)}"

    def put(
        self,
        path: str,
        content: bytes | str,
        *,
        by: Person | None = None,
        base: str | None = None,
        **headers: str,
    ) -> httpx.Response:
        """Write a file as its editor; `base` is an ETag without its quotation marks."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if base is not None:
            fields["If-Match"] = f'"{base}"'
        return (by or self.people.editor).put(self.file(path), content=content, headers=fields)

    def written(self, path: str, content: bytes | str, **how: Any) -> dict[str, Any]:
        """Write a file and return its version."""
        response = self.put(path, content, **how)
        assert response.is_success, response.text
        return dict(response.json()["version"])

    def change(self, *items: dict[str, Any], message: str = "", **options: Any) -> httpx.Response:
        body = {"message": message, "items": list(items)}
        return self.people.editor.post(f"{self.url}/changes", json=body, **options)

    def history(self, document: str) -> list[dict[str, Any]]:
        answer = self.people.reader.get(f"/v1/documents/{document}/versions?limit=200")
        return list(answer.json()["items"])


def make_project(people: People) -> Project:
    slug = f"p-{uuid.uuid4().hex[:12]}"
    members = [
        {"person": person.id, "role": role} for role, person in people.members().items() if role != "owner"
    ]
    made = _ask_for_project(people.owner, slug, members)
    if made.status_code == 404:  # the first one on this stack
        with ThreadPoolExecutor(1) as pool:  # there may be an event loop here
            pool.submit(asyncio.run, people.owner.api.stack.psql(MAKE_PROJECT)).result()
        deadline = time.monotonic() + 30
        # Its REST interface is told of the new function a moment later.
        while (made := _ask_for_project(people.owner, slug, members)).status_code == 404:
            assert time.monotonic() < deadline, made.text
            time.sleep(0.02)
    assert made.status_code == 200, made.text
    return Project(id=made.json(), slug=slug, url=f"/v1/projects/{made.json()}", people=people)


def _ask_for_project(owner: Person, slug: str, members: list[dict[str, str]]) -> httpx.Response:
    stack = owner.api.stack
    return httpx.post(
        f"{stack.supabase_url}/rest/v1/rpc/made_for_a_test",
        headers={"apikey": stack.publishable_key, "Authorization": f"Bearer {owner.token}"},
        json={"slug": slug, "members": members},
        trust_env=False,
        timeout=60,
    )


def code_of(response: httpx.Response) -> str:
    return str(response.json()["code"])


def tag(response: httpx.Response) -> str:
    """The ETag of an answer without its quotation marks."""
    return response.headers["etag"].strip('"')
