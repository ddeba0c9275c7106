"""The working folder: where it is, which project and server it belongs to, and whose token goes there.

    <folder>/.verso-work/config.json   which server and project (this module)
    <folder>/.verso-work/…             the mirror, the stat cache, what was rescued (see docs/cli.md)

`.verso` would be shorter, but `verso dev` keeps its data there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import msgspec

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from app.client.api import Api, TokenSource

HIDDEN = ".verso-work"
_CONFIG = "config.json"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What a working folder belongs to."""

    api: str
    """The server's address, without a slash at its end."""
    project: str
    """The project's id: a slug may change."""
    slug: str
    """What the project was called when it was cloned, for people."""
    form: int = 1
    """Number of the hidden directory's form; a `verso` refuses those that it doesn't know."""


@dataclass(frozen=True)
class Place:
    """A working folder."""

    root: Path
    config: Config

    @property
    def hidden(self) -> Path:
        """Where everything is that isn't a document."""
        return self.root / HIDDEN


class Logins(Protocol):
    """The logins that are stored on this machine (`app.client.credentials`)."""

    def servers(self) -> Sequence[str]:
        """The addresses of the servers that somebody is signed in to."""

    def default(self) -> str | None:
        """The server of commands that name none: the only one, or the one that was chosen; else None."""

    def source(self, server: str) -> TokenSource:
        """The tokens of the login for a server; without a login a source that gives None."""


def find_place(start: Path) -> Place | None:
    """The working folder that a path is in, or None. Raises VersoError `bad_working_folder`."""
    start = start.resolve()
    for folder in (start, *start.parents):
        config = folder / HIDDEN / _CONFIG
        if config.is_file():
            return Place(folder, _read(config))
    return None


def need_place(start: Path) -> Place:
    """The working folder that a path is in. Raises VersoError `no_working_folder`, `bad_working_folder`."""
    place = find_place(start)
    if place is None:
        raise VersoError(
            "no_working_folder",
            f"{start} is in no working folder. Go into one, or make one with `verso clone PROJECT`.",
        )
    return place


def make_place(root: Path, config: Config) -> Place:
    """Write the hidden directory's config: from then on the folder is a working folder."""
    hidden = root / HIDDEN
    hidden.mkdir(parents=True, exist_ok=True)
    written = hidden / f"{_CONFIG}.new"
    written.write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n")
    written.replace(hidden / _CONFIG)
    # Whoever adopts a Git clone shall not commit this.
    (hidden / ".gitignore").write_text("*\n", encoding="utf-8")
    return Place(root, config)


def choose_server(
    asked: str | None, *, place: Place | None, environment: Mapping[str, str], logins: Logins
) -> str:
    """The server's address: what was asked for, VERSO_API, the working folder's, the default login's.

    Raises VersoError `no_server`.
    """
    named = asked or environment.get("VERSO_API") or (place.config.api if place else None)
    if named:
        if not named.startswith(("http://", "https://")):
            raise VersoError(
                "no_server", f"A server's address starts with https:// or http://; {named} doesn't."
            )
        if not is_address(named):
            raise VersoError(
                "no_server", f"{named!r} is no server's address. Write it like https://verso.example.com."
            )
        return named.rstrip("/")
    default = logins.default()
    if default is not None:
        return default
    known = logins.servers()
    which = "You are signed in to " + ", ".join(known) if known else "You are signed in nowhere"
    raise VersoError(
        "no_server", f"{which}: say which server with --api URL or VERSO_API, or `verso login URL`."
    )


def is_address(url: str) -> bool:
    """Whether a server may be asked at an address: of HTTP, and with nothing in it but where."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
        url.encode()
    except ValueError:  # half an IPv6 address, a port of letters, a name without end, bytes that are no text
        return False
    more = parts.username is not None or parts.query or parts.fragment
    known = parts.scheme in {"http", "https"} and parts.hostname and not more
    return bool(known) and url.isprintable() and " " not in url


def token_source(server: str, *, environment: Mapping[str, str], logins: Logins) -> TokenSource:
    """Whose token goes to a server: VERSO_TOKEN's, else the stored login's. Raises `not_signed_in`."""
    from app.client.api import FixedToken  # noqa: PLC0415 - `status` asks no server, and httpx takes 0.1 s

    given = environment.get("VERSO_TOKEN", "").strip()
    if given and not re.fullmatch("[!-~]+", given):
        raise VersoError(
            "not_signed_in",
            "VERSO_TOKEN holds characters that no token has. Give it a token alone, or unset it to go on as "
            "the stored login.",
        )
    return FixedToken(given) if given else logins.source(server)


def open_api(
    asked: str | None, *, place: Place | None, environment: Mapping[str, str], logins: Logins
) -> Api:
    """The server that a command talks to, as who is signed in there. Raises VersoError `no_server`."""
    from app.client.api import Api  # noqa: PLC0415

    server = choose_server(asked, place=place, environment=environment, logins=logins)
    return Api(server, token_source(server, environment=environment, logins=logins))


def _read(config: Path) -> Config:
    try:
        read = msgspec.json.decode(config.read_bytes(), type=Config)
    except (OSError, msgspec.DecodeError) as error:
        raise VersoError(
            "bad_working_folder", f"{config} can't be read ({error}). Clone into a new folder."
        ) from None
    if read.form != 1:
        raise VersoError("bad_working_folder", f"{config} was written by a newer `verso`. Update this one.")
    return read
