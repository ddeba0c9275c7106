"""People, projects and stored bytes, as PostgREST and the storage server bring them into the database.

Every call is one transaction of its own, as one HTTP request is: the role is set, the token's claims are
set, one function is called, and it is committed or rolled back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from tests.stack import Stack

BUCKET = "documents"


@dataclass(frozen=True)
class Person:
    """An account. `claims` is what its token says."""

    id: str
    handle: str
    app_metadata: dict[str, Any] = field(default_factory=dict)
    user_metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def claims(self) -> dict[str, Any]:
        return {
            "sub": self.id,
            "role": "authenticated",
            "app_metadata": self.app_metadata,
            "user_metadata": self.user_metadata,
        }


@dataclass(frozen=True)
class Refusal:
    """An error as PostgREST would pass it on."""

    sqlstate: str
    code: str
    sentence: str
    detail: dict[str, Any]

    @property
    def status(self) -> int:
        return int(self.sqlstate[2:]) if self.sqlstate.startswith("PT") else 0


@dataclass(frozen=True)
class Team:
    """A project and one person of each role, and one who isn't in it."""

    id: str
    slug: str
    owner: Person
    editor: Person
    reviewer: Person
    reader: Person
    outsider: Person

    @property
    def members(self) -> list[Person]:
        return [self.owner, self.editor, self.reviewer, self.reader]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(path: str, content: bytes | str, *, base: str | None = None, **more: Any) -> dict[str, Any]:
    """An item that writes content to a path."""
    data = content.encode() if isinstance(content, str) else content
    item = {"path": path, "sha256": sha256(data), "size": len(data), "media_type": "text/markdown", **more}
    return item if base is None else {**item, "base": base}


class World:
    """One database under test."""

    def __init__(self, stack: Stack, pool: asyncpg.Pool) -> None:
        self.stack = stack
        self.pool = pool
        self._parameters: dict[str, dict[str, str]] = {}

    @contextlib.asynccontextmanager
    async def acting(
        self, role: str, claims: dict[str, Any] | None = None
    ) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """A transaction as a database role, with a token's claims."""
        async with self.pool.acquire() as conn, conn.transaction():
            await conn.execute(f"set local role {role}")
            await conn.execute("select set_config('request.jwt.claims', $1, true)", json.dumps(claims or {}))
            yield conn

    def as_person(self, person: Person | None) -> contextlib.AbstractAsyncContextManager[Any]:
        """A transaction under a person's token; None is a caller without one."""
        return (
            self.acting("authenticated", person.claims) if person else self.acting("anon", {"role": "anon"})
        )

    async def sql(self, sql: str, *args: Any, role: str = "postgres") -> list[asyncpg.Record]:
        """One statement as a database role."""
        async with self.acting(role) as conn:
            return await conn.fetch(sql, *args)

    async def one(self, sql: str, *args: Any, role: str = "postgres") -> Any:
        """The single value of one statement as a database role."""
        async with self.acting(role) as conn:
            return await conn.fetchval(sql, *args)

    async def rpc(self, person: Person | None, function: str, /, **arguments: Any) -> Any:
        """Call an exposed function as `POST /rpc/<function>` does, and read its JSON answer."""
        async with self.as_person(person) as conn:
            return await self.rpc_on(conn, function, **arguments)

    async def rpc_on(self, conn: Any, function: str, /, **arguments: Any) -> Any:
        """The same inside a transaction that is open already."""
        kinds = await self._kinds(function)
        named = ", ".join(
            f"{name} => ${n}::text::{kinds.get(name, 'text')}" for n, name in enumerate(arguments, 1)
        )
        given = [
            None if value is None else value if isinstance(value, str) else json.dumps(value)
            for value in arguments.values()
        ]
        answer = await conn.fetchval(f"select public.{function}({named})", *given)
        return json.loads(answer) if isinstance(answer, str) and function != "schema_version" else answer

    async def _kinds(self, function: str) -> dict[str, str]:
        if function not in self._parameters:
            rows = await self.pool.fetch(
                """select unnest(proargnames) as name, unnest(proargtypes::regtype[]::text[]) as kind
                   from pg_proc where pronamespace = 'public'::regnamespace and proname = $1""",
                function,
            )
            self._parameters[function] = {row["name"]: row["kind"] for row in rows}
        return self._parameters[function]

    async def person(self, name: str = "person", **metadata: Any) -> Person:
        """Sign somebody up as GoTrue does: one row of auth.users."""
        [person] = await self.people(name, **metadata)
        return person

    async def people(self, *names: str, **metadata: Any) -> list[Person]:
        """Sign some up, all at once: most tests begin with five."""
        accounts = [str(uuid.uuid4()) for _ in names]
        app_metadata = metadata.pop("app_metadata", {})
        await self.sql(
            """insert into auth.users (id, email, raw_app_meta_data, raw_user_meta_data, created_at)
               select id, email, $3, $4, now() from unnest($1::uuid[], $2::text[]) as u (id, email)""",
            accounts,
            [f"{name}-{account[:8]}@example.com" for name, account in zip(names, accounts, strict=True)],
            json.dumps(app_metadata),
            json.dumps(metadata),
            role="supabase_auth_admin",
        )
        rows = await self.sql("select id, handle from public.profiles where id = any($1)", accounts)
        handles = {str(row["id"]): row["handle"] for row in rows}
        return [Person(account, handles[account], app_metadata, metadata) for account in accounts]

    async def team(self, slug: str | None = None) -> Team:
        """A new project with one member of each role, and an outsider."""
        slug = slug or f"p{uuid.uuid4().hex[:10]}"
        roles = ("owner", "editor", "reviewer", "reader", "outsider")
        people = dict(zip(roles, await self.people(*roles), strict=True))
        project = (await self.rpc(people["owner"], "create_project", slug=slug))["id"]
        for role in ("editor", "reviewer", "reader"):
            await self.rpc(
                people["owner"], "set_member", project=project, person=people[role].handle, role=role
            )
        return Team(project, slug, **people)

    async def store(
        self, project: str, content: bytes | str, *, copy: str | None = None, junk: bytes | None = None
    ) -> str:
        """Bring an object into the bucket as the storage server does; gives its id.

        `junk` stores other bytes under the name of the content.
        """
        data = content.encode() if isinstance(content, str) else content
        name = f"{project}/{sha256(data)}" + (f".{copy}" if copy else "")
        held = data if junk is None else junk
        metadata = {"eTag": f'"{hashlib.md5(held).hexdigest()}"', "size": len(held), "mimetype": "text/plain"}
        return str(
            await self.one(
                """insert into storage.objects (bucket_id, name, version, metadata, owner_id)
                   values ($1, $2, gen_random_uuid()::text, $3, 'someone')
                   on conflict (bucket_id, name) do update set last_accessed_at = now() returning id""",
                BUCKET,
                name,
                json.dumps(metadata),
                role="supabase_storage_admin",
            )
        )

    async def commit(
        self, person: Person, project: str, *items: dict[str, Any], **more: Any
    ) -> dict[str, Any]:
        """One change; gives it with its versions."""
        answer = await self.rpc(person, "commit_change", project=project, items=list(items), **more)
        return answer["change"]

    async def write(
        self,
        person: Person,
        project: str,
        path: str,
        content: str | bytes,
        *,
        base: str | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Store content and write it to a path; gives the version."""
        await self.store(project, content)
        change = await self.commit(person, project, put(path, content, base=base), **more)
        return {**change["versions"][0], "change": change}

    async def live_paths(self, project: str) -> set[str]:
        """What is where now, by the documents."""
        rows = await self.sql("select path from public.documents where project_id = $1 and live", project)
        return {row["path"] for row in rows}


async def refused(call: Awaitable[Any]) -> Refusal:
    """The error of a call that must fail."""
    try:
        answer = await call
    except asyncpg.PostgresError as error:
        try:
            detail = json.loads(error.detail or "{}")  # type: ignore[attr-defined]
        except ValueError:
            detail = {"text": error.detail}  # type: ignore[attr-defined]
        return Refusal(error.sqlstate, error.args[0], error.hint or "", detail)  # type: ignore[attr-defined]
    pytest.fail(f"this was not refused, but answered {answer!r}")
