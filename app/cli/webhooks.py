"""`verso webhooks`: an owner's commands, by the server; and the operator's worker, with the secret key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import rich_click as click

from app.cli.completing import ProjectName
from app.cli.exits import api_option, json_option, telling
from app.cli.reaching import connect
from app.cli.secret_key import checked_address, needed_secret_key, secret_key_option

if TYPE_CHECKING:
    from app.cli.exits import Teller

DAY = 86_400


@click.group(name="webhooks")
def webhooks() -> None:
    """Keep a project's webhooks: its events, sent to addresses that its owners name.

    Owners add and keep them. Operators run `verso webhooks deliver`, which sends them.
    """


@webhooks.command(name="list")
@click.argument("project", type=ProjectName())
@api_option
@json_option
def list_webhooks(project: str, *, api: str | None, as_json: bool) -> None:
    """List a project's webhooks and how they are."""
    with telling(as_json) as out:
        with connect(api) as client:
            found = list(client.pages(_url(project), kind=dict[str, Any]))
        out.tell(found, "\n".join(map(_told, found)) or f"{project} has no webhooks.")


@webhooks.command(name="add")
@click.argument("project", type=ProjectName())
@click.argument("url")
@click.option("--kind", "kinds", multiple=True, help="Only this kind (change.added, change.*); repeatable.")
@click.option("--path", "prefix", help="Only events about paths that begin so.")
@click.option("--description", default="", help="What it is for.")
@api_option
@json_option
def add_webhook(
    project: str,
    url: str,
    *,
    kinds: tuple[str, ...],
    prefix: str | None,
    description: str,
    api: str | None,
    as_json: bool,
) -> None:
    """Send PROJECT's events to URL from now on, and print the key of its signatures, this once."""
    with telling(as_json) as out:
        body = {"url": url, "kinds": list(kinds) or None, "prefix": prefix, "description": description}
        with connect(api) as client:
            made = client.post(_url(project), body)
        _tell_key(out, made, f"{made['id']} sends to {made['url']}")


@webhooks.command(name="rotate")
@click.argument("project", type=ProjectName())
@click.argument("webhook")
@click.option(
    "--overlap",
    type=click.IntRange(0, 7 * DAY),
    default=DAY,
    show_default=True,
    help="Seconds for which both keys sign.",
)
@api_option
@json_option
def rotate_webhook(project: str, webhook: str, *, overlap: int, api: str | None, as_json: bool) -> None:
    """Give WEBHOOK another key, and print it, this once."""
    with telling(as_json) as out:
        with connect(api) as client:
            kept = client.post(_url(project, webhook, "rotate"), {"overlap_seconds": overlap})
        _tell_key(out, kept, f"{kept['id']} has another key")


@webhooks.command(name="pause")
@click.argument("project", type=ProjectName())
@click.argument("webhook")
@api_option
@json_option
def pause_webhook(project: str, webhook: str, *, api: str | None, as_json: bool) -> None:
    """Send nothing more until WEBHOOK is resumed."""
    _edit(project, webhook, {"state": "paused"}, api=api, as_json=as_json)


@webhooks.command(name="resume")
@click.argument("project", type=ProjectName())
@click.argument("webhook")
@click.option("--from-now", is_flag=True, help="Leave out what is waiting.")
@api_option
@json_option
def resume_webhook(project: str, webhook: str, *, from_now: bool, api: str | None, as_json: bool) -> None:
    """Go on sending where WEBHOOK was, at once; also after it was disabled."""
    edit = {"state": "active", **({"from": "now"} if from_now else {})}
    _edit(project, webhook, edit, api=api, as_json=as_json)


@webhooks.command(name="remove")
@click.argument("project", type=ProjectName())
@click.argument("webhook")
@api_option
@json_option
def remove_webhook(project: str, webhook: str, *, api: str | None, as_json: bool) -> None:
    """Remove WEBHOOK."""
    with telling(as_json) as out:
        with connect(api) as client:
            client.send("DELETE", _url(project, webhook), again=True)
        out.tell({"removed": webhook}, f"{webhook} is removed.")


@webhooks.command(name="deliveries")
@click.argument("project", type=ProjectName())
@click.argument("webhook")
@click.option("--failed", is_flag=True, help="Only those that failed.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@api_option
@json_option
def list_deliveries(
    project: str, webhook: str, *, failed: bool, limit: int, api: str | None, as_json: bool
) -> None:
    """List the last attempts of WEBHOOK, newest first."""
    with telling(as_json) as out:
        query = f"?limit={limit}" + ("&failed=true" if failed else "")
        with connect(api) as client:
            found = client.get(_url(project, webhook, "deliveries") + query)["items"]
        out.tell(found, "\n".join(map(_attempt, found)) or "There were none.")


@webhooks.command(name="replay")
@click.argument("project", type=ProjectName())
@click.argument("webhook")
@click.argument("first", type=click.IntRange(1))
@click.argument("last", type=click.IntRange(1), required=False)
@api_option
@json_option
def replay_webhook(
    project: str, webhook: str, first: int, last: int | None, *, api: str | None, as_json: bool
) -> None:
    """Send event FIRST once more, or FIRST to LAST, by their numbers."""
    with telling(as_json) as out:
        with connect(api) as client:
            found = client.post(_url(project, webhook, "replay"), {"first": first, "last": last})
        out.tell(found, f"Events {first} to {last or first} are sent once more, before anything new.")


@webhooks.command(name="deliver")
@click.option("--supabase", metavar="URL", envvar="SUPABASE_URL", required=True, help="Or SUPABASE_URL.")
@secret_key_option
@click.option(
    "--allow-private",
    is_flag=True,
    envvar="VERSO_WEBHOOKS_PRIVATE",
    help="Also to http:// and to private addresses: for a closed network.",
)
def deliver(*, supabase: str, secret_key_stdin: bool, allow_private: bool) -> None:
    """Send the webhooks of all projects, until told to stop. For operators: it takes the secret key.

    Any number of these may run, also on several machines; each event is sent by one of them. A key that
    Supabase refuses ends it, with exit code 1.
    """
    with telling(as_json=False) as out:
        from app.cli.webhooks_process import deliver_until_told

        key = needed_secret_key(from_stdin=secret_key_stdin)
        address = checked_address(supabase)
        out.note(f"Sending the webhooks of {address}. Stop it with Ctrl-C.")
        deliver_until_told(address, key, allow_private=allow_private)


def _edit(project: str, webhook: str, edit: dict[str, Any], *, api: str | None, as_json: bool) -> None:
    with telling(as_json) as out:
        with connect(api) as client:
            found = client.send("PATCH", _url(project, webhook), edit, again=True)
        out.tell(found, _told(found))


def _url(project: str, webhook: str | None = None, what: str | None = None) -> str:
    parts = [quote(part, safe="") for part in (webhook, what) if part is not None]
    return "/".join([f"/v1/projects/{quote(project, safe='')}/webhooks", *parts])


def _tell_key(out: Teller, webhook: dict[str, Any], what: str) -> None:
    # The key alone goes to standard output.
    out.note(f"{what}. The key of its signatures is shown this once:")
    out.tell(webhook, webhook["secret"])


def _told(webhook: dict[str, Any]) -> str:
    behind = webhook["newest"] - webhook["place"]
    said = [f"{webhook['id']} {webhook['state']} {webhook['url']}"]
    said.append("nothing is waiting" if behind == 0 else f"{behind} events to look at")
    if webhook["replay"]:
        said.append(f"sends {webhook['replay']['first']} to {webhook['replay']['last']} once more")
    if webhook["last_error"] and webhook["attempts"]:
        said.append(f"{webhook['last_error']}, {webhook['attempts']} times since {webhook['failing_since']}")
    if webhook["next_attempt_at"]:
        said.append(f"tries again at {webhook['next_attempt_at']}")
    return "; ".join(said)


def _attempt(delivery: dict[str, Any]) -> str:
    how = "taken" if delivery["delivered"] else f"failed: {delivery['error']}"
    again = ", once more" if delivery["replay"] else ""
    return (
        f"{delivery['at']} event {delivery['sequence']} {delivery['kind']}{again}, "
        f"attempt {delivery['attempt']}: {how} ({delivery['ms']} ms)"
    )
