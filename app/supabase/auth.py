"""Signing people in at Supabase Auth, for pages: codes, passwords and refresh tokens into sessions.

A refresh token works once, and Auth ends a session whose token comes twice (later than its reuse interval of
10 s). So a token is refreshed once a process: who comes meanwhile, or shortly after, gets what the first
one got. Processes that meet are let through by Auth itself: within that interval it answers both.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import msgspec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.settings import Settings
    from app.supabase.pool import Pool

API_VERSION = "2024-01-01"
REMEMBERED_SECONDS = 10.0
"""How long a refresh is told to those who come late with the old token; Auth's own reuse interval."""
METHODS_SECONDS = 60.0
MOST_OVER = 10_000
"""How many tokens of ended sessions are remembered."""
_ENDED = frozenset(
    {
        "refresh_token_not_found",
        "refresh_token_already_used",
        "session_not_found",
        "session_expired",
        "user_not_found",
        "bad_jwt",
    }
)
"""Codes of Auth that say that a session is over."""
_STALE = frozenset(
    {"flow_state_not_found", "flow_state_expired", "bad_code_verifier", "bad_oauth_state", "otp_expired"}
    | {"flow_state_already_used", "bad_oauth_callback"}
)
"""Codes that say that a sign-in under way is none any more."""
_PLAIN = {
    "signup_disabled": "New accounts are not taken here. Ask the people who run this Verso for one.",
    "user_banned": "This account is locked. Ask the people who run this Verso.",
    "provider_email_needs_verification": "GitHub has not confirmed your address. Do that there first.",
    "email_not_confirmed": "The address is not confirmed yet. Open the link that was sent to it.",
    "invalid_credentials": "The address and the password do not belong together.",
    "email_provider_disabled": "Signing in by e-mail is switched off here.",
    "provider_disabled": "Signing in that way is switched off here.",
    "email_exists": "Another account has that e-mail address.",
}
_UNKNOWN = "GitHub or Supabase did not let this sign-in through. Try again."
_SILENT = frozenset(
    {"signup_disabled", "otp_disabled", "user_banned", "email_address_not_authorized"}
    | {"over_email_send_rate_limit"}
)
"""Codes of Auth about one address, which would tell a stranger whether somebody has an account."""
_ASKED_TOO_OFTEN = 429


class AuthRefusedError(VersoError):
    """A refusal of Auth's. `auth_code` is its own code, which nobody is shown."""

    def __init__(self, code: str, sentence: str, *, auth_code: str) -> None:
        super().__init__(code, sentence)
        self.auth_code = auth_code


class PageSession(msgspec.Struct, frozen=True, kw_only=True):
    """What Auth gives to who signs in. Both tokens are secrets."""

    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds for which the access token is good."""


class Methods(msgspec.Struct, frozen=True, kw_only=True):
    """The ways to sign in that the Supabase project allows."""

    github: bool
    password: bool
    link: bool
    """A link by e-mail: where the project confirms addresses by e-mail, and so can send one."""


class Auth:
    """Supabase Auth of one project, asked with the publishable key and nothing more.

    Methods raise VersoError: `sign_in_refused` with a plain sentence, `sign_in_stale`, `session_ended`,
    `too_many_requests`, `supabase_unavailable`.
    """

    def __init__(
        self, pool: Pool, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool = pool
        self._browser_url = (settings.supabase_public_url or settings.supabase_url).rstrip("/")
        self._clock = clock
        self._refreshes: dict[bytes, tuple[asyncio.Task[PageSession], float]] = {}
        self._over: OrderedDict[bytes, None] = OrderedDict()
        self._methods: tuple[Methods, float] | None = None

    def authorize_url(self, *, redirect_to: str, challenge: str) -> str:
        """Where the browser goes to sign in with GitHub. `challenge` is S256 of a verifier (RFC 7636)."""
        asked = {
            "provider": "github",
            "redirect_to": redirect_to,
            "code_challenge": challenge,
            "code_challenge_method": "s256",
        }
        return f"{self._browser_url}/auth/v1/authorize?{urlencode(asked)}"

    async def methods(self) -> Methods:
        """How one may sign in, as the project's settings say; asked again after METHODS_SECONDS."""
        if self._methods is not None and self._clock() - self._methods[1] < METHODS_SECONDS:
            return self._methods[0]
        value = await self._ask("GET", "settings")
        external = value.get("external") if isinstance(value, dict) else None
        if not isinstance(external, dict):
            raise _silent()
        by_email = external.get("email") is True
        found = Methods(
            github=external.get("github") is True,
            password=by_email,
            link=by_email and value.get("mailer_autoconfirm") is False,
        )
        self._methods = (found, self._clock())
        return found

    async def by_code(self, code: str, verifier: str) -> PageSession:
        """A session for the code that the browser brought back; a code works once."""
        return await self._session("pkce", {"auth_code": code, "code_verifier": verifier})

    async def by_password(self, email: str, password: str) -> PageSession:
        """A session for an address and its password."""
        return await self._session("password", {"email": email, "password": password})

    async def send_link(self, email: str, *, redirect_to: str, challenge: str) -> None:
        """Have Auth send a link that signs in. Whether it did is not told: that says who has an account."""
        body = {
            "email": email,
            "create_user": True,
            "code_challenge": challenge,
            "code_challenge_method": "s256",
        }
        try:
            await self._ask("POST", f"otp?{urlencode({'redirect_to': redirect_to})}", body)
        except AuthRefusedError as error:
            if error.auth_code not in _SILENT:
                raise

    async def renew(self, access_token: str, refresh_token: str) -> PageSession:
        """The next session in place of that of a verified token. What is over once is not asked for again.

        Auth lets this server refresh so often: who made refresh tokens up would take that from everybody.
        """
        key = hashlib.sha256(access_token.encode()).digest()
        if key in self._over:
            raise refusal("session_not_found")
        try:
            return await self.refresh(refresh_token)
        except VersoError as error:
            if error.code == "session_ended":
                self._over[key] = None
                if len(self._over) > MOST_OVER:
                    self._over.popitem(last=False)
            raise

    async def refresh(self, refresh_token: str) -> PageSession:
        """The next session in place of one whose access token ends, asked for once however many want it."""
        now = self._clock()
        for each in [each for each, (task, until) in self._refreshes.items() if task.done() and until < now]:
            del self._refreshes[each]
        key = hashlib.sha256(refresh_token.encode()).digest()
        known = self._refreshes.get(key)
        if known is None:
            asked = asyncio.create_task(self._session("refresh_token", {"refresh_token": refresh_token}))
            known = self._refreshes[key] = (asked, now + REMEMBERED_SECONDS)
            asked.add_done_callback(lambda task: self._forget_failed(key, task))
        # A tab that leaves must not take the answer away from the others.
        return await asyncio.shield(known[0])

    def _forget_failed(self, key: bytes, task: asyncio.Task[PageSession]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._refreshes.pop(key, None)

    async def sign_out(self, access_token: str, *, everywhere: bool) -> None:
        """End this session, or all of the account's. Raises `session_ended` when it is over already."""
        scope = "global" if everywhere else "local"
        headers = {"Authorization": f"Bearer {access_token}"}
        self._refreshes = {key: each for key, each in self._refreshes.items() if not each[0].done()}
        await self._ask("POST", f"logout?scope={scope}", headers=headers)

    async def _session(self, grant: str, body: Mapping[str, str]) -> PageSession:
        value = await self._ask("POST", f"token?grant_type={grant}", body)
        try:
            return msgspec.convert(value, PageSession)
        except msgspec.ValidationError:
            raise _silent() from None

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        sent = {"apikey": self._pool.key, "X-Supabase-Api-Version": API_VERSION, **(headers or {})}
        try:
            response = await self._pool.http.request(
                method, f"{self._pool.url}/auth/v1/{path}", json=body, headers=sent
            )
        except httpx.TransportError as error:
            raise _silent() from error
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        try:
            value = response.json()
        except ValueError:
            value = None
        if response.is_success:
            return value
        if response.is_server_error or not isinstance(value, dict):
            raise _silent()
        raise refusal(str(value.get("code") or value.get("error_code") or ""), status=response.status_code)


def refusal(code: str, *, status: int = 400) -> AuthRefusedError:
    """The error of a code of Auth, in plain words and never in Auth's: those can come through an address."""
    said, sentence = "sign_in_refused", _PLAIN.get(code, _UNKNOWN)
    if status == _ASKED_TOO_OFTEN or code.startswith("over_"):
        said, sentence = "too_many_requests", "That was tried too often. Wait a minute, then try again."
    elif code in _ENDED:
        said, sentence = "session_ended", "Your session has ended. Sign in again."
    elif code in _STALE:
        said = "sign_in_stale"
        sentence = "This sign-in took too long, or was finished already. Start it again."
    return AuthRefusedError(said, sentence, auth_code=code)


def _silent() -> VersoError:
    return VersoError("supabase_unavailable", "The sign-in service cannot be reached. Try again in a moment.")
