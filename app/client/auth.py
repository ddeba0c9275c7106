"""Supabase Auth as a client on somebody's machine needs it: codes, passwords, refresh tokens into sessions.

Which Auth belongs to a Verso server, that server says (`GET /v1/sign-in`): its address is all one is given.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from app.client.place import is_address
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.client.api import Api

TIMEOUT_SECONDS = 20.0
API_VERSION = "2024-01-01"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ENDED = frozenset(
    {
        "refresh_token_not_found",
        "refresh_token_already_used",
        "session_not_found",
        "session_expired",
        "user_not_found",
        "user_banned",
    }
)
"""Codes of Auth that say that a session is over, and that asking again makes it no better."""


class Where(msgspec.Struct, frozen=True):
    """Where one signs in: the answer of `GET /v1/sign-in`."""

    supabase_url: str
    publishable_key: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What Auth gives to who signs in."""

    access_token: str
    refresh_token: str | None
    """Works once; None for an access token that somebody brought along."""
    expires_at: float
    """When the access token ends, in seconds of this machine's clock, whatever Auth's says."""


class Auth:
    """Auth of one Supabase project. A context manager, or `close` it.

    Methods raise VersoError: `session_ended` when a session is over for good, `sign_in_refused` when Auth
    says no, `unreachable` when it says nothing (or nothing that makes sense).
    """

    def __init__(
        self,
        where: Where,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.where = where
        self._clock = clock
        self._http = httpx.Client(
            base_url=f"{where.supabase_url.rstrip('/')}/auth/v1",
            headers={"apikey": where.publishable_key, "X-Supabase-Api-Version": API_VERSION},
            timeout=TIMEOUT_SECONDS,
            trust_env=not is_loopback(where.supabase_url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def authorize_url(self, *, redirect_to: str, challenge: str) -> str:
        """Where to send the browser. `challenge` is S256 of a verifier (RFC 7636)."""
        asked = {
            "provider": "github",
            "redirect_to": redirect_to,
            "code_challenge": challenge,
            "code_challenge_method": "s256",
        }
        return f"{self._http.base_url}authorize?{urlencode(asked)}"

    def by_code(self, code: str, verifier: str) -> Session:
        """A session for the code that the browser brought back."""
        return self._session("pkce", {"auth_code": code, "code_verifier": verifier})

    def by_password(self, email: str, password: str) -> Session:
        """A session for an address and its password."""
        return self._session("password", {"email": email, "password": password})

    def by_refresh(self, refresh_token: str) -> Session:
        """The next session in place of one whose access token ends. The old refresh token is used up."""
        return self._session("refresh_token", {"refresh_token": refresh_token})

    def sign_out(self, access_token: str, *, everywhere: bool = False) -> None:
        """End this session, or all of the account's."""
        try:
            self._ask(
                f"logout?scope={'global' if everywhere else 'local'}",
                None,
                headers={"Authorization": f"Bearer {access_token}"},
            )
        except VersoError as error:
            if error.code != "session_ended":  # over already: that is what was wanted
                raise

    def _session(self, grant: str, body: Mapping[str, str]) -> Session:
        asked_at = self._clock()
        value = self._ask(f"token?grant_type={grant}", body)
        try:
            return Session(
                access_token=str(value["access_token"]),
                refresh_token=str(value["refresh_token"]),
                expires_at=asked_at + float(value["expires_in"]),
            )
        except (KeyError, TypeError, ValueError):
            raise self._silent("its answer isn't a session") from None

    def _ask(
        self, path: str, body: Mapping[str, str] | None, *, headers: Mapping[str, str] | None = None
    ) -> Any:
        try:
            response = self._http.post(path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise self._silent(str(error) or type(error).__name__) from error
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        try:
            value = response.json()
        except ValueError:
            value = None
        if response.is_success and isinstance(value, dict):
            return value
        if response.is_server_error or not isinstance(value, dict):
            raise self._silent(f"it answered {response.status_code}")
        code = str(value.get("code") or value.get("error_code") or "")
        reason = str(value.get("message") or value.get("msg") or response.status_code)
        if code in _ENDED:
            raise VersoError("session_ended", f"The session has ended ({reason}).", reason=code)
        raise VersoError("sign_in_refused", f"Sign-in was refused: {reason}.", reason=code)

    def _silent(self, why: str) -> VersoError:
        url = self.where.supabase_url
        return VersoError(
            "unreachable",
            f"The sign-in service at {url} can't be asked ({why}). Try again in a moment.",
            server=url,
        )


def where_to_sign_in(api: Api) -> Where:
    """Where a Verso server's people sign in. Raises VersoError `unreachable`, `not_verso`."""
    where = api.get("/v1/sign-in", kind=Where)
    if not is_address(where.supabase_url) or not re.fullmatch("[!-~]+", where.publishable_key):
        raise VersoError("not_verso", f"{api.base_url} doesn't say where its people sign in. Is it Verso's?")
    return where


def is_loopback(url: str) -> bool:
    """Whether an address is this machine."""
    return (urlsplit(url).hostname or "") in LOOPBACK


def brought(access_token: str) -> Session:
    """The session of an access token that somebody brought along: nothing can make it fresh.

    Raises VersoError `bad_usage` when it isn't a JWT. Its signature is the server's to judge.
    """
    try:
        payload = access_token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        expires_at = float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error, msgspec.DecodeError):
        raise VersoError(
            "bad_usage", "That is not an access token: it is a JSON Web Token, and has an expiry."
        ) from None
    return Session(access_token=access_token, refresh_token=None, expires_at=expires_at)
