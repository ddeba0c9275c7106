"""The rows of buckets and objects: every call is one round trip to a function in functions.sql.

Statements run as supabase_storage_admin, the tables' owner, as on the real server; inside, the functions
become the caller's role with the caller's claims, so that PostgreSQL evaluates the policies.
"""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncpg import InterfaceError, PostgresError

from app.local.database import DatabaseUnavailable
from app.local.storage import faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record

    from app.local.database import Database


class Who(NamedTuple):
    """For whom a statement runs: a role and its claims, or no role for the server itself."""

    role: str | None
    claims: str
    """The claims as JSON; `sub` becomes the owner of what is written."""


NOBODY = Who(None, "{}")


class Rows:
    """The statements of the Storage server. Every method raises StorageFault for what PostgreSQL refuses."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._installing = asyncio.Lock()
        self._installed = False

    async def one(self, function: str, who: Who, operation: str, *args: Any, exists: str = "") -> Record:
        """Call a function that gives one row, as `who`; `exists` is the code for a unique violation."""
        rows = await self._fetch(_statement(function, 3 + len(args)), (*who, operation, *args), exists)
        return rows[0]

    async def many(self, function: str, who: Who, operation: str, *args: Any) -> Sequence[Record]:
        """Call a function that gives rows, as `who`."""
        return await self._fetch(_statement(function, 3 + len(args)), (*who, operation, *args), "")

    async def own(self, function: str, *args: Any, exists: str = "") -> Record:
        """Call a function that needs no caller."""
        return (await self._fetch(_statement(function, len(args)), args, exists))[0]

    async def _fetch(self, statement: str, args: tuple[Any, ...], exists: str) -> Sequence[Record]:
        try:
            if not self._installed:
                await self._install()
            async with self._database.admin("supabase_storage_admin").connection() as conn:
                rows: Sequence[Record] = await conn.fetch(statement, *args)
                return rows
        except DatabaseUnavailable as error:  # nothing was begun, so there is nothing to keep bytes for
            fault = faults.from_database(error)
            fault.settled = True
            raise fault from error
        except (PostgresError, InterfaceError, OSError, TimeoutError) as error:
            raise faults.from_database(error, exists=exists or "ResourceAlreadyExists") from error

    async def _install(self) -> None:
        """Replace the functions, once a process, before the first statement."""
        async with self._installing:
            if self._installed:
                return
            script = resources.files(__package__).joinpath("functions.sql").read_text("utf-8")
            async with self._database.admin().connection() as conn:
                await conn.execute(f"begin;\n{script}\ncommit;")
            self._installed = True


def _statement(function: str, count: int) -> str:
    return f"select * from local_storage.{function}({', '.join(f'${n}' for n in range(1, count + 1))})"  # noqa: S608
