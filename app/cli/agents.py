"""`verso agents`: accounts of their own for a project's programs, kept by its owners.

With the secret key (an operator's) the account is made from here; without it the server is asked, which may
have one. Either way the database asks for an owner's login.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec
import rich_click as click

from app.cli.completing import ProjectName
from app.cli.exits import api_option, json_option, telling
from app.cli.secret_key import (
    checked_address,
    quiet_logs,
    secret_key,
    secret_key_option,
    supabase_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from app.cli.exits import Teller
    from app.client.api import Api
    from app.flows.keep_agents import KeptAgent

T = TypeVar("T")


@click.group(name="agents")
def agents() -> None:
    """Keep a project's agents: programs with accounts of their own, that act for an owner.

    You need an owner's login. Where the server has no secret key of its Supabase, these commands take it for
    their one run (SUPABASE_SECRET_KEY, or --secret-key-stdin), and the address that it is of (SUPABASE_URL,
    or --supabase).
    """


@agents.command(name="list")
@click.argument("project", type=ProjectName())
@api_option
@json_option
def list_agents(project: str, *, api: str | None, as_json: bool) -> None:
    """List a project's agents."""
    with telling(as_json) as out:
        with _open(api) as (client, _):
            found = list(client.pages(_url(project), kind=dict[str, Any]))
        out.tell(found, "\n".join(_told(each) for each in found) or f"{project} has no agents.")


@agents.command(name="add")
@click.argument("project", type=ProjectName())
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["reader", "reviewer", "editor"]), default="editor", show_default=True
)
@supabase_option
@secret_key_option
@api_option
@json_option
def add_agent(
    project: str,
    name: str,
    *,
    role: str,
    supabase: str | None,
    secret_key_stdin: bool,
    api: str | None,
    as_json: bool,
) -> None:
    """Make an agent of PROJECT, called NAME (like planner-2), and print its credential, this once.

    `verso agents add handbook planner > planner.json` keeps it in a file that
    `verso login https://… --with-token < planner.json` takes.
    """
    with telling(as_json) as out:
        from app.flows.keep_agents import KeptAgent, make_agent
        from app.model import Role

        key = secret_key(from_stdin=secret_key_stdin)
        with _open(api) as (client, token):
            if key is None:
                kept = client.post(_url(project), {"name": name, "role": role}, kind=KeptAgent)
            else:
                kept = _by_key(
                    make_agent,
                    client,
                    token,
                    supabase=supabase,
                    key=key,
                    project=project,
                    name=name,
                    role=Role(role),
                )
        _tell(out, kept, f"{kept.agent.name} is {kept.agent.role} of {project}")


@agents.command(name="rotate")
@click.argument("project", type=ProjectName())
@click.argument("agent")
@supabase_option
@secret_key_option
@api_option
@json_option
def rotate_agent(
    project: str, agent: str, *, supabase: str | None, secret_key_stdin: bool, api: str | None, as_json: bool
) -> None:
    """Give AGENT (a name or id) another credential; the old one and its sessions end at once.

    It acts for you from then on.
    """
    with telling(as_json) as out:
        from app.flows.keep_agents import KeptAgent, rotate_agent

        key = secret_key(from_stdin=secret_key_stdin)
        with _open(api) as (client, token):
            if key is None:
                kept = client.post(f"{_url(project, agent)}/rotate", kind=KeptAgent)
            else:
                kept = _by_key(
                    rotate_agent, client, token, supabase=supabase, key=key, project=project, agent=agent
                )
        _tell(out, kept, f"{kept.agent.name} has another credential")


@agents.command(name="revoke")
@click.argument("project", type=ProjectName())
@click.argument("agent")
@supabase_option
@secret_key_option
@api_option
@json_option
def revoke_agent(
    project: str, agent: str, *, supabase: str | None, secret_key_stdin: bool, api: str | None, as_json: bool
) -> None:
    """End AGENT (a name or id) for ever. What it wrote stays."""
    with telling(as_json) as out:
        from app.flows.keep_agents import RevokedAgent, revoke_agent

        key = secret_key(from_stdin=secret_key_stdin)
        with _open(api) as (client, token):
            if key is None:
                gone = client.send("DELETE", _url(project, agent), kind=RevokedAgent, again=True)
            else:
                gone = _by_key(
                    revoke_agent, client, token, supabase=supabase, key=key, project=project, agent=agent
                )
        told = f"{gone.agent.name} is revoked: it has no rights any more."
        if not gone.account_closed:
            told += (
                " Its account can still sign in, to nothing. Who has the secret key closes it by running "
                "this again with it."
            )
        out.tell(gone, told)


def _by_key(
    step: Callable[..., Coroutine[Any, Any, T]],
    client: Api,
    token: str,
    *,
    supabase: str | None,
    key: str,
    **what: Any,
) -> T:
    """A step of `keep_agents` at Supabase itself: with the caller's token, and the secret key to Auth."""
    import asyncio

    from app.client.auth import where_to_sign_in
    from app.errors import VersoError
    from app.settings import Settings
    from app.supabase.accounts import Accounts
    from app.supabase.agents import Agents
    from app.supabase.pool import Pool

    if supabase is None:
        # Not what the server says: the key must go nowhere that its holder didn't name.
        raise VersoError("bad_usage", "Say which Supabase the secret key is of: SUPABASE_URL, or --supabase.")
    quiet_logs()
    settings = Settings(
        supabase_url=checked_address(supabase),
        supabase_publishable_key=where_to_sign_in(client).publishable_key,
    )

    async def run() -> T:
        pool = Pool(settings)
        try:
            return await step(Agents(pool), Accounts(pool.http, pool.url, key), token, **what)
        finally:
            await pool.close()

    return asyncio.run(run())


@contextmanager
def _open(api: str | None) -> Iterator[tuple[Api, str]]:
    """The server, and the login's token. Raises VersoError `no_server`, `not_signed_in`."""
    from app.client.api import Api
    from app.client.credentials import Logins
    from app.client.place import choose_server, find_place, token_source
    from app.errors import VersoError

    logins, environment = Logins.of_this_machine(), os.environ
    address = choose_server(api, place=find_place(Path.cwd()), environment=environment, logins=logins)
    source = token_source(address, environment=environment, logins=logins)
    token = source.token()
    if token is None:
        raise VersoError("not_signed_in", f"Nobody is signed in to {address}. Run `verso login {address}`.")
    with Api(address, source) as client:
        yield client, token


def _url(project: str, agent: str | None = None) -> str:
    at = "" if agent is None else f"/{quote(agent, safe='')}"
    return f"/v1/projects/{quote(project, safe='')}/agents{at}"


def _tell(out: Teller, kept: KeptAgent, what: str) -> None:
    # The credential alone goes to standard output: redirected into a file it is what `verso login` reads.
    whom = kept.agent.acts_for.handle or kept.agent.acts_for.id
    out.note(f"{what}, and acts for {whom}. Its credential is shown this once:")
    out.tell(kept, msgspec.json.encode(kept.credential).decode())


def _told(agent: dict[str, Any]) -> str:
    state = "revoked" if agent["revoked_at"] else agent["role"] if agent["active"] else "resting"
    whom = agent["acts_for"].get("handle") or agent["acts_for"]["id"]
    return f"{agent['name']}: {state}, for {whom} ({agent['id']})"
