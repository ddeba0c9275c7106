"""What is examined, what a check finds, and the order of the checks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import httpx
import msgspec

from app.errors import VersoError
from app.supabase.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.model import VersionRead
    from app.settings import Settings
    from app.supabase.identity import Actor

TIMEOUT_SECONDS = 15.0


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to be: an e-mail address with a password, or an access token, or nobody."""

    email: str | None = None
    password: str | None = None
    token: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a check found: a sentence, and when it failed or warns what to do about it."""

    check: str
    state: Literal["passed", "warned", "failed", "skipped"]
    sentence: str
    fix: str | None = None


class UnwellError(Exception):
    """A check failed: what is wrong, in `args[0]`, and how to fix it."""

    def __init__(self, sentence: str, *, fix: str) -> None:
        super().__init__(sentence)
        self.fix = fix


class WarnedError(UnwellError):
    """All works, but not as safely as it should."""


class SkippedError(Exception):
    """A check can't be made; the message says why."""


@dataclass(kw_only=True)
class Examined:
    """One Supabase under examination, and what the checks have learnt so far for those after them."""

    settings: Settings
    credentials: Credentials
    http: httpx.AsyncClient
    pool: Pool
    token: str = ""
    actor: Actor | None = None
    written: VersionRead | None = None
    content: bytes = b""

    def headers(self, *, as_user: bool) -> dict[str, str]:
        """What a request carries, as the signed-in person or as a stranger with the publishable key."""
        key = self.settings.supabase_publishable_key
        if as_user:
            return self.pool.headers(self.token)
        # Old keys are tokens of the role anon, new ones aren't tokens at all.
        return {"apikey": key} | ({} if key.startswith("sb_") else {"Authorization": f"Bearer {key}"})

    async def ask(
        self,
        method: str,
        target: str,
        *,
        as_user: bool = False,
        headers: dict[str, str] | None = None,
        **body: Any,
    ) -> httpx.Response:
        """One request. Raises httpx.HTTPError."""
        carried = self.headers(as_user=as_user) | (headers or {})
        return await self.http.request(method, target, headers=carried, **body)


@dataclass(frozen=True, slots=True)
class Check:
    """A check's name, the checks without which it makes no sense, and what it does: gives a sentence."""

    name: str
    needs: tuple[str, ...]
    run: Callable[[Examined], Awaitable[str]]


async def examine(settings: Settings, credentials: Credentials) -> list[Finding]:
    """Make every check, in order; one whose needs didn't pass is skipped."""
    from app.cli.doctor.connection import CHECKS as CONNECTION
    from app.cli.doctor.rights import CHECKS as RIGHTS
    from app.cli.doctor.round_trip import CHECKS as ROUND_TRIP

    findings: dict[str, Finding] = {}
    pool = Pool(settings)
    try:
        async with httpx.AsyncClient(base_url=pool.url, timeout=TIMEOUT_SECONDS) as http:
            examined = Examined(settings=settings, credentials=credentials, http=http, pool=pool)
            for check in (*CONNECTION, *RIGHTS, *ROUND_TRIP):
                unmet = [need for need in check.needs if findings[need].state != "passed"]
                findings[check.name] = (
                    Finding(check=check.name, state="skipped", sentence=f"Needs “{unmet[0]}” first.")
                    if unmet
                    else await _make(check, examined)
                )
    finally:
        await pool.close()
    return list(findings.values())


async def _make(check: Check, examined: Examined) -> Finding:
    try:
        return Finding(check=check.name, state="passed", sentence=await check.run(examined))
    except SkippedError as reason:
        return Finding(check=check.name, state="skipped", sentence=str(reason))
    except UnwellError as error:
        state: Literal["warned", "failed"] = "warned" if isinstance(error, WarnedError) else "failed"
        return Finding(check=check.name, state=state, sentence=str(error), fix=error.fix)
    except VersoError as error:
        return Finding(
            check=check.name,
            state="failed",
            sentence=f"{error.sentence} ({error.code})",
            fix="If the checks above pass, look at Supabase's own logs at this moment.",
        )
    except json.JSONDecodeError:
        return Finding(
            check=check.name,
            state="failed",
            sentence="What answered wasn't Supabase: it wasn't JSON.",
            fix="Look at what stands between here and there (a proxy, a gateway), and run the doctor again.",
        )
    except httpx.HTTPError as error:
        return Finding(
            check=check.name,
            state="failed",
            sentence=f"Supabase stopped answering: {type(error).__name__} {error}".strip(),
            fix="Run the doctor again; when it stays so, look at the project's status page and logs.",
        )
