"""Accounts of Supabase Auth, made, changed and closed by its admin API: the one user of the secret key.

The key opens everything that the Supabase project has, so it goes nowhere but to `/auth/v1/admin/users`, and
only after the database has said that the caller may (app/flows/keep_agents.py) or in an operator's command,
which also reads handles with it. Where an operator has set up a bridge for tokens of an older system
(app/flows/bridge.py), it makes sessions, too.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import structlog

from app.errors import VersoError
from app.supabase import faults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = structlog.get_logger(__name__)

API_VERSION = "2024-01-01"
PAGE = 1000
"""The most accounts of one page that Auth gives."""
HANDLES_AT_ONCE = 100
FOR_EVER = "876000h"
"""A hundred years, as Go writes a duration: Auth has no ban without an end."""


class Identity(msgspec.Struct, frozen=True):
    """A way to sign in that an account has."""

    provider: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as Auth's admin API shows it, as far as it matters here."""

    id: str
    email: str = ""
    email_confirmed_at: str | None = None
    app_metadata: dict[str, Any] = {}
    identities: list[Identity] | None = None

    @property
    def old_id(self) -> str | None:
        """The id that a user had in the older system, as the import noted it; never that of an agent."""
        noted = self.app_metadata.get("verso_imported")
        if not isinstance(noted, dict) or "verso_agent" in self.app_metadata:
            return None
        return noted.get("id")


class _Accounts(msgspec.Struct, frozen=True):
    users: list[Account]


def new_password() -> str:
    """256 random bits, with a character of every kind that a project's password rules may ask for."""
    return f"{secrets.token_urlsafe(32)}-aA1"


class Accounts:
    """The accounts of one Supabase project, under its secret key, or none.

    Methods raise VersoError: `no_secret_key`; `account_refused` with Auth's words, and its code as `reason`;
    `supabase_unavailable`.
    """

    def __init__(self, http: httpx.AsyncClient, url: str, secret_key: str | None) -> None:
        self._http = http
        self._rows = f"{url.rstrip('/')}/rest/v1/profiles"
        self._url = f"{url.rstrip('/')}/auth/v1/admin/users"
        self._elsewhere = {
            "/generate_link": f"{url.rstrip('/')}/auth/v1/admin/generate_link",
            "/verify": f"{url.rstrip('/')}/auth/v1/verify",
        }
        self._secret_key = secret_key

    @property
    def can_act(self) -> bool:
        """Whether there is a key to act with."""
        return self._secret_key is not None

    async def add(self, **fields: Any) -> Account:
        """Make an account; the fields are those of `POST /admin/users`."""
        return msgspec.convert(await self._ask("POST", "", fields), Account)

    async def find(self, account: str) -> Account:
        """An account by its id."""
        return msgspec.convert(await self._ask("GET", f"/{account}"), Account)

    async def change(self, account: str, **fields: Any) -> None:
        """Change what is given; a new password ends every session of the account, as hosted Auth has it."""
        await self._ask("PUT", f"/{account}", fields)

    async def close(self, account: str) -> None:
        """End its sessions, and let nobody sign in again; nothing happens where there is no such account.

        Not deleted: older projects tie stored objects to the account that uploaded them, and refuse.
        """
        try:
            await self.change(account, password=new_password(), ban_duration=FOR_EVER)
        except VersoError as error:
            if error.detail.get("reason") != "user_not_found":
                raise

    async def session(self, account: Account) -> str:
        """The access token of a new session of an account, without anybody's sign-in.

        Only for an account whose address is confirmed: redeeming a link confirms it. Raises VersoError also
        `account_refused` when Auth answers with another account, or lets this one in no more.
        """
        link = await self._ask("POST", "/generate_link", {"type": "magiclink", "email": account.email})
        if link.get("id") != account.id:
            raise VersoError(
                "account_refused", "Supabase Auth named another account.", reason="other_account"
            )
        redeemed = {"type": "magiclink", "token_hash": link["hashed_token"]}
        session = await self._ask("POST", "/verify", redeemed)
        return str(session["access_token"])

    async def remove(self, account: str) -> None:
        """Delete an account that did nothing yet."""
        await self._ask("DELETE", f"/{account}", {})

    async def all(self) -> list[Account]:
        """Every account, in no order that counts."""
        found: dict[str, Account] = {}
        page = 1
        while True:
            answer = msgspec.convert(await self._ask("GET", f"?page={page}&per_page={PAGE}"), _Accounts)
            # By id, because an account that is made meanwhile moves the pages.
            found |= {each.id: each for each in answer.users}
            if len(answer.users) < PAGE:
                return list(found.values())
            page += 1

    async def handles(self, accounts: Sequence[str]) -> dict[str, str]:
        """The handles of accounts, by id, for operators' reports."""
        found: dict[str, str] = {}
        for start in range(0, len(accounts), HANDLES_AT_ONCE):
            wanted = ",".join(accounts[start : start + HANDLES_AT_ONCE])
            rows = await self._ask("GET", f"{self._rows}?select=id,handle&id=in.({wanted})")
            found |= {row["id"]: row["handle"] for row in rows}
        return found

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if self._secret_key is None:
            raise VersoError(
                "no_secret_key",
                "This server has no secret key of its Supabase, so it makes and changes no accounts.",
            )
        url = self._elsewhere.get(path, f"{self._url}{path}")
        try:
            answer = await self._http.request(
                method,
                path if path.startswith(self._rows) else url,
                json=body,
                headers={
                    "apikey": self._secret_key,
                    "Authorization": f"Bearer {self._secret_key}",
                    "X-Supabase-Api-Version": API_VERSION,
                },
            )
            value = answer.json()
        except httpx.TransportError as error:
            doubt = method != "GET" and not faults.never_sent(error)
            raise faults.from_transport(error, what="supabase", doubt=doubt) from error
        except ValueError:
            value = None
        if answer.is_success and isinstance(value, dict | list):
            return value
        told = value if isinstance(value, dict) else {}
        reason = str(told.get("code") or told.get("error_code") or answer.status_code)
        log.warning("supabase.accounts.error", status=answer.status_code, reason=reason)
        if answer.is_server_error:
            raise VersoError("supabase_unavailable", faults.UNAVAILABLE)
        words = str(told.get("message") or told.get("msg") or f"it answered {answer.status_code}")[:500]
        if answer.status_code in {401, 403}:
            words = (
                "it doesn't take that key. It must be the project's secret key, or the older service_role key"
            )
        raise VersoError(
            "account_refused", f"Supabase Auth refused this: {words.rstrip('.')}.", reason=reason
        )
