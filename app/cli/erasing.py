"""`verso erase` and `verso erasures`: bytes that have to go for legal reasons, for owners."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import rich_click as click

from app.cli.completing import ProjectName
from app.cli.exits import api_option, json_option, telling
from app.cli.reaching import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.cli.exits import Teller
    from app.client.api import Api
    from app.supabase.erasures import Erasure, ErasurePreview

_HASH_DIGITS = 64
_SHOWN = 20


@click.command(name="erase")
@click.argument("project", type=ProjectName())
@click.argument("what")
@click.option("--at", metavar="POINT", help="For a path: which version; unless given, the newest.")
@click.option("--reason", help="Why. The project's members can read it; leave out what is erased.")
@click.option(
    "--confirm", metavar="SHA256", help="The content's SHA-256, repeated: without it you are asked."
)
@click.option("--dry-run", is_flag=True, help="Only tell what it would touch.")
@api_option
@json_option
def erase(
    project: str,
    what: str,
    *,
    at: str | None,
    reason: str | None,
    confirm: str | None,
    dry_run: bool,
    api: str | None,
    as_json: bool,
) -> None:
    """Erase a content's bytes from PROJECT for ever, where the law asks for it. For owners.

    WHAT is the content's SHA-256, the hash of a version that has it, or a path (with --at for an older
    version). Every version with the same content loses its bytes, wherever it is; versions, messages and
    hashes stay, and the history still verifies. Nobody can take it back or write the content again. What you
    run again goes on where it was. Copies that others hold (clones, bundles, backups) are out of reach.
    """
    with telling(as_json) as out, connect(api) as client:
        from app.supabase.erasures import Erasure

        wanted = _preview(client, project, what, at)
        if dry_run:
            out.tell(wanted, "\n".join(_told(wanted)))
            return
        body = {
            "sha256": wanted.sha256,
            "reason": reason or (wanted.erasure.reason if wanted.erasure else _ask_reason(out)),
            "confirm": confirm or (wanted.sha256 if wanted.erasure else _ask(out, wanted)),
        }
        made = client.post(_url(project), body, kind=Erasure)
        out.tell(made, _outcome(made))


@click.group(name="erasures")
def erasures() -> None:
    """See what was erased, and finish what broke off."""


@erasures.command(name="list")
@click.argument("project", type=ProjectName())
@click.option("--pending", is_flag=True, help="Those only whose bytes storage has not all deleted yet.")
@api_option
@json_option
def list_erasures(project: str, *, pending: bool, api: str | None, as_json: bool) -> None:
    """List what was erased from PROJECT: when, by whom, why."""
    with telling(as_json) as out, connect(api) as client:
        found = list(_all(client, project, pending=pending))
        out.tell(found, "\n".join(_line(each) for each in found) or "Nothing.")


@erasures.command(name="finish")
@click.argument("project", type=ProjectName())
@api_option
@json_option
def finish_erasures(project: str, *, api: str | None, as_json: bool) -> None:
    """Delete what storage still has of PROJECT's erased contents. For owners."""
    with telling(as_json) as out, connect(api) as client:
        from app.supabase.erasures import Erasure

        done = []
        for each in list(_all(client, project, pending=True)):
            body = {"sha256": each.sha256, "reason": each.reason, "confirm": each.sha256}
            done.append(client.post(_url(project), body, kind=Erasure))
        out.tell(done, "\n".join(_outcome(each) for each in done) or "There is nothing left to delete.")
        if any(each.finished_at is None for each in done):
            out.end("storage_unavailable")


def _url(project: str) -> str:
    return f"/v1/projects/{quote(project, safe='')}/erasures"


def _all(client: Api, project: str, *, pending: bool) -> Iterator[Erasure]:
    from app.supabase.erasures import Erasure

    yield from client.pages(_url(project), kind=Erasure, pending=pending or None)


def _preview(client: Api, project: str, what: str, at: str | None) -> ErasurePreview:
    from app.errors import VersoError
    from app.supabase.erasures import ErasurePreview

    def ask(**named: str) -> ErasurePreview:
        return client.get(f"{_url(project)}/preview", kind=ErasurePreview, **named)

    if len(what) != _HASH_DIGITS or set(what) - set("0123456789abcdef"):
        # The shortest path with a prefix comes first.
        tree = f"/v1/projects/{quote(project, safe='')}/tree"
        found = client.get(tree, prefix=what, limit=1, at=at)["items"]
        if not found or found[0]["path"] != what:
            raise VersoError("document_not_found", f"There is no document at {what} then.")
        return ask(sha256=found[0]["sha256"])
    try:
        return ask(sha256=what)
    except VersoError as error:
        if error.code != "content_not_found":
            raise
    return ask(version=what)


def _ask_reason(out: Teller) -> str:
    _needs_person(out, "Say why with --reason.")
    return str(click.prompt("Why (every member of the project can read it)", err=True))


def _ask(out: Teller, wanted: ErasurePreview) -> str:
    _needs_person(out, f"Look at `--dry-run`, then repeat the hash: --confirm {wanted.sha256}")
    click.echo("\n".join(_told(wanted)), err=True)
    return str(click.prompt("This is for ever. Repeat the SHA-256 to erase it", err=True)).strip()


def _needs_person(out: Teller, otherwise: str) -> None:
    from app.errors import VersoError

    if out.as_json or not sys.stdin.isatty():
        raise VersoError("bad_usage", otherwise)


def _told(wanted: ErasurePreview) -> Iterator[str]:
    yield f"{wanted.sha256}: {wanted.size:,} bytes"
    versions, documents = _counted(wanted.versions, "version"), _counted(wanted.documents, "document")
    yield f"{versions} of {documents} {'has' if wanted.versions == 1 else 'have'} it:"
    for each in wanted.items[:_SHOWN]:
        yield f"  {each.path}  v{each.number} of change #{each.change}{', as it is now' if each.head else ''}"
    if wanted.versions > _SHOWN:
        yield f"  … and {wanted.versions - _SHOWN} more"
    if wanted.heads:
        yield f"{_counted(wanted.heads, 'document')} can't be read until somebody writes the next version."
    if wanted.comments:
        yield f"Comments that stand there: {wanted.comments}. What they quote stays."
    if wanted.erasure is not None:
        yield f"It was erased already, {_line(wanted.erasure)}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _line(erasure: Erasure) -> str:
    state = "" if erasure.finished_at else "; storage still has objects of it"
    who = erasure.erased_by.handle or erasure.erased_by.id
    return f"{erasure.erased_at:%Y-%m-%d}  {erasure.sha256}  by {who}: {erasure.reason}{state}"


def _outcome(erasure: Erasure) -> str:
    if erasure.finished_at is not None:
        return f"{erasure.sha256} is erased: no bytes any more in {_counted(erasure.versions, 'version')}."
    return (
        f"{erasure.sha256} is given to nobody any more, but storage could not delete all of it now. Run this "
        "again, or `verso erasures finish`."
    )
