"""Rate limits, before anything is routed, parsed or asked of Supabase.

Three rates, each counted by this process alone (with n processes, n times as much gets through):

- an account's requests, when their token is one that was verified here before;
- an address's requests without such a token;
- an address's failures: tokens that were refused with 401, and refused sign-ins. Once they are spent, what
  comes from there without a known token is refused before its signature is looked at. Who is signed in goes
  on: somebody else's guesses behind the same address are no reason to lose one's work.

What is decided here costs a hash of the token and a look into two dictionaries.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from litestar import Request
from litestar.enums import ScopeType

from app.api import pages
from app.api.arriving import arriving
from app.api.cookies import access_of
from app.api.problems import MEDIA_TYPE, PROBLEMS, problem_body
from app.api.rates import Rate, address_of
from app.api.witness import note_limit
from app.errors import VersoError
from app.turns import ASKED_BY

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Litestar
    from litestar.types import Message, Receive, Scope, Send

    from app.settings import Settings

_MINUTE = 60.0
_MOST_ADDRESSES = 10_000
_UNAUTHENTICATED = 401
_REFUSED = range(400, 500)
_CREDENTIALS = frozenset({b"authorization", b"cookie"})
_SIGN_IN = re.compile("/+auth/")
"""Routes are found however many slashes stand between their words."""
_UNCOUNTED = ("/health/",)
"""Balancers ask these, and must not be told that the service is gone because somebody attacks it."""


class Refusals:
    """Refused tokens and sign-ins, as lines of the log: one a minute for each address, with their number.

    They can't be in the audit trail (docs/audit.md): whoever has no token can't write there, and whose a
    refused one says that it was is nobody's word.
    """

    def __init__(self) -> None:
        self._log = structlog.get_logger("verso.refused")
        self._seen: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def note(self, what: str, address: str, now: float) -> None:
        """Count a refusal; log it when the address has been silent for a minute."""
        since, unsaid = self._seen.get((what, address), (float("-inf"), 0))
        if now - since < _MINUTE:
            self._seen[what, address] = (since, unsaid + 1)
            return
        self._log.warning("refused", what=what, address=address, count=1, since_last=unsaid)
        self._seen[what, address] = (now, 0)
        self._seen.move_to_end((what, address))
        if len(self._seen) > _MOST_ADDRESSES:
            self._seen.popitem(last=False)


class Limiter:
    """The ASGI application behind the observer: refuses what comes too often, lets the rest through."""

    def __init__(
        self, app: Litestar, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._settings = settings
        self._clock = clock
        self._accounts = Rate(settings.account_rate, settings.account_burst)
        self._addresses = Rate(settings.address_rate, settings.address_burst)
        self._failures = Rate(settings.failure_rate, settings.failure_burst)
        self._refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it with 429."""
        if scope["type"] != ScopeType.HTTP or scope["path"].startswith(_UNCOUNTED):
            await self._app(scope, receive, send)
            return
        receive = arriving(scope, receive, seconds=self._settings.body_timeout)
        now = self._clock()
        account = self._account(scope)
        if account is not None:
            wait = self._accounts.take(account, now)
            if wait > 0:
                note_limit(Request(scope), self._app.state.services, token=self._token(scope) or "")
                await _refuse(scope, send, wait, "Your account")
            else:
                ASKED_BY.set(account)
                await self._app(scope, receive, send)
            return
        address = address_of(scope, hops=self._settings.trusted_hops)
        wait = max(self._failures.wait(address, now), self._addresses.take(address, now))
        if wait > 0:
            await _refuse(scope, send, wait, "Your address")
            return

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_failure(scope, message["status"]):
                self._failures.take(address, self._clock())
                self._refusals.note(
                    "sign_in" if _SIGN_IN.match(scope["path"]) else "token", address, self._clock()
                )
            await send(message)

        await self._app(scope, receive, watch)

    def _account(self, scope: Scope) -> str | None:
        token = self._token(scope)
        if token is None:
            return None
        known = self._app.state.services.identity.known(token)
        return known.id if known is not None else None

    def _token(self, scope: Scope) -> str | None:
        cookies = False
        for name, value in scope["headers"]:
            if name == b"authorization":
                return _token_of(value)
            cookies = cookies or (name == b"cookie" and b"verso-access" in value)
        return access_of(Request(scope), self._settings) if cookies else None


def _token_of(field: bytes) -> str | None:
    """The token of an Authorization field: Bearer's, or Git's, which is the password of Basic."""
    scheme, _, value = field.decode("latin-1").partition(" ")
    value = value.strip()
    if scheme.lower() != "basic":
        return value or None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2] or None
    except (binascii.Error, ValueError):
        return None


def _is_failure(scope: Any, status: int) -> bool:
    if status == _UNAUTHENTICATED and any(name in _CREDENTIALS for name, _ in scope["headers"]):
        return True  # who shows nothing guesses nothing
    return _SIGN_IN.match(scope["path"]) is not None and status in _REFUSED


async def _refuse(scope: Any, send: Send, wait: float, whose: str) -> None:
    seconds = max(1, math.ceil(wait))
    error = VersoError(
        "too_many_requests",
        f"{whose} has asked too often. Ask again in {seconds} second{'s' if seconds > 1 else ''}, "
        "and less often from then on.",
        retry_after=seconds,
    )
    body = msgspec.json.encode(problem_body(error, scope.get("verso_request_id")))
    told = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
    request: Request[Any, Any, Any] = Request(scope)
    if pages.wants_page(request):
        body = pages.page(request, PROBLEMS[error.code].title, pages.text(error.sentence)).content.encode()
        told = {"Content-Type": "text/html; charset=utf-8", **pages.HEADERS}
    if scope["method"] == "HEAD":
        body = b""
    headers = [
        *((name.lower().encode(), value.encode()) for name, value in told.items()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(seconds).encode()),
        # Whatever body the client still sends is not read.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
