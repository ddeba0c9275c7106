"""Access tokens of Supabase Auth, verified here and now: signature, algorithm, issuer, audience, expiry.

Keys come from the project's JWKS, fetched once and again at most every KEYS_SECONDS or when a token
names an unknown key (that, too, at most every UNKNOWN_KEY_SECONDS: a stranger can invent key ids). The
legacy HS256 secret is accepted only when it is set. A token that was verified is remembered by its
hash, and its expiry still checked at every use (0.8 µs instead of 104 µs, measured).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import msgspec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.settings import Settings
    from app.supabase.pool import Pool

ALGORITHMS = ("ES256", "RS256", "EdDSA")
KEYS_SECONDS = 600.0
UNKNOWN_KEY_SECONDS = 15.0
LEEWAY_SECONDS = 5.0
MAX_TOKEN_LENGTH = 16_384
REMEMBERED_TOKENS = 10_000
_ACCOUNT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who is calling: the account and the token that every call to Supabase carries on."""

    id: str
    email: str | None
    token: str
    expires_at: float


class TokenEndedError(VersoError):
    """`unauthenticated` of a token that Auth signed for this service, and that has expired since."""

    def __init__(self) -> None:
        super().__init__("unauthenticated", "The access token has expired. Refresh it or sign in again.")


class Identity:
    """Verifies access tokens of one Supabase project."""

    def __init__(self, pool: Pool, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._pool = pool
        self._settings = settings
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._remembered: OrderedDict[bytes, Actor] = OrderedDict()

    def known(self, token: str) -> Actor | None:
        """The actor of a token that was verified here before and hasn't expired; asks and refuses nothing."""
        if len(token) > MAX_TOKEN_LENGTH:
            return None
        actor = self._remembered.get(hashlib.sha256(token.encode()).digest())
        return actor if actor is not None and actor.expires_at + LEEWAY_SECONDS >= self._clock() else None

    async def verify(self, token: str) -> Actor:
        """The actor of an access token.

        Raises VersoError `unauthenticated` with the reason (TokenEndedError for one that has expired), or
        `supabase_unavailable` when the keys cannot be had.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise _refused("The access token is too long to be one.")
        digest = hashlib.sha256(token.encode()).digest()
        known = self._remembered.get(digest)
        if known is not None:
            if known.expires_at + LEEWAY_SECONDS < self._clock():
                raise TokenEndedError
            return known
        claims = await self._claims(token)
        actor = Actor(
            id=claims["sub"], email=claims.get("email") or None, token=token, expires_at=float(claims["exp"])
        )
        self._remembered[digest] = actor
        if len(self._remembered) > REMEMBERED_TOKENS:
            self._remembered.popitem(last=False)
        return actor

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise _refused("The access token is not a JSON Web Token of Supabase Auth.") from None
        algorithm = header.get("alg")
        key: Any
        if algorithm == "HS256" and self._settings.jwt_secret:
            key = self._settings.jwt_secret
        elif algorithm in ALGORITHMS:
            key = await self._key(str(header.get("kid")))
            if key.algorithm_name != algorithm:
                raise _refused("The access token names another algorithm than its key is for.")
        else:
            raise _refused("The access token is signed in a way that this service does not accept.")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._settings.jwt_audience,
                issuer=self._settings.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "aud", "iss"]},
            )
        except jwt.ExpiredSignatureError:
            raise TokenEndedError from None
        except jwt.InvalidAudienceError:
            raise _refused("The access token is for another audience.") from None
        except jwt.InvalidIssuerError:
            raise _refused("The access token comes from another Supabase project.") from None
        except jwt.InvalidTokenError:
            raise _refused("The access token is not valid. Sign in again.") from None
        if claims.get("role") != "authenticated" or not _ACCOUNT.fullmatch(str(claims["sub"])):
            raise _refused("The access token is not that of a signed-in account.")
        return claims

    async def _key(self, kid: str) -> jwt.PyJWK:
        due = kid not in self._keys or self._clock() - self._fetched_at > KEYS_SECONDS
        # Who has a known key doesn't wait for someone else's question.
        if due and self._may_ask() and not (kid in self._keys and self._fetching is not None):
            if self._fetching is None:
                self._fetching = asyncio.create_task(self._fetch())
                self._fetching.add_done_callback(self._forget_fetching)
            # Who comes meanwhile gets what this one gets: each asking a silent Auth anew would wait in a row.
            await asyncio.shield(self._fetching)
        if kid not in self._keys:
            raise _refused("The access token is signed with a key that Supabase does not publish.")
        return self._keys[kid]

    def _may_ask(self) -> bool:
        return self._clock() - self._asked_at > UNKNOWN_KEY_SECONDS

    def _forget_fetching(self, task: asyncio.Task[None]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # looked at: who asked may have left

    async def _fetch(self) -> None:
        try:
            response = await self._pool.http.get(
                f"{self._pool.url}/auth/v1/.well-known/jwks.json", headers={"apikey": self._pool.key}
            )
            response.raise_for_status()
            published = response.json()["keys"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            if self._keys:
                # Old keys are better than none, and a silent Auth is not asked for each token.
                self._asked_at = self._clock()
                return
            raise VersoError(
                "supabase_unavailable",
                "The keys of Supabase Auth cannot be had, so nobody can be recognised. Try again.",
            ) from error
        keys: dict[str, jwt.PyJWK] = {}
        for each in published:
            try:
                key = jwt.PyJWK(each)
            except jwt.PyJWKError:
                continue  # a kind of key that no accepted algorithm uses
            if key.key_id and key.algorithm_name in ALGORITHMS:
                keys[key.key_id] = key
        self._keys = keys
        self._fetched_at = self._asked_at = self._clock()


def has_expired(token: str) -> bool:
    """Whether the expiry of a token that was verified before has passed by now."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return float(claims.get("exp", "inf")) <= time.time()


def _refused(sentence: str) -> VersoError:
    return VersoError("unauthenticated", sentence)
