"""The embedded Storage server: buckets, and objects on a file backend, as measured on real servers.

    service      the ASGI application: routing, refusals
    exchange     one request and its answer
    callers      who asks
    uploads      bodies in: multipart, spool, row; described is what they say of themselves
    downloads    bytes, info and HEAD out
    objects      remove, move, copy
    listing      lists and signed URLs
    buckets      buckets
    rows         the statements; functions.sql holds what they call
    files        where the bytes are
    faults       every refusal, and the one map from PostgreSQL's errors to them

Policies are evaluated by PostgreSQL under the caller's role and claims, never here. Resumable uploads (TUS),
image transformations and the S3 protocol are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Match

from app.local.storage.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from app.local.database import Database
    from app.local.keys import Keys

FILE_SIZE_LIMIT = 5 * 1024**3
"""Bytes of one object, unless told otherwise."""


def routes(
    database: Database, keys: Keys, *, root: Path, file_size_limit: int = FILE_SIZE_LIMIT
) -> list[BaseRoute]:
    """The routes below /storage/v1. `root` is the directory for the bytes: made, and swept of drafts."""
    return [_Everything(Service(database, keys, root=root, file_size_limit=file_size_limit))]


class _Everything(BaseRoute):
    """Takes every path: an object's key may hold anything, so no pattern is asked."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match any HTTP request."""
        return (Match.FULL, {}) if scope["type"] == "http" else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand it to the service."""
        await self._service(scope, receive, send)
