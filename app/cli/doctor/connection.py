"""Reaching it and being somebody there: address, key, schema, signing keys, sign-in, token, profile."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import jwt

from app.cli.doctor.examination import Check, SkippedError, UnwellError, WarnedError
from app.errors import VersoError
from app.settings import data_directory
from app.supabase.identity import ALGORITHMS, Identity
from app.supabase.ledger import Ledger

if TYPE_CHECKING:
    from app.cli.doctor.examination import Examined

APPLY = (
    "Apply the migrations: `supabase --workdir storage_schema db push --db-url <connection string>`, "
    "or `verso migrate --db-url <connection string>`."
)
TOLERATED_SKEW_SECONDS = 30
_VERSION = re.compile(r"function public\.schema_version\(\).*?select '(\w+)'", re.DOTALL)


def shipped_schema_version() -> str:
    """The schema version of the migrations that ship with this Verso: the last one that says it."""
    directory = data_directory("storage_schema") / "supabase" / "migrations"
    texts = [path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.sql"))]
    return [str(found) for text in texts for found in _VERSION.findall(text)][-1]


async def address(examined: Examined) -> str:
    """Something answers there."""
    url = examined.pool.url
    try:
        await examined.ask("GET", "/auth/v1/health")
    except httpx.HTTPError as error:
        raise UnwellError(
            f"{url} doesn't answer: {str(error) or type(error).__name__}.",
            fix="Check SUPABASE_URL. On this machine `verso dev` or `supabase start` must be running; "
            "a hosted project may be paused, or a firewall in between.",
        ) from None
    return f"{url} answers."


async def key(examined: Examined) -> str:
    """The key is accepted, and is one that may be public."""
    given = examined.settings.supabase_publishable_key
    if given.startswith("sb_secret_") or _unverified(given).get("role") == "service_role":
        raise UnwellError(
            "SUPABASE_PUBLISHABLE_KEY holds a secret key, for which no policy counts.",
            fix="Set the publishable key (sb_publishable_…) or the anon key. Verso never needs a secret one.",
        )
    response = await examined.ask("POST", "/rest/v1/rpc/schema_version", json={})
    if response.status_code in {401, 403} and "42501" not in response.text:
        raise UnwellError(
            "The key is refused.",
            fix="Copy SUPABASE_PUBLISHABLE_KEY from the project's API settings again; "
            "`verso dev` prints its own, which is of no use elsewhere.",
        )
    if "json" not in response.headers.get("content-type", ""):
        raise UnwellError(
            f"{examined.pool.url} answers, but not as Supabase does (HTTP {response.status_code}, no JSON).",
            fix="Check SUPABASE_URL: it is the project's address without a path, e.g. https://<ref>.supabase.co.",
        )
    return "The publishable key is accepted."


async def schema(examined: Examined) -> str:
    """Verso's schema is there, in the version that this Verso ships."""
    shipped = shipped_schema_version()
    response = await examined.ask("POST", "/rest/v1/rpc/schema_version", json={})
    if response.status_code != httpx.codes.OK:
        code = response.json().get("code", response.status_code)
        raise UnwellError(f"The database doesn't have Verso's schema ({code}).", fix=APPLY)
    found = str(response.json())
    if found < shipped:
        raise UnwellError(f"The database has schema {found}; this Verso needs {shipped}.", fix=APPLY)
    if found > shipped:
        raise UnwellError(
            f"The database has schema {found}, which is newer than this Verso ({shipped}).",
            fix="Upgrade Verso to the version that made it.",
        )
    return f"The schema is there, version {found}."


async def signing_keys(examined: Examined) -> str:
    """Access tokens can be verified here."""
    response = await examined.ask("GET", "/auth/v1/.well-known/jwks.json")
    published = response.json().get("keys", []) if response.status_code == httpx.codes.OK else []
    usable = sorted({each.get("alg", "") for each in published} & set(ALGORITHMS))
    if usable:
        return f"Auth publishes signing keys ({', '.join(usable)})."
    if examined.settings.jwt_secret:
        return "Auth publishes no signing keys; VERSO_JWT_SECRET is set, so HS256 tokens can be verified."
    raise UnwellError(
        "Auth publishes no signing keys, so nobody's token can be verified.",
        fix="Migrate the project to asymmetric JWT signing keys (Settings → JWT keys), "
        "or set VERSO_JWT_SECRET to its legacy secret.",
    )


async def addresses(examined: Examined) -> str:
    """Auth believes an address only once it is proven: invitations by e-mail go by that."""
    settings = await examined.ask("GET", "/auth/v1/settings")
    if settings.status_code != httpx.codes.OK:
        raise SkippedError("Auth doesn't tell its settings.")
    if not settings.json().get("mailer_autoconfirm"):
        return "Auth confirms an address by mail before it counts."
    health = await examined.ask("GET", "/auth/v1/health")
    if health.status_code == httpx.codes.OK and health.json().get("version") == "embedded":
        return (
            "The embedded Auth sends no mail and confirms every address: for laptops, tests and demos only."
        )
    raise WarnedError(
        "Auth confirms every address unseen: whoever signs up with somebody else's gets their invitations.",
        fix="Switch on “Confirm email” (Authentication → Sign In / Providers → Email).",
    )


async def sessions(examined: Examined) -> str:
    """Agents can work: their rights end with their session, so the functions must see it."""
    response = await examined.ask("POST", "/rest/v1/rpc/may_read_sessions", as_user=True, json={})
    if response.status_code == httpx.codes.OK and response.json() is True:
        return "Verso's functions may look up Auth's sessions, as agents need."
    raise UnwellError(
        "Verso's functions may not look up Auth's sessions: every call of an agent fails.",
        fix="As supabase_auth_admin, or by Supabase's support: grant select on auth.sessions to postgres.",
    )


async def sign_in(examined: Examined) -> str:
    """Signing in works."""
    given = examined.credentials
    if given.token:
        examined.token = given.token
        return "An access token was given."
    if not given.email or not given.password:
        raise SkippedError(
            "Give --email and --password (or --token) to check what a signed-in person can do."
        )
    response = await examined.ask(
        "POST",
        "/auth/v1/token?grant_type=password",
        json={"email": given.email, "password": given.password},
    )
    answer = response.json()
    if response.status_code != httpx.codes.OK:
        reason = answer.get("msg") or answer.get("message") or answer.get("error_description") or ""
        raise UnwellError(
            f"Auth doesn't let {given.email} in: {reason or response.status_code}.",
            fix="Check the address and the password; sign-in by password must be switched on, and the "
            "address confirmed (Authentication → Users). With GitHub sign-in only, give --token.",
        )
    examined.token = answer["access_token"]
    return f"{given.email} can sign in."


async def token(examined: Examined) -> str:
    """The service accepts the token."""
    response = await examined.ask("GET", "/auth/v1/health")
    skew = _skew(response)
    if skew > TOLERATED_SKEW_SECONDS:
        raise UnwellError(
            f"This machine's clock is {skew:.0f} s off Supabase's: good tokens look expired or too new.",
            fix="Let the clock be set by the network (timedatectl set-ntp true).",
        )
    try:
        examined.actor = await Identity(examined.pool, examined.settings).verify(examined.token)
    except VersoError as error:
        claims = _unverified(examined.token)
        raise UnwellError(
            error.sentence,
            fix=f"The token says iss={claims.get('iss')!r} and aud={claims.get('aud')!r}; the service wants "
            f"{examined.settings.issuer!r} (VERSO_JWT_ISSUER) and {examined.settings.jwt_audience!r} "
            "(VERSO_JWT_AUDIENCE).",
        ) from None
    return "The service accepts the access token: signature, issuer, audience and expiry are right."


async def profile(examined: Examined) -> str:
    """The account has a profile, which a trigger on auth.users makes."""
    try:
        me = await Ledger(examined.pool).me(examined.token)
    except VersoError as error:
        if error.code != "no_profile":
            raise
        raise UnwellError(
            "This account has no profile, so it can't write.",
            fix="The trigger verso_follow_account on auth.users is missing, or came after this account. "
            "As postgres: select private.add_profile(id, email, raw_app_meta_data, raw_user_meta_data) "
            "from auth.users;",
        ) from None
    return f"The account has a profile: {me.handle}."


def _unverified(text: str) -> dict[str, Any]:
    """The claims of a token, believed by nobody; empty for what is no token."""
    try:
        claims: dict[str, Any] = jwt.decode(text, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return {}
    return claims


def _skew(response: httpx.Response) -> float:
    """How many seconds our clock differs from the server's Date."""
    try:
        return abs(parsedate_to_datetime(response.headers["date"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return 0.0


CHECKS = (
    Check("address", (), address),
    Check("key", ("address",), key),
    Check("schema", ("key",), schema),
    Check("signing keys", ("address",), signing_keys),
    Check("addresses", ("key",), addresses),
    Check("sign-in", ("key",), sign_in),
    Check("token", ("sign-in", "signing keys"), token),
    Check("profile", ("schema", "token"), profile),
    Check("agents' sessions", ("schema", "token"), sessions),
)
