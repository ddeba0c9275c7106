"""The front door: one ASGI app, with each server under the path that it has on a hosted project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router

from app.local.auth import routes as auth_routes
from app.local.auth.github import GitHub, GitHubPerson
from app.local.database import DatabaseUnavailable
from app.local.rest import routes as rest_routes
from app.local.storage import routes as storage_routes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.local.auth.redirects import Redirects
    from app.local.database import Database
    from app.local.keys import Keys
    from app.local.realtime import Realtime

WELCOME = """\
This is an embedded Supabase for laptops, tests and demos: PostgreSQL and the parts of the REST, Storage, Auth
and Realtime APIs that the official clients use. It listens on this machine only; it's no place for data that
matters.

  /rest/v1      tables and functions, as PostgREST serves them
  /storage/v1   buckets and objects
  /auth/v1      accounts and tokens
  /realtime/v1  channels, broadcasts and presence
  /github       a stand-in for GitHub: a page on which one picks who signs in
"""

_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS"),
    (b"access-control-max-age", b"3600"),
)
_EXPOSED = (
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"Content-Encoding, Content-Location, Content-Range, Content-Type, Date, ETag, Location, Range-Unit",
    ),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What can be set about the gateway.

    `own_url` is where it is reached, without a final slash; `redirects` where sign-ins may end;
    `password_hook` the function that is told of passwords; `people` whom the GitHub stand-in offers.
    """

    own_url: str
    file_size_limit: int
    redirects: Redirects
    password_hook: str | None = None
    people: tuple[GitHubPerson, ...] = ()
    max_rows: int = 1000


class Cors:
    """Answer preflights and let any origin read answers, as hosted gateways do: tokens are no cookies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; requests without an Origin header aren't touched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        if b"origin" not in headers:
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            asked = headers.get(b"access-control-request-headers", b"")
            allowed = [*_EXPOSED[:1], *_PREFLIGHT, (b"access-control-allow-headers", asked)]
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [*allowed, (b"content-length", b"0")],
                }
            )
            await send({"type": "http.response.body", "body": b""})
        else:

            async def send_exposed(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message.get("headers", ()), *_EXPOSED]}
                await send(message)

            await self._app(scope, receive, send_exposed)


def create_gateway(
    *, keys: Keys, database: Database, realtime: Realtime, data_dir: Path, options: Options
) -> Starlette:
    """Join the servers. `data_dir`/storage holds the bytes of objects."""
    storage = storage_routes(
        database, keys, root=data_dir / "storage", file_size_limit=options.file_size_limit
    )
    auth_url = f"{options.own_url}/auth/v1"
    github = GitHub(f"{options.own_url}/github", callback=f"{auth_url}/callback", people=options.people)
    auth = auth_routes(
        database,
        keys,
        own_url=auth_url,
        github=github,
        redirects=options.redirects,
        password_hook=options.password_hook,
    )
    return Starlette(
        routes=[
            _mount("/rest/v1", rest_routes(database, keys, max_rows=options.max_rows)),
            _mount("/storage/v1", storage),
            _mount("/auth/v1", auth),
            _mount("/realtime/v1", realtime.routes()),
            _mount("/github", github.routes()),
            Route("/", _welcome),
        ],
        middleware=[Middleware(Cors)],
        exception_handlers={HTTPException: _no_route, DatabaseUnavailable: _unavailable},
    )


def _mount(path: str, routes: Sequence[BaseRoute]) -> Mount:
    # A redirect to the path with a slash would hide from a client that its path is wrong.
    return Mount(path, app=Router(routes=list(routes), redirect_slashes=False))


async def _welcome(_: Request) -> PlainTextResponse:
    return PlainTextResponse(WELCOME)


async def _no_route(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    text = "no Route matched with those values" if status == 404 else str(getattr(error, "detail", error))  # noqa: PLR2004
    return JSONResponse({"message": text}, status, headers=headers)


async def _unavailable(_: Request, error: Exception) -> Response:
    return JSONResponse({"message": str(error)}, 503, headers={"retry-after": "1"})
