"""A token of an older system becomes a Supabase session of the account that its user was imported as.

1  The token is verified (app/supabase/old_tokens.py): signature, times, and the bridge's own time.
2  Its subject is the id that `verso users import` noted in an account's app_metadata, where nobody but an
   operator writes. An account without that note is never meant, whatever its id or address is.
3  Auth gives a session of that account, with the secret key. It is kept for as long as its token lives: one
   session an hour, person and process. From here on the database decides, as for everybody.

Only accounts with a confirmed address: making a session would confirm it, which proves nothing here.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

import msgspec
import structlog

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.supabase.accounts import Account, Accounts
    from app.supabase.identity import Actor, Identity
    from app.supabase.old_tokens import OldTokens, Terms

log = structlog.get_logger(__name__)
T = TypeVar("T")

RENEWED_SECONDS = 120.0
"""A session is replaced when its token has less than this to live."""
KNOWN_SECONDS = 30.0
"""How long the list of imported accounts is believed when somebody isn't in it."""
REFUSED_SECONDS = 60.0
REMEMBERED = 10_000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Bridge:
    """Sessions of imported accounts, one at a time for each."""

    def __init__(
        self,
        tokens: OldTokens,
        accounts: Accounts,
        identity: Identity,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._identity = identity
        self._clock = clock
        self._sessions: OrderedDict[str, Actor] = OrderedDict()
        self._refused: OrderedDict[str, tuple[float, VersoError]] = OrderedDict()
        self._known: dict[str, str] = {}
        self._known_at = float("-inf")
        self._listing = asyncio.Lock()
        self._making: dict[str, asyncio.Lock] = {}

    @property
    def terms(self) -> Terms:
        """What the operator has set."""
        return self._tokens.terms

    def takes(self, token: str) -> bool:
        """Whether this bridge, and not Supabase, says what a token is worth."""
        return self._tokens.meant(token)

    async def actor(self, token: str) -> tuple[Actor, str]:
        """Who calls with a token of the older system, and who that is there.

        Raises VersoError `unauthenticated` with the reason, and `supabase_unavailable`.
        """
        old = self._tokens.verify(token)
        known = self._kept(old.subject)
        if known is None:
            try:
                async with self._making.setdefault(old.subject, asyncio.Lock()):
                    known = self._kept(old.subject)
                    if known is None:
                        known = await self._made(old.subject)
            finally:
                self._making.pop(old.subject, None)
        return msgspec.structs.replace(known, expires_at=min(known.expires_at, old.expires_at)), old.subject

    def _kept(self, subject: str) -> Actor | None:
        since, refusal = self._refused.get(subject, (float("-inf"), None))
        if refusal is not None and self._clock() - since < REFUSED_SECONDS:
            # A new one each time: what is raised again and again gathers the frames of all who raised it.
            raise VersoError(refusal.code, refusal.sentence, **refusal.detail)
        kept = self._sessions.get(subject)
        return kept if kept is not None and kept.expires_at - RENEWED_SECONDS > self._clock() else None

    async def _made(self, subject: str) -> Actor:
        try:
            account = await self._account(subject)
            actor = await self._identity.verify(await self._accounts.session(account))
        except VersoError as error:
            if error.code not in {"unauthenticated", "account_refused"}:
                raise
            log.warning("bridge.refused", subject=subject, reason=error.detail.get("reason"))
            refusal = _refused("The account of this token's user can't be used here. Sign in to Verso.")
            _remember(self._refused, subject, (self._clock(), refusal))
            raise refusal from error
        if actor.id != account.id:
            raise _refused("The account of this token's user can't be used here. Sign in to Verso.")
        log.info("bridge.session", subject=subject, account=actor.id)
        _remember(self._sessions, subject, actor)
        return actor

    async def _account(self, subject: str) -> Account:
        """The account as it is now: a ban or a new note counts from the next session on."""
        # The import gives an account the id that its user had, where that was a UUID.
        account = await self._accounts.find(
            subject if _UUID.fullmatch(subject) else await self._listed(subject)
        )
        if account.old_id != subject:
            raise _refused("No account was made of this token's user.", reason="not_imported")
        if account.email_confirmed_at is None or not account.email:
            raise _refused("Its address is not confirmed.", reason="not_confirmed")
        return account

    async def _listed(self, subject: str) -> str:
        """The id of the account of a user whose id was something else. Auth finds accounts by theirs only."""
        if subject not in self._known:
            async with self._listing:
                if subject not in self._known and self._clock() - self._known_at > KNOWN_SECONDS:
                    everybody = await self._accounts.all()
                    self._known = {each.old_id: each.id for each in everybody if each.old_id is not None}
                    self._known_at = self._clock()
        if subject not in self._known:
            raise _refused("No account was made of this token's user.", reason="not_imported")
        return self._known[subject]


def _remember(kept: OrderedDict[str, T], subject: str, value: T) -> None:
    kept[subject] = value
    kept.move_to_end(subject)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _refused(sentence: str, *, reason: str | None = None) -> VersoError:
    return VersoError("unauthenticated", sentence, **({} if reason is None else {"reason": reason}))
