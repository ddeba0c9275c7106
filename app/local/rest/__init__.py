"""The part of PostgREST that the official clients use, on PostgreSQL's own catalog and row-level security.

A request goes one way: `query` and the modules below it parse the URL, `plan` joins it with the `catalog`;
`reads`, `writes` and `calls` write one SQL statement; `tables` and `functions` run it in the caller's role
and shape the answer. PostgreSQL makes the JSON; Python never decodes a row. Names in SQL are quoted, values
are always parameters. Nothing here retries a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from app.local.rest.service import RestService

if TYPE_CHECKING:
    from app.local.database import Database
    from app.local.keys import Keys

__all__ = ["routes"]


def routes(database: Database, keys: Keys, *, max_rows: int = 1000) -> list[Route]:
    """Give the routes below `/rest/v1`. `max_rows` bounds every read, as on hosted projects."""
    service = RestService(database, keys, max_rows=max_rows)
    return [Route("/{path:path}", endpoint=service)]
