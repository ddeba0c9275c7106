"""The Auth server (GoTrue) at `/auth/v1`: accounts, sessions and tokens as the official clients use them.

`requests` reads what a request carries, `errors` shapes refusals, `passwords`, `users`, `sessions`, `flows`
and `external` do the work in the caller's transaction, `accounts`, `oauth`, `links` and `admin` are the
endpoints, `github` is the stand-in for the provider, `redirects` says where a sign-in may end, `hooks` who is
told of passwords. Nothing in here sends e-mail: addresses are confirmed at once, and links that sign in are
made for the secret key only.
"""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING

import asyncpg
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.local.auth.accounts import Accounts
from app.local.auth.admin import Admin
from app.local.auth.errors import AuthError, refusal
from app.local.auth.links import Links
from app.local.auth.oauth import OAuth
from app.local.auth.requests import require_key
from app.local.database import UNREACHABLE, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from app.local.auth.github import GitHub
    from app.local.auth.redirects import Redirects
    from app.local.database import Database
    from app.local.keys import Keys

    Endpoint = Callable[[Request], Awaitable[Response]]

LOG = logging.getLogger(__name__)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def routes(
    database: Database,
    keys: Keys,
    *,
    own_url: str,
    github: GitHub,
    redirects: Redirects,
    password_hook: str | None = None,
) -> list[Route]:
    """The routes below /auth/v1. `own_url` is Auth's address with that path: the tokens' issuer."""
    oauth = OAuth(database, keys, issuer=own_url, github=github, redirects=redirects)
    accounts = Accounts(database, keys, issuer=own_url, oauth=oauth, password_hook=password_hook)
    admin = Admin(database, keys)
    links = Links(database, keys, issuer=own_url)

    async def jwks(_: Request) -> Response:
        return JSONResponse(keys.jwks(), headers={"cache-control": "public, max-age=600"})

    async def health(request: Request) -> Response:
        require_key(request, keys)
        return JSONResponse(
            {"name": "GoTrue", "version": "embedded", "description": "Auth for laptops, tests and demos"}
        )

    async def settings(request: Request) -> Response:
        require_key(request, keys)
        return JSONResponse(
            {
                "external": {"email": True, "phone": False, "anonymous_users": False, "github": True},
                "disable_signup": False,
                "mailer_autoconfirm": True,
                "phone_autoconfirm": False,
                "sms_provider": "",
                "saml_enabled": False,
            }
        )

    async def absent(request: Request) -> Response:
        message = f"The embedded Auth doesn't offer {request.method} {request.url.path}."
        raise AuthError(404, "not_found", message)

    table: list[tuple[str, str, Endpoint]] = [
        ("GET", "/.well-known/jwks.json", jwks),
        ("GET", "/health", health),
        ("GET", "/settings", settings),
        ("POST", "/signup", accounts.sign_up),
        ("POST", "/token", accounts.token),
        ("GET", "/user", accounts.user),
        ("PUT", "/user", accounts.change_user),
        ("POST", "/logout", accounts.sign_out),
        ("GET", "/authorize", oauth.authorize),
        ("GET", "/callback", oauth.callback),
        ("POST", "/verify", links.verify),
        ("POST", "/admin/generate_link", links.generate),
        ("GET", "/admin/users", admin.list_users),
        ("POST", "/admin/users", admin.add_user),
        ("GET", "/admin/users/{user_id}", admin.user),
        ("PUT", "/admin/users/{user_id}", admin.change_user),
        ("DELETE", "/admin/users/{user_id}", admin.delete_user),
    ]
    served = [Route(path, _answering(endpoint), methods=[method]) for method, path, endpoint in table]
    return [*served, Route("/{path:path}", _answering(absent), methods=METHODS)]


def _answering(endpoint: Endpoint) -> Endpoint:
    """Turn refusals into answers; what the database refuses (a trigger on auth.users) is GoTrue's 500."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except AuthError as error:
            return refusal(request, error)
        except (DatabaseUnavailable, *UNREACHABLE):
            return refusal(
                request,
                AuthError(503, "request_timeout", "PostgreSQL isn't answering; try again in a moment."),
            )
        except asyncpg.PostgresError:
            LOG.exception("the database refused %s %s", request.method, request.url.path)
            failed = AuthError(500, "unexpected_failure", "Database error saving or reading the user")
            return refusal(request, failed)

    return answer
