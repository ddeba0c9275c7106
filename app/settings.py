"""Settings: frozen, checked, and read from the environment here and nowhere else.

`SUPABASE_URL` and `SUPABASE_PUBLISHABLE_KEY` say which Supabase; everything else has a default and the
prefix `VERSO_`. `docs/settings.md` lists them; a test holds that list and this file together.
"""

from __future__ import annotations

import math
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1024 * 1024
_BRIDGE_SECRET_BYTES = 32
_BRIDGE_LONGEST = timedelta(days=180)


class SettingsError(ValueError):
    """A setting is missing or not what it must be; the message names it and says what it takes."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the service can be told. Sizes are bytes, times seconds."""

    supabase_url: str
    """Where Supabase answers, e.g. http://127.0.0.1:54321 or https://<ref>.supabase.co."""
    supabase_publishable_key: str
    """The publishable (or legacy anon) key. The service never needs a secret key."""
    supabase_public_url: str | None = None
    """What people's clients call Supabase, where that differs; unless set, `supabase_url`."""
    supabase_secret_key: str | None = None
    """The secret key: used to make, rotate and close agents' accounts, for the bridge, and not needed."""
    jwt_secret: str | None = None
    """The legacy HS256 secret of projects that still sign with it; null accepts asymmetric tokens only."""
    jwt_issuer: str | None = None
    """What `iss` must be; unless set, <supabase_url>/auth/v1."""
    jwt_audience: str = "authenticated"
    """What `aud` must hold."""

    bridge_secret: str | None = None
    """The secret of an older system's HS256 tokens, to take them for a while; null takes none."""
    bridge_from: datetime | None = None
    """From when on they are taken."""
    bridge_until: datetime | None = None
    """Until when they are taken."""
    bridge_mode: str = "read-only"
    """`read-only`, or `full`: with all rights of the account that the user was imported as."""
    bridge_issuer: str | None = None
    """What `iss` of such a token must be; null doesn't look."""
    bridge_audience: str | None = None
    """What `aud` of such a token must hold; null doesn't look."""

    max_upload_size: int = 2048 * MIB
    """The most bytes of one document version."""
    max_files_per_change: int = 10_000
    """The most files of one change; also the database's own ceiling."""
    max_change_size: int = 4096 * MIB
    """The most bytes of one request with a change."""
    max_json_size: int = 8 * MIB
    """The most bytes of a JSON body with documents; larger content comes as a raw body or multipart."""
    max_message_length: int = 16_384
    """The most bytes of a change's message; the database's own ceiling is 65,536."""
    max_page_size: int = 200
    """The most entries of a page."""
    default_page_size: int = 50
    """Entries of a page when a request doesn't say."""
    max_diff_size: int = 16 * MIB
    """The most bytes of one side of a diff; larger sides get sizes and hashes instead."""
    diff_seconds: float = 10.0
    """How long one diff may compute before it answers with a summary."""
    diff_wait_seconds: float = 10.0
    """How long a diff or merge waits for a free worker before it answers 503."""
    diff_cache_size: int = 64 * MIB
    """The most bytes of finished diffs that are kept in memory."""

    event_heartbeat: float = 15.0
    """Seconds of silence after which a stream of events says that it is there."""
    event_recheck: float = 45.0
    """Seconds after which it is asked again, at the latest, whether a stream's token may still read."""
    event_streams: int = 5_000
    """The most streams of events that one process has open."""
    event_streams_per_account: int = 50
    """The most of these for one account."""

    import_seconds: float = 1800.0
    """How long one look at a bundle of Git, or one import of it, may take in the browser."""

    upload_concurrency: int = 16
    """How many blobs of one change travel to storage at the same time."""
    request_timeout: float = 30.0
    """How long one call to Supabase may take without an answer."""
    transfer_timeout: float = 60.0
    """How long a transfer to or from storage may stand still."""
    body_timeout: float = 60.0
    """How long a client's upload, or its taking of a Git fetch, may stand still."""
    supabase_connections: int = 64
    """The most connections to Supabase."""

    account_rate: float = 500.0
    """Requests a second that one account may make of one process, on and on; 0 doesn't limit."""
    account_burst: int = 30_000
    """How many requests an account may make at once after a rest."""
    address_rate: float = 50.0
    """Requests a second from one address without a token that was verified before; 0 doesn't limit."""
    address_burst: int = 3_000
    """How many of these at once after a rest."""
    failure_rate: float = 1.0
    """Refused tokens and sign-ins a second from one address; 0 doesn't limit."""
    failure_burst: int = 600
    """How many of these at once after a rest."""
    trusted_hops: int = 0
    """How many proxies in front of this service add to X-Forwarded-For; 0 never looks at that field."""

    webhooks_private: bool = False
    """Whether webhooks may go to http:// and to private addresses: for a closed network."""

    cache_dir: Path | None = None
    """Where read blobs are kept; unless set, a temporary directory of this process's own."""
    cache_size: int = 1024 * MIB
    """The most bytes of the blob cache on disk."""
    git_dir: Path | None = None
    """Where repositories for Git over HTTP are kept; unless set, a temporary directory of this process's."""
    git_size: int = 2048 * MIB
    """The most bytes of these repositories, about; the least recently used ones go."""
    git_processes: int = 16
    """How many requests of `git fetch` are answered at the same time, each by a process."""
    spool_dir: Path | None = None
    """Where uploads wait while they are hashed; unless set, the system's temporary directory."""

    host: str = "127.0.0.1"
    """The address that `verso serve` binds."""
    port: int = 8000
    """The port that `verso serve` binds."""
    public_url: str | None = None
    """What this service is called from outside: for absolute links, and for pages that sign in."""
    log_level: str = "info"
    """debug, info, warning or error."""
    log_format: str = "json"
    """json, or console for people."""

    @property
    def max_plain_json_size(self) -> int:
        """The most bytes of any other JSON body; the largest is that of a tag with its origin.

        The framework parses these before it looks what they are: 8 MiB of brackets take 220 MB.
        """
        return min(self.max_json_size, 2 * MIB)

    @property
    def issuer(self) -> str:
        """What `iss` of an access token must be."""
        return self.jwt_issuer or f"{self.supabase_url.rstrip('/')}/auth/v1"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from the environment (os.environ unless given).

        Raises SettingsError naming the first variable that is missing or malformed.
        """
        source = os.environ if environment is None else environment
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(cls):
            variable = variable_name(field.name)
            text = source.get(variable)
            if text is None or text == "":
                if field.required:
                    raise SettingsError(f"Set {variable}. `verso dev` prints one that works on this machine.")
                continue
            try:
                values[field.name] = msgspec.convert(text, hints[field.name], strict=False, dec_hook=_path)
            except msgspec.ValidationError as error:
                raise SettingsError(f"{variable} is {text!r}, which is not allowed: {error}") from None
        return cls(**values).checked()

    def checked(self) -> Settings:
        """These settings, or SettingsError when one is out of its range."""
        if not self.supabase_url.startswith(("http://", "https://")):
            raise SettingsError("SUPABASE_URL must start with http:// or https://.")
        if not (self.supabase_public_url or "https://").startswith(("http://", "https://")):
            raise SettingsError("SUPABASE_PUBLIC_URL must start with http:// or https://.")
        public = urlsplit(self.public_url or "https://unset")
        if public.scheme not in {"http", "https"} or not public.netloc or public.path.strip("/"):
            raise SettingsError("VERSO_PUBLIC_URL must be https://<host>, or http://<host>, without a path.")
        for name, ceiling in (("max_files_per_change", 10_000), ("max_message_length", 65_536)):
            if not 1 <= getattr(self, name) <= ceiling:
                raise SettingsError(
                    f"{variable_name(name)} must be 1 to {ceiling:,}: the database refuses more."
                )
        # The database gives 1000 at once, and one more than a page says whether another follows.
        if not 1 <= self.default_page_size <= self.max_page_size <= 999:  # noqa: PLR2004
            raise SettingsError(
                "VERSO_DEFAULT_PAGE_SIZE and VERSO_MAX_PAGE_SIZE must be 1 to 999, in that order."
            )
        if self.event_heartbeat <= 0 or not 0 < self.event_recheck <= 60:  # noqa: PLR2004
            raise SettingsError(
                "VERSO_EVENT_HEARTBEAT must be more than 0, and VERSO_EVENT_RECHECK more than 0, at most 60."
            )
        self._check_positive()
        self._check_rates()
        self._check_bridge()
        if self.log_level not in {"debug", "info", "warning", "error"}:
            raise SettingsError("VERSO_LOG_LEVEL must be debug, info, warning or error.")
        if self.log_format not in {"json", "console"}:
            raise SettingsError("VERSO_LOG_FORMAT must be json or console.")
        return self

    def _check_positive(self) -> None:
        for name in ("upload_concurrency", "git_processes", "supabase_connections"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{variable_name(name)} must be 1 or more: with none, all would wait.")
        for name in ("request_timeout", "transfer_timeout", "body_timeout", "diff_seconds", "import_seconds"):
            if not 0 < getattr(self, name) < math.inf:  # nor NaN
                raise SettingsError(f"{variable_name(name)} must be a number of seconds, more than 0.")

    def _check_bridge(self) -> None:
        if self.bridge_mode not in {"read-only", "full"}:
            raise SettingsError("VERSO_BRIDGE_MODE must be read-only or full.")
        if self.bridge_secret is None:
            return
        if len(self.bridge_secret.encode()) < _BRIDGE_SECRET_BYTES:
            raise SettingsError(
                "VERSO_BRIDGE_SECRET must have 32 bytes or more: a shorter one can be guessed."
            )
        if self.bridge_secret == self.jwt_secret:
            raise SettingsError("VERSO_BRIDGE_SECRET must be another one than VERSO_JWT_SECRET.")
        if self.supabase_secret_key is None:
            raise SettingsError("VERSO_BRIDGE_SECRET needs SUPABASE_SECRET_KEY: Auth makes the sessions.")
        since, until = self.bridge_from, self.bridge_until
        if since is None or until is None or since.tzinfo is None or until.tzinfo is None:
            raise SettingsError(
                "VERSO_BRIDGE_SECRET needs VERSO_BRIDGE_FROM and VERSO_BRIDGE_UNTIL, with a zone."
            )
        if not timedelta() < until - since <= _BRIDGE_LONGEST:
            raise SettingsError("VERSO_BRIDGE_UNTIL must be after VERSO_BRIDGE_FROM, by at most 180 days.")

    def _check_rates(self) -> None:
        for name in ("account", "address", "failure"):
            if getattr(self, f"{name}_rate") < 0 or getattr(self, f"{name}_burst") < 1:
                raise SettingsError(
                    f"{variable_name(f'{name}_rate')} must be 0 or more and its burst 1 or more; "
                    "a rate of 0 doesn't limit."
                )
        if self.trusted_hops < 0:
            raise SettingsError(
                "VERSO_TRUSTED_HOPS must be 0 or more: how many proxies of yours are in front."
            )


def variable_name(field: str) -> str:
    """The environment variable of a setting."""
    return (
        field.upper()
        if field.startswith("supabase_") and field != "supabase_connections"
        else f"VERSO_{field.upper()}"
    )


def data_directory(name: str) -> Path:
    """A directory that ships with Verso (`storage_schema`, `fixtures`): a checkout's, or a wheel's."""
    package = Path(__file__).parent
    checkout = package.parent / name
    return checkout if checkout.is_dir() else package / "_data" / name


def _path(kind: type, value: object) -> object:
    return Path(str(value)) if kind is Path else value
