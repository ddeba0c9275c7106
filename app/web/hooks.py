"""Webhooks of a project, for its owners: where events are sent, how that goes, and sending them once more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.api.links import cut, position_of
from app.api.paging import Cursor
from app.api.webhooks import check_webhook_url
from app.errors import VersoError
from app.web.in_place import REFUSED, Refused, attempt, back_to
from app.web.rendering import Crumb, render
from app.web.visiting import Visitor, together

if TYPE_CHECKING:
    from app.settings import Settings
    from app.supabase.webhooks import KeyedWebhook

PAGE = 50
"""Attempts on a page. A project has at most 20 webhooks: they are on one."""
OVERLAP = 86_400
_SETTINGS, _WEBHOOKS = Crumb("Settings", "/settings"), Crumb("Webhooks", "/webhooks")
_NO_STORE = {"Cache-Control": "private, no-store"}
_EDITS: dict[str, tuple[dict[str, Any], str]] = {
    "edit": ({}, "webhook_saved"),
    "pause": ({"state": "paused"}, "webhook_paused"),
    "resume": ({"state": "active"}, "webhook_resumed"),
    "skip": ({"state": "active", "from": "now"}, "webhook_resumed"),
}
"""What each of the forms changes (`edit` what is typed), and the notice of it."""
_KIND = re.compile(r"[a-z]+\.([a-z_]+|\*)\Z")
_MOST_DIGITS = 15


@get("/p/{project:str}/webhooks")
async def list_webhooks(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """A project's webhooks and their health."""
    return await _hooks(visitor, project)


@post("/p/{project:str}/webhooks", status_code=200)
async def create_webhook(visitor: NamedDependency[Visitor], project: FromPath[str]) -> Response[Any]:
    """Register an address. The answer is the one page that ever shows its key."""
    asked = _asked(visitor.form)
    misfit = _misfit("add", asked, visitor.services.settings)
    if misfit is not None:
        return await _hooks(visitor, project, refused=misfit)
    writing = visitor.services.webhooks.create_webhook(visitor.token, project=project, **asked)
    made = await attempt("add", writing)
    if isinstance(made, Refused):
        return await _hooks(visitor, project, refused=made)
    return await _key(visitor, project, made)


@post("/p/{project:str}/webhooks/{webhook:str}/rotate", status_code=200)
async def rotate_webhook(
    visitor: NamedDependency[Visitor], project: FromPath[str], webhook: FromPath[str]
) -> Response[Any]:
    """Give a webhook another key; for a day both sign."""
    kept = await visitor.services.webhooks.rotate_webhook(
        visitor.token, project=project, webhook=webhook, overlap=OVERLAP
    )
    return await _key(visitor, project, kept)


@post("/p/{project:str}/webhooks/{webhook:str}/{act:str}", status_code=303)
async def act_on_webhook(
    visitor: NamedDependency[Visitor], project: FromPath[str], webhook: FromPath[str], act: FromPath[str]
) -> Response[Any]:
    """Change, pause, resume, resume and leave out what waits, remove, or replay events."""
    webhooks, token = visitor.services.webhooks, visitor.token
    if act == "remove":
        await webhooks.remove_webhook(token, project=project, webhook=webhook)
        return back_to(project, "/webhooks", "webhook_removed")
    if act == "replay":

        async def replay() -> None:
            first = _event(visitor.form.get("first", ""))
            last = _event(visitor.form.get("last", "").strip() or str(first))
            await webhooks.replay_webhook(token, project=project, webhook=webhook, first=first, last=last)

        replayed = await attempt("replay", replay())
        if isinstance(replayed, Refused):
            return await _deliveries(visitor, project, webhook, refused=replayed)
        return back_to(project, f"/webhooks/{webhook}", "webhook_replayed")
    if act not in _EDITS:
        raise VersoError("not_found", "There is nothing at this address.")
    edit, notice = _EDITS[act]
    if act == "edit":
        edit = _asked(visitor.form)
        misfit = _misfit(webhook, edit, visitor.services.settings)
        if misfit is not None:
            return await _hooks(visitor, project, refused=misfit)
    writing = webhooks.update_webhook(token, project=project, webhook=webhook, edit=edit)
    edited = await attempt(webhook, writing)
    if isinstance(edited, Refused):
        return await _hooks(visitor, project, refused=edited)
    return back_to(project, "/webhooks", notice)


@get("/p/{project:str}/webhooks/{webhook:str}")
async def list_deliveries(
    visitor: NamedDependency[Visitor], project: FromPath[str], webhook: FromPath[str], cursor: Cursor = None
) -> Response[Any]:
    """A webhook's attempts, newest first."""
    return await _deliveries(visitor, project, webhook, cursor=cursor)


async def _hooks(visitor: Visitor, project: str, *, refused: Refused | None = None) -> Response[Any]:
    here, hooks = await together(
        visitor.services.ledger.read_project(visitor.token, project=project),
        visitor.services.webhooks.list_webhooks(visitor.token, project=project, after=None, page_size=PAGE),
    )
    return await render(
        visitor,
        "settings/webhooks.html",
        title=f"Webhooks of {here.name}",
        crumbs=[_SETTINGS, Crumb("Webhooks")],
        project=here,
        tab="settings",
        status=200 if refused is None else REFUSED,
        hooks=hooks,
        refused=refused,
        given=visitor.form if refused is not None else {},
    )


async def _deliveries(
    visitor: Visitor,
    project: str,
    webhook: str,
    *,
    cursor: str | None = None,
    refused: Refused | None = None,
) -> Response[Any]:
    services, token = visitor.services, visitor.token
    here, hooks, found = await together(
        services.ledger.read_project(token, project=project),
        services.webhooks.list_webhooks(token, project=project, after=None, page_size=PAGE),
        services.webhooks.list_deliveries(
            token,
            project=project,
            webhook=webhook,
            before=position_of(cursor, int),
            page_size=PAGE + 1,
            failed=False,
        ),
    )
    hook = next((each for each in hooks if each.id == webhook), None)
    if hook is None:
        raise VersoError("webhook_not_found", "The project has no such webhook.")
    deliveries, following = cut(found, PAGE, lambda each: each.number)
    return await render(
        visitor,
        "settings/deliveries.html",
        title="Deliveries",
        crumbs=[_SETTINGS, _WEBHOOKS, Crumb("Deliveries")],
        project=here,
        tab="settings",
        status=200 if refused is None else REFUSED,
        hook=hook,
        deliveries=deliveries,
        following=following,
        refused=refused,
        given=visitor.form if refused is not None else {},
    )


async def _key(visitor: Visitor, project: str, kept: KeyedWebhook) -> Response[Any]:
    here = await visitor.services.ledger.read_project(visitor.token, project=project)
    return await render(
        visitor,
        "settings/webhook_key.html",
        title="A webhook's key",
        crumbs=[_SETTINGS, _WEBHOOKS, Crumb("Its key")],
        project=here,
        tab="settings",
        headers=_NO_STORE,
        kept=kept,
    )


def _asked(form: dict[str, str]) -> dict[str, Any]:
    """What the form of a webhook says it is; None for a filter that is left empty."""
    return {
        "url": form.get("url", "").strip(),
        "kinds": form.get("kinds", "").replace(",", " ").split() or None,
        "prefix": form.get("prefix", "").strip() or None,
        "description": form.get("description", "").strip()[:500],
    }


def _misfit(form: str, asked: dict[str, Any], settings: Settings) -> Refused | None:
    """What can't be an address or a kind; `where` is the form, and behind a dot its field."""
    try:
        check_webhook_url(asked["url"], settings)
    except VersoError as error:
        return Refused(f"{form}.url", error.sentence)
    for each in asked["kinds"] or ():
        if not _KIND.match(each):
            return Refused(f"{form}.kinds", f"{each} is no kind of event: change.added is, or change.*")
    return None


def _event(text: str) -> int:
    text = text.strip()
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS or not int(text):
        raise VersoError("bad_value", "Name the events by their numbers.")
    return int(text)
