"""`verso login`, `logout`, `whoami`, `token`: who one is at a server, for people, agents and programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.exits import api_option, json_option, telling
from app.cli.reaching import connect

if TYPE_CHECKING:
    from app.cli.exits import Teller
    from app.client.auth import Session, Where
    from app.client.credentials import Logins


@click.command()
@click.argument("server", required=False)
@api_option
@click.option("--no-browser", is_flag=True, help="Print the address to open, and take back what it ends at.")
@click.option(
    "--with-token",
    is_flag=True,
    help="Read an access token, a refresh token, or JSON with email and password, from standard input.",
)
@click.option("--default", is_flag=True, help="Make this the server of commands that name none.")
@json_option
def login(
    server: str | None, *, api: str | None, no_browser: bool, with_token: bool, default: bool, as_json: bool
) -> None:
    """Sign in to a server, with GitHub in the browser.

    The address of the server is all that is needed. Agents bring their credential along instead:
    `verso login https://verso.example.com --with-token < credential`.
    """
    with telling(as_json) as out:
        from app.client.api import Api as Client
        from app.client.auth import is_loopback, where_to_sign_in
        from app.client.login import made_login

        logins, address = _choose(server or api)
        if address.startswith("http:") and not is_loopback(address):
            out.note(f"{address} is not encrypted: whoever is on the way can read along and take your login.")
        with Client(address) as client:
            where = where_to_sign_in(client)
        session = _brought(where) if with_token else _browsed(where, out, no_browser=no_browser)
        made = made_login(address, where, session)
        logins.store(made)
        if default or len(logins.servers()) == 1:
            logins.set_default(address)
        out.tell(
            {"server": address, "account": made.account, "handle": made.name, "encrypted": logins.is_sealed},
            f"Signed in to {address} as {made.name}.",
        )


@click.command()
@api_option
@click.option("--everywhere", is_flag=True, help="End all of the account's sessions, on other machines too.")
@json_option
def logout(*, api: str | None, everywhere: bool, as_json: bool) -> None:
    """Sign out: end the session at the server, and forget the login here."""
    with telling(as_json) as out:
        from app.client.auth import Auth
        from app.errors import VersoError

        logins, address = _choose(api)
        ended, known = False, False
        try:
            # Looked up apart from the token: a login that can't be read is forgotten all the same.
            token = logins.fresh(address)
            found = logins.find(address)
            if token is not None and found is not None:
                known = True
                with Auth(found.where) as auth:
                    auth.sign_out(token, everywhere=everywhere)
                ended = True
        except VersoError as error:
            if everywhere and error.code == "unreachable":
                raise  # without the login nobody could try again, and the other machines go on
            known = True
            # Over already is what was wanted; unreachable is told, because the session lives on there.
            ended = error.code == "not_signed_in" and not everywhere
            if not ended:
                out.note(f"The session could not be ended at the server: {error.sentence}")
        logins.forget(address)
        sentence = f"Signed out of {address}." if known else f"Nobody was signed in to {address}."
        out.tell({"server": address, "ended": ended}, sentence)


@click.command()
@api_option
@json_option
def whoami(*, api: str | None, as_json: bool) -> None:
    """Say who you are at the server, and in which projects."""
    with telling(as_json) as out, connect(api) as client:
        from app.client.login import Me

        answer = client.ask("GET", "/v1/me")
        me = answer.json(Me)
        lines = [f"{me.name or 'Somebody'} ({me.handle}) at {client.base_url}"]
        lines += [f"  {each.slug}: {each.role}" for each in me.projects]
        out.tell({"server": client.base_url, **answer.json()}, "\n".join(lines))


@click.command()
@api_option
@json_option
def token(*, api: str | None, as_json: bool) -> None:
    """Print a fresh access token, for curl and for Git.

    It opens everything that its account may do, for an hour at most: don't write it down.
    """
    with telling(as_json) as out:
        from app.client.place import token_source
        from app.errors import VersoError

        logins, address = _choose(api)
        fresh = token_source(address, environment=os.environ, logins=logins).token()
        if fresh is None:
            raise VersoError(
                "not_signed_in", f"Nobody is signed in to {address}. Run `verso login --api {address}`."
            )
        out.tell({"server": address, "access_token": fresh}, fresh)


def _choose(asked: str | None) -> tuple[Logins, str]:
    from app.client.credentials import Logins
    from app.client.place import choose_server, find_place

    logins = Logins.of_this_machine()
    place = find_place(Path.cwd())
    return logins, choose_server(asked, place=place, environment=os.environ, logins=logins)


def _brought(where: Where) -> Session:
    from app.client.login import with_token

    if sys.stdin.isatty():
        return with_token(where, click.prompt("Token or credential", hide_input=True, err=True))
    return with_token(where, sys.stdin.read())


def _browsed(where: Where, out: Teller, *, no_browser: bool) -> Session:
    from app.client.login import through_browser

    def show(address: str) -> None:
        if no_browser:
            click.echo(
                f"Open this address in a browser on any machine:\n\n  {address}\n\n"
                "Then paste here the address at which it ended (it may say that it can't be reached):",
                err=True,
            )
            return
        import webbrowser

        opened = webbrowser.open(address)
        out.note(f"{'Your browser is at' if opened else 'Open this address in a browser:'}\n\n  {address}\n")

    return through_browser(where, show=show, paste=sys.stdin.readline if no_browser else None)
