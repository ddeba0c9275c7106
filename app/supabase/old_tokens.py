"""Tokens of an older system: HS256 by a secret that it shared, taken for a while that the operator has set.

Nothing of a token is believed but its subject, and that only after its signature, its own times and, where
they are set, its issuer and audience. The algorithm is pinned; what the header asks for doesn't matter.
"""

from __future__ import annotations

import time
from datetime import datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Literal

import jwt
import msgspec

from app.errors import VersoError
from app.supabase.identity import LEEWAY_SECONDS, MAX_TOKEN_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.settings import Settings

MAX_SUBJECT = 200
Mode = Literal["read-only", "full"]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Which tokens are taken, and until when."""

    secret: str
    since: datetime
    until: datetime
    mode: Mode
    issuer: str | None
    audience: str | None
    supabase_issuer: str
    """Whose tokens are never meant: a Supabase that still signs with a secret of its own."""


class OldToken(msgspec.Struct, frozen=True):
    """What a token of the older system proved."""

    subject: str
    expires_at: float


def terms_of(settings: Settings) -> Terms | None:
    """The terms that are set; None when there is no bridge, which is how it is unless set."""
    if settings.bridge_secret is None or settings.bridge_from is None or settings.bridge_until is None:
        return None
    return Terms(
        secret=settings.bridge_secret,
        since=settings.bridge_from,
        until=settings.bridge_until,
        mode="full" if settings.bridge_mode == "full" else "read-only",
        issuer=settings.bridge_issuer,
        audience=settings.bridge_audience,
        supabase_issuer=settings.issuer,
    )


class OldTokens:
    """Verifies tokens of the older system."""

    def __init__(self, terms: Terms, *, clock: Callable[[], float] = time.time) -> None:
        self.terms = terms
        self._clock = clock

    def meant(self, token: str) -> bool:
        """Whether a token looks like one of the older system. Decides who refuses it, and nothing else."""
        if len(token) > MAX_TOKEN_LENGTH:
            return False
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            return False
        return header.get("alg") == "HS256" and claims.get("iss") != self.terms.supabase_issuer

    def verify(self, token: str) -> OldToken:
        """What a token proves now. Raises VersoError `unauthenticated` with the reason."""
        terms, now = self.terms, self._clock()
        if now >= terms.until.timestamp():
            raise _refused("Tokens of the older system are not taken any more. Sign in to Verso.")
        if now < terms.since.timestamp():
            raise _refused("Tokens of the older system are not taken yet. Use that system.")
        required = ["exp", "sub", *(["iss"] if terms.issuer else []), *(["aud"] if terms.audience else [])]
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                terms.secret,
                algorithms=["HS256"],
                issuer=terms.issuer,
                audience=terms.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": required, "verify_aud": terms.audience is not None, "verify_sub": False},
            )
        except jwt.ExpiredSignatureError:
            raise _refused("This token of the older system has expired. Sign in to Verso.") from None
        except jwt.InvalidTokenError:
            raise _refused("This is no valid token of the older system. Sign in to Verso.") from None
        # Ids were numbers in many of them.
        subject = claims["sub"]
        if isinstance(subject, bool) or not isinstance(subject, str | int):
            raise _refused("This token of the older system names nobody. Sign in to Verso.")
        if not 1 <= len(str(subject)) <= MAX_SUBJECT:
            raise _refused("This token of the older system names nobody. Sign in to Verso.")
        return OldToken(str(subject), min(float(claims["exp"]), terms.until.timestamp()))


def _refused(sentence: str) -> VersoError:
    return VersoError("unauthenticated", sentence)
