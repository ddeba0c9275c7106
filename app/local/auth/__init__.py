"""The Auth server (GoTrue), `/auth/v1`: accounts, sessions and tokens as the official clients use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.local.database import Database
    from app.local.keys import Keys


def routes(database: Database, keys: Keys, *, site_url: str) -> list[Route]:
    """The routes below /auth/v1."""
    del database, site_url

    async def jwks(_: Request) -> JSONResponse:
        return JSONResponse(keys.jwks(), headers={"cache-control": "public, max-age=600"})

    return [Route("/.well-known/jwks.json", jwks)]
