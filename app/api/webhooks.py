"""Webhooks: a project's events sent to addresses that its owners name (docs/webhooks.md).

Here they are registered and looked after. What sends them is a process of its own, with the secret key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from app.api.links import Page, cut, next_link, page_of, position_of
from app.api.paging import Cursor, Limit, page_size
from app.api.services import Services
from app.errors import VersoError
from app.settings import Settings
from app.supabase.identity import Actor
from app.supabase.webhooks import Delivery, KeyedWebhook, Webhook
from app.webhooks.addresses import refusal_of_url

WEBHOOKS = "/v1/projects/{project:str}/webhooks"
ONE = f"{WEBHOOKS}/{{webhook:str}}"
# A key is shown once; no cache may show it again.
_NO_STORE = {"Cache-Control": "no-store"}

Url = Annotated[str, msgspec.Meta(max_length=2000, description="https://host/path; what is POSTed to.")]
Kinds = Annotated[
    list[str],
    msgspec.Meta(min_length=1, max_length=50, description="Kinds of events: change.added, or `change.*`."),
]
Prefix = Annotated[
    str, msgspec.Meta(min_length=1, max_length=1024, description="Only events about paths that begin so.")
]
Description = Annotated[str, msgspec.Meta(max_length=500)]


class NewWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A webhook to be registered. Without kinds and prefix it gets every event."""

    url: Url
    kinds: Kinds | None = None
    prefix: Prefix | None = None
    description: Description = ""


class WebhookEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change; what is left out stays, and a null takes a filter away."""

    url: Url | UnsetType = UNSET
    kinds: Kinds | UnsetType | None = UNSET
    prefix: Prefix | UnsetType | None = UNSET
    description: Description | UnsetType = UNSET
    state: Literal["active", "paused"] | UnsetType = UNSET
    from_: Literal["now"] | UnsetType = msgspec.field(name="from", default=UNSET)
    """Leave out what is waiting."""


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a webhook gets another key."""

    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=604_800)] = 86_400
    """For so long both keys sign."""


class ReplayAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events to be sent once more, by their numbers."""

    first: Annotated[int, msgspec.Meta(ge=1)]
    last: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Unless said, the first alone."""


@get(WEBHOOKS, tags=["webhooks"], summary="A project's webhooks")
async def list_webhooks(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Webhook]]:
    """For owners, oldest first: how far each is, and what is the matter with it."""
    size = page_size(limit, services.settings)
    found = await services.webhooks.list_webhooks(
        actor.token, project=project, after=position_of(cursor, str), page_size=size + 1
    )
    return page_of(request, found, size, lambda each: each.position)


@post(WEBHOOKS, tags=["webhooks"], summary="Register a webhook")
async def create_webhook(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    data: JSONBody[NewWebhook],
) -> Response[KeyedWebhook]:
    """For owners. It begins now. The key of its signatures is in this answer and nowhere else."""
    check_webhook_url(data.url, services.settings)
    made = await services.webhooks.create_webhook(
        actor.token,
        project=project,
        url=data.url,
        kinds=data.kinds,
        prefix=data.prefix,
        description=data.description,
    )
    return Response(made, status_code=201, headers=_NO_STORE)


@patch(ONE, tags=["webhooks"], summary="Change, pause or resume a webhook")
async def update_webhook(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    webhook: FromPath[str],
    data: JSONBody[WebhookEdit],
) -> Webhook:
    """For owners. `state: active` resumes it where it was, at once; `from: now` leaves out what waits."""
    if data.url is not UNSET:
        check_webhook_url(data.url, services.settings)
    return await services.webhooks.update_webhook(
        actor.token, project=project, webhook=webhook, edit=msgspec.to_builtins(data)
    )


@delete(ONE, tags=["webhooks"], summary="Remove a webhook")
async def remove_webhook(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    webhook: FromPath[str],
) -> None:
    """For owners. What is known of its deliveries goes with it."""
    await services.webhooks.remove_webhook(actor.token, project=project, webhook=webhook)


@post(f"{ONE}/rotate", tags=["webhooks"], summary="Give a webhook another key", status_code=200)
async def rotate_webhook(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    webhook: FromPath[str],
    data: JSONBody[Rotation],
) -> Response[KeyedWebhook]:
    """For owners. For `overlap_seconds` messages are signed with both keys: no receiver misses any."""
    kept = await services.webhooks.rotate_webhook(
        actor.token, project=project, webhook=webhook, overlap=data.overlap_seconds
    )
    return Response(kept, status_code=200, headers=_NO_STORE)


@post(f"{ONE}/replay", tags=["webhooks"], summary="Send events once more", status_code=202)
async def replay_webhook(
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    webhook: FromPath[str],
    data: JSONBody[ReplayAsked],
) -> Webhook:
    """For owners: one event, or a range of at most 10,000 numbers, before anything new.

    The messages have the ids that they had.
    """
    return await services.webhooks.replay_webhook(
        actor.token, project=project, webhook=webhook, first=data.first, last=data.last or data.first
    )


@get(f"{ONE}/deliveries", tags=["webhooks"], summary="A webhook's attempts")
async def list_deliveries(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    actor: NamedDependency[Actor],
    project: FromPath[str],
    webhook: FromPath[str],
    failed: Annotated[bool, QueryParameter(description="Only those that failed.")] = False,  # noqa: FBT002
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[Page[Delivery]]:
    """For owners, newest first: the last thousand. Of what receivers answered, only the status is kept."""
    size = page_size(limit, services.settings)
    found = await services.webhooks.list_deliveries(
        actor.token,
        project=project,
        webhook=webhook,
        before=position_of(cursor, int),
        page_size=size + 1,
        failed=failed,
    )
    items, following = cut(found, size, lambda each: each.number)
    headers = {"Cache-Control": "no-store", **next_link(request, following)}
    return Response(Page(items, following), headers=headers)


def check_webhook_url(url: str, settings: Settings) -> None:
    """Refuse what each attempt would be. Names are not looked up: that would tell of the network."""
    refusal = refusal_of_url(url, allow_private=settings.webhooks_private)
    if refusal is not None:
        raise VersoError("bad_webhook", f"A webhook can't go there: {refusal}.")
