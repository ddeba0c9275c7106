"""Signing in through a provider: `/authorize` sends the browser there, `/callback` takes it back.

What goes wrong before the browser has left is a JSON refusal; what goes wrong after is told to the app in the
address that it gave, as `error`, `error_code` and `error_description`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.responses import RedirectResponse, Response

from app.local.auth import external, flows, sessions
from app.local.auth.errors import AuthError, invalid
from app.local.auth.requests import device_of

if TYPE_CHECKING:
    import asyncpg
    from starlette.requests import Request

    from app.local.auth.github import GitHub
    from app.local.auth.redirects import Redirects
    from app.local.database import Database
    from app.local.keys import Keys

# Parameters of OAuth that Auth sets itself: a client that sends one doesn't override it at the provider.
RESERVED = {
    *("client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "scope", "state"),
    *("code_challenge", "code_challenge_method", "code_verifier", "request", "request_uri"),
}
OWN = {"provider", "scopes", "redirect_to", "apikey", "invite_token", "skip_http_redirect"}
OAUTH_ERRORS = {
    400: "invalid_request",
    401: "unauthorized_client",
    403: "access_denied",
    503: "temporarily_unavailable",
}
DENIED = {"signup_disabled", "user_banned", "provider_email_needs_verification"}


class ProviderError(Exception):
    """The provider's own refusal, told on as it is."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


@dataclass(frozen=True)
class OAuth:
    """The endpoints. `issuer` is Auth's own address, the `iss` of its tokens."""

    database: Database
    keys: Keys
    issuer: str
    github: GitHub
    redirects: Redirects

    async def authorize(self, request: Request) -> Response:
        """GET /authorize: to the provider. Needs no API key, because a browser comes by a link.

        Parameters: provider, redirect_to, code_challenge and code_challenge_method (s256 or plain; without
        them the implicit flow), scopes. Others are handed to the provider.
        """
        query = request.query_params
        name = query.get("provider", "").lower()
        if name != "github":
            known = "provider is not enabled" if name else "Provider  could not be found"
            raise invalid(f"Unsupported provider: {known}")
        challenge = query.get("code_challenge", "")
        method = flows.check_challenge(challenge, query.get("code_challenge_method", ""))
        async with self.database.admin("supabase_auth_admin").connection() as conn:
            state = await flows.begin(
                conn,
                provider=name,
                challenge=challenge,
                method=method,
                referrer=self.redirects.choose(request),
            )
        more = {key: value for key, value in query.items() if key.lower() not in RESERVED | OWN}
        scope = " ".join(["user:email", *query.get("scopes", "").replace(",", " ").split()])
        return RedirectResponse(self.github.page_url(str(state), more | {"scope": scope}), 302)

    async def callback(self, request: Request) -> Response:
        """GET /callback: back from the provider, and on to the app with `?code=`."""
        back = self.redirects.site_url
        try:
            async with self.database.admin("supabase_auth_admin").connection() as conn, conn.transaction():
                flow = await flows.returning(conn, request.query_params.get("state", ""))
                back = flow["referrer"] or back
                target = await self._answer(conn, request, flow)
        except (AuthError, ProviderError) as error:
            return RedirectResponse(_told(back, error), 303)
        return RedirectResponse(target, 302)

    async def _answer(self, conn: asyncpg.Connection, request: Request, flow: asyncpg.Record) -> str:
        query = request.query_params
        if query.get("error"):
            raise ProviderError(query["error"], query.get("error_description", ""))
        if not query.get("code"):
            raise AuthError(
                400, "bad_oauth_callback", "OAuth callback with missing authorization code missing"
            )
        person = self.github.exchange(query["code"])
        if person is None:
            raise AuthError(500, "unexpected_failure", "Unable to exchange external code")
        user_id = await external.account_of(conn, provider="github", identity=person.identity())
        token = self.github.token()
        if flow["code_challenge"]:
            await flows.prove(conn, flow["id"], user_id, provider_token=token)
            return _with(flow["referrer"], {"code": flow["auth_code"]})
        await flows.forget(conn, flow["id"])
        session = await self._session(conn, request, user_id=user_id, provider_token=token)
        told = {name: str(value) for name, value in session.items() if name != "user"}
        return f"{flow['referrer'].partition('#')[0]}#{urlencode(told)}"

    async def exchange(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        """POST /token?grant_type=pkce: a session for a code and its verifier, once."""
        code, verifier = body.get("auth_code"), body.get("code_verifier")
        async with self.database.admin("supabase_auth_admin").connection() as conn, conn.transaction():
            flow = await flows.redeem(
                conn, code if isinstance(code, str) else "", verifier if isinstance(verifier, str) else ""
            )
            return await self._session(
                conn, request, user_id=flow["user_id"], provider_token=flow["provider_access_token"]
            )

    async def _session(
        self, conn: asyncpg.Connection, request: Request, *, user_id: Any, provider_token: str
    ) -> dict[str, Any]:
        session_id, token = await sessions.open_session(
            conn, user_id, method="oauth", device=device_of(request)
        )
        granted = await sessions.grant(
            conn, self.keys, issuer=self.issuer, user_id=user_id, session_id=session_id, refresh_token=token
        )
        return granted | {"provider_token": provider_token}


def _told(back: str, error: AuthError | ProviderError) -> str:
    """The app's address with what went wrong, in the query and, as GoTrue still does, in the fragment."""
    if isinstance(error, ProviderError):
        told = {"error": error.error, "error_description": error.description}
    else:
        kind = "access_denied" if error.code in DENIED else OAUTH_ERRORS.get(error.status, "server_error")
        told = {"error": kind, "error_code": error.code, "error_description": error.message}
    return f"{_with(back, told)}#{urlencode(told)}"


def _with(address: str, values: dict[str, str]) -> str:
    """An address with query parameters set, its own ones kept and its fragment dropped."""
    parts = urlsplit(address)
    kept = [
        (name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in values
    ]
    return urlunsplit(parts._replace(query=urlencode([*kept, *values.items()]), fragment=""))
