"""Start the embedded Supabase as users do, as a process of its own, and talk to it.

with Stack(tmp_path) as stack:
    stack.supabase_url, stack.publishable_key, stack.db_url, …
    await stack.psql("select 1")                                        # as postgres
    await stack.psql("select * from t", role="authenticated", claims={"sub": user_id})
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Self

import asyncpg
import bcrypt
import httpx
import psutil

from app.local.keys import Keys
from tests.template import copy_template

REPOSITORY = Path(__file__).parents[1]
MIGRATIONS = REPOSITORY / "storage_schema" / "supabase" / "migrations"
START_SECONDS = 60


class StackFailed(Exception):  # noqa: N818 - it says what is the matter
    """The stack didn't get ready; the message is what it wrote on stderr."""


class Stack:
    """One `python -m app.local` on a directory of its own, on free ports."""

    supabase_url: str
    publishable_key: str
    secret_key: str
    anon_key: str
    service_role_key: str
    jwks: dict[str, Any]
    db_url: str
    postgres_pid: int

    def __init__(
        self,
        data: Path | None = None,
        *,
        migrations: Path | None = MIGRATIONS,
        bin_dir: Path | None = None,
        port: int = 0,
        arguments: tuple[str, ...] = (),
        fresh: bool = False,
    ) -> None:
        """`fresh` begins with nothing, as users do, and waits for the disk; else a copy of a template is begun with."""
        self._made_data = data is None
        self.data = data or Path(tempfile.mkdtemp(prefix="verso-stack-"))
        self.migrations = migrations
        self.bin_dir = bin_dir
        self.port = port
        self.fresh = fresh
        self.arguments = arguments
        self.process: subprocess.Popen[str] | None = None
        self._lifeline: int | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._made_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def start(self) -> Self:
        """Start it and wait for its ready line. The same object can be started again after stop() or kill()."""
        command = [sys.executable, "-m", "app.local", "--data", str(self.data), "--port", str(self.port)]
        if self.migrations is not None:
            command += ["--migrations", str(self.migrations)]
        if self.bin_dir is not None:
            command += ["--bin-dir", str(self.bin_dir)]
        # The lifeline ends the stack when the tests' process is killed.
        reader, self._lifeline = os.pipe()
        command += ["--lifeline-fd", str(reader), *self.arguments]
        self.data.mkdir(parents=True, exist_ok=True)
        if not self.fresh and self.migrations in {MIGRATIONS, None} and not any(self.data.iterdir()):
            copy_template(self.data, migrations=self.migrations, bin_dir=self.bin_dir, make=self._make)
        with self.stderr_path.open("ab") as stderr:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, pass_fds=(reader,), text=True, cwd=REPOSITORY
            )
        os.close(reader)
        for name, value in json.loads(self._ready_line()).items():
            setattr(self, name, value)
        self.port = int(self.supabase_url.rpartition(":")[2])
        return self

    @property
    def stderr_path(self) -> Path:
        return self.data / "stack.stderr"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def env(self) -> dict[str, str]:
        """What the service needs to know of its Supabase."""
        return {"SUPABASE_URL": self.supabase_url, "SUPABASE_PUBLISHABLE_KEY": self.publishable_key}

    def stop(self) -> None:
        """Stop it in order and wait for its end."""
        self._end(lambda process: process.terminate())

    def kill(self) -> None:
        """Kill the gateway's process as a crash would; PostgreSQL's watchdog does the rest."""
        self._end(lambda process: process.kill())

    def kill_postgres(self) -> None:
        """Kill PostgreSQL as a crash would; return when no backend of it can answer for another moment."""
        server = psutil.Process(int((self.data / "pg" / "postmaster.pid").read_text().split()[0]))
        family = [server, *server.children()]
        server.kill()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive, alive

    async def psql(
        self, sql: str, *args: Any, role: str = "postgres", claims: dict[str, Any] | None = None
    ) -> list[Any]:
        """Run SQL in one transaction, as postgres or as an API role with claims; return the rows.

        Without arguments `sql` may hold several statements; then there are no rows.
        """
        conn = await asyncpg.connect(self.db_url if role == "postgres" else self.dsn("supabase_admin"))
        try:
            async with conn.transaction():
                if role != "postgres":
                    await conn.execute(f"set local role {role}")
                if claims is not None:
                    text = json.dumps({"role": role, **claims})
                    await conn.execute("select set_config('request.jwt.claims', $1, true)", text)
                if not args and ";" in sql.strip().rstrip(";"):
                    await conn.execute(sql)
                    return []
                return await conn.fetch(sql, *args)
        finally:
            await conn.close()

    def dsn(self, user: str = "postgres") -> str:
        """A connection string for any database role (supabase_admin is the superuser), through the socket."""
        return self.db_url.replace("postgresql://postgres@", f"postgresql://{user}@")

    async def user(
        self, email: str | None = None, password: str = "correct-horse", **admin: Any
    ) -> dict[str, Any]:
        """Make a confirmed user and sign it in: GoTrue's session (access_token, refresh_token, user)."""
        email = email or f"{uuid.uuid4().hex[:12]}@example.com"
        key = {"apikey": self.secret_key}
        async with httpx.AsyncClient(base_url=f"{self.supabase_url}/auth/v1", timeout=20) as client:
            # The cheapest bcrypt that there is: hashing is tested elsewhere, and tests make many users.
            password_hash = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
            body = {"email": email, "password_hash": password_hash, "email_confirm": True, **admin}
            made = await client.post("/admin/users", headers=key, json=body)
            made.raise_for_status()
            answer = await client.post(
                "/token?grant_type=password",
                headers={"apikey": self.publishable_key},
                json={"email": email, "password": password},
            )
            answer.raise_for_status()
            return dict(answer.json())

    def sign(self, **claims: Any) -> str:
        """Sign an access token as Auth would, with any claims: an expired one, another's, one without a session."""
        now = int(time.time())
        standard = {"aud": "authenticated", "role": "authenticated", "iat": now, "exp": now + 3600}
        return Keys.load(self.data).sign(standard | {"iss": f"{self.supabase_url}/auth/v1"} | claims)

    async def until(self, probe: Any, *, seconds: float = 20) -> Any:
        """Ask an async function again and again until it gives something true."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, httpx.HTTPError):
                if found := await probe():
                    return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"{probe} didn't come true in {seconds} s")
            await asyncio.sleep(0.02)

    def _make(self, data: Path) -> None:
        with Stack(data, migrations=self.migrations, bin_dir=self.bin_dir, fresh=True):
            pass

    def _ready_line(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        line = self.process.stdout.readline() if readable else ""
        if not line:
            self.kill()
            raise StackFailed(self.stderr_path.read_text()[-4000:])
        return line

    def _end(self, end: Any) -> None:
        if self.process is not None:
            end(self.process)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
