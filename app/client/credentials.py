"""The logins that are stored on this machine: one a server, kept fresh, safe against two processes at once.

A refresh token works once, and a second use of an old one ends the session for everybody who has it. So
whoever refreshes holds the login's lock, looks again whether another process was faster, and has stored the
next token before anybody else may look.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import msgspec
from platformdirs import user_config_path

from app.client.auth import Auth, Session, Where
from app.client.vault import Vault, system_ring
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.client.api import TokenSource

FRESH_SECONDS = 60.0
"""A token with less life than this is not begun with: a request may take that long to be looked at."""
LONGEST_NAME = 240
_SUFFIX = ".login"
_DEFAULT = "default"


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody signed in at a server."""

    server: str
    where: Where
    session: Session
    account: str
    """The account's id."""
    name: str
    """What people call it: its handle."""
    form: int = 1


class Logins:
    """The stored logins. Methods raise VersoError `not_signed_in` when a stored one is of no use any more."""

    def __init__(
        self,
        vault: Vault,
        *,
        clock: Callable[[], float] = time.time,
        auth: Callable[[Where], Auth] = Auth,
    ) -> None:
        self._vault = vault
        self._clock = clock
        self._auth = auth

    @classmethod
    def of_this_machine(cls, environment: Mapping[str, str] | None = None) -> Logins:
        """Those in VERSO_CONFIG_DIR, or where this system keeps its users' settings."""
        given = (os.environ if environment is None else environment).get("VERSO_CONFIG_DIR")
        home = Path(given) if given else user_config_path("verso", appauthor=False, roaming=False)
        return cls(Vault(home / "logins", find_ring=system_ring))

    @property
    def is_sealed(self) -> bool:
        """Whether logins are stored encrypted, with a key in the system's keyring."""
        return self._vault.is_sealed

    def servers(self) -> list[str]:
        """The addresses of the servers that somebody is signed in to."""
        found = self._vault.directory.glob(f"*{_SUFFIX}")
        return sorted(unquote(each.name.removesuffix(_SUFFIX)) for each in found)

    def default(self) -> str | None:
        """The server of commands that name none: the only one, or the one that was chosen."""
        servers = self.servers()
        if len(servers) == 1:
            return servers[0]
        chosen = (self._vault.read(_DEFAULT) or b"").decode("utf-8", "replace")
        return chosen if chosen in servers else None

    def set_default(self, server: str) -> None:
        """Make a server that of commands that name none."""
        self._vault.write(_DEFAULT, server.encode())

    def find(self, server: str) -> Login | None:
        """The login for a server. Raises VersoError `not_signed_in` when it can't be read."""
        data = self._vault.read(_name(server))
        if data is None:
            return None
        try:
            login = msgspec.json.decode(data, type=Login)
        except msgspec.DecodeError:
            raise VersoError(
                "not_signed_in", f"The stored login for {server} is damaged. Run `verso login` again."
            ) from None
        if login.form != 1:
            raise VersoError(
                "not_signed_in", f"The login for {server} was stored by a newer `verso`. Update this one."
            )
        return login

    def store(self, login: Login) -> None:
        """Keep a login in place of the server's older one."""
        name = _name(login.server)
        with self._vault.locked(name):
            self._vault.write(name, msgspec.json.encode(login))

    def forget(self, server: str) -> None:
        """Remove a login from this machine."""
        name = _name(server)
        with self._vault.locked(name):
            self._vault.remove(name)

    def source(self, server: str) -> TokenSource:
        """The tokens of the login for a server; without a login a source that gives None."""
        return StoredTokens(self, server)

    def fresh(self, server: str, *, instead_of: str | None = None) -> str | None:
        """An access token with at least FRESH_SECONDS of life; None without a login.

        `instead_of` is one that the server refused, whatever life it has. Raises VersoError `not_signed_in`
        when the session is over, `unreachable` when there is no life left and Auth can't be asked.
        """
        login = self.find(server)
        if login is None or self._holds(login.session, instead_of):
            return None if login is None else login.session.access_token
        name = _name(server)
        with self._vault.locked(name):
            login = self.find(server)
            if login is None or self._holds(login.session, instead_of):
                return None if login is None else login.session.access_token
            session = self._refreshed(login, refused=instead_of is not None)
            self._vault.write(name, msgspec.json.encode(msgspec.structs.replace(login, session=session)))
            return session.access_token

    def _holds(self, session: Session, instead_of: str | None) -> bool:
        fresh = session.expires_at - self._clock() >= FRESH_SECONDS
        return fresh and session.access_token != instead_of

    def _refreshed(self, login: Login, *, refused: bool) -> Session:
        session = login.session
        alive = not refused and session.expires_at > self._clock()
        if session.refresh_token is None:
            if alive:
                return session
            raise _over(login, "its access token has ended, and nothing can make it fresh")
        try:
            with self._auth(login.where) as auth:
                return auth.by_refresh(session.refresh_token)
        except VersoError as error:
            if error.code in {"session_ended", "sign_in_refused"}:
                raise _over(login, str(error.detail.get("reason") or "refused")) from None
            if alive:
                return session
            raise


class StoredTokens:
    """The tokens of one stored login, for `Api`."""

    def __init__(self, logins: Logins, server: str) -> None:
        self._logins = logins
        self._server = server
        self._replacement: str | None = None

    def token(self) -> str | None:
        """A token with some life left."""
        return self._logins.fresh(self._server)

    def refused(self, token: str) -> str | None:
        """Another token, once: a server that refuses that, too, has other reasons than the token's age."""
        if token == self._replacement:
            return None
        try:
            self._replacement = self._logins.fresh(self._server, instead_of=token)
        except VersoError:
            return None
        return self._replacement


def _name(server: str) -> str:
    name = quote(server, safe="") + _SUFFIX
    if len(name) > LONGEST_NAME:
        raise VersoError("bad_usage", "That server's address is too long to be remembered by.")
    return name


def _over(login: Login, why: str) -> VersoError:
    return VersoError(
        "not_signed_in",
        f"Your sign-in to {login.server} has ended ({why}). Run `verso login --api {login.server}`.",
        server=login.server,
    )
